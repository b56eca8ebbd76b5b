/**
 * Doubt about a chain: a request that was given up may be applied at the target for a while, over what
 * was delivered since. Whatever is delivered meanwhile is looked at again once the doubt is over. Pure.
 */
import { LINGER_MS, type RequestFailure } from './delivery.ts';
import type { Row } from './row.ts';

/** No doubt lasts longer: twice the longest silence. One that seems to was by another clock. */
const DOUBT_MAX_MS = 2 * 60 * 60_000;

/** A doubt as it is stored, seen from `now`. */
export function presentDoubt(doubtUntil: number | null, now: number): number | null {
  return doubtUntil === null ? null : Math.min(doubtUntil, now + DOUBT_MAX_MS);
}

type Schedule = Pick<Row, 'state' | 'createdAt' | 'doubtUntil' | 'nextAttemptAt'>;

/** The longer of two doubts. */
export function laterDoubt(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

/**
 * What doubt a failure leaves: a request that the target let be silent for long may also take long to
 * be applied.
 *
 * @param now when it was given up
 */
export function doubtAfter(failure: RequestFailure, now: number): number | null {
  if (!failure.ambiguous) return null;
  return now + Math.max(LINGER_MS, 2 * (failure.silenceMs ?? 0));
}

/**
 * Of two rows that become one: work is not put off for the sake of a look, and may come before its
 * time where a look is due.
 *
 * @param nextAttemptAt of the two where both are work
 */
export function mergedSchedule(row: Schedule, other: Schedule, nextAttemptAt: number): Schedule {
  const doubtUntil = laterDoubt(row.doubtUntil, other.doubtUntil);
  const createdAt = Math.min(row.createdAt, other.createdAt);
  const work = [row, other].filter(({ state }) => state !== 'verifying');
  const [first] = work;
  if (first === undefined) {
    const latest = Math.max(row.nextAttemptAt, other.nextAttemptAt, doubtUntil ?? 0);
    return { state: 'verifying', createdAt, doubtUntil, nextAttemptAt: latest };
  }
  if (work.length === 2) return { state: 'pending', createdAt, doubtUntil, nextAttemptAt };
  const earliest = Math.min(row.nextAttemptAt, other.nextAttemptAt);
  return { state: 'pending', createdAt: first.createdAt, doubtUntil, nextAttemptAt: earliest };
}
