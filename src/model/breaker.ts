/**
 * When requests may be sent: a pure reducer. A lane has three of these breakers: one for its target as
 * a whole, and one for each operation (puts, deletes), as credentials may allow one and not the other.
 *
 *     closed ──(failures in a row)──▶ open ──(its time is up)──▶ probing
 *        ▲                             ▲                            │
 *        ├──────────(any success, a change of the target)──────────┤
 *        └──────────────────────       └───────(probe failed)───────┘
 *
 * A single failure between successes opens nothing: it concerns one object, or the moment. What a
 * target answers to one object is not an outage: the breaker of an operation opens where several keys
 * in a row were refused, and then only that operation is held back.
 *
 * Invariants: while open nothing is sent; while probing one request is, and who wants another probe then
 * gets one; failures of requests that began
 * before the breaker opened lengthen no wait. Times are monotonic milliseconds.
 */
import { backoffMs } from './backoff.ts';

/** `connection`: the target may be back any moment. `refusal`: somebody has to mend something first. */
export type FailureKind = 'connection' | 'refusal';

/** Failures of the target, one after the other. */
export const FAILURES_IN_A_ROW = 3;
/** Different keys whose operation the target refused, one after the other. */
export const REFUSED_KEYS_IN_A_ROW = 5;
const WAIT_MAX_MS: Readonly<Record<FailureKind, number>> = {
  connection: 60_000,
  refusal: 60 * 60 * 1_000,
};
/** Among many refused objects the first that is not is found soon: so long, probes come quickly. */
const QUICK_PROBES_MS = 60_000;
const QUICK_WAIT_MS = 2_000;
/** Later, a probe waits for half as long as the operation has been refused. */
const SLOWDOWN = 0.5;
const JITTER = 0.2;

export type Breaker =
  | {
      readonly state: 'closed';
      /** In a row, since the last success. */
      readonly failures: number;
      /** Of the failures of an operation: each key counts once. */
      readonly keys: readonly string[];
      /** Whether there was a success since the breaker was last open, or was made. */
      readonly isProven: boolean;
      /** Successes until it is forgotten that the breaker was open: what was tried before comes last. */
      readonly wariness: number;
    }
  | {
      readonly state: 'open';
      readonly since: number;
      readonly until: number;
      /** Openings since the last success. */
      readonly openings: number;
    }
  | {
      readonly state: 'probing';
      readonly since: number;
      readonly openings: number;
      /** When another probe is wanted, should this one fail: it may be older than what was mended. */
      readonly wantedAt?: number;
    };

export type BreakerEvent =
  | { readonly type: 'success' }
  /** The target as a whole failed. */
  | {
      readonly type: 'failure';
      readonly kind: FailureKind;
      readonly retryAfterMs: number | null;
      readonly probe: boolean;
      readonly now: number;
      /** In [0, 1). */
      readonly random: number;
    }
  /** The target refused the operation for one key. */
  | {
      readonly type: 'refusal';
      readonly key: string;
      readonly probe: boolean;
      readonly now: number;
      readonly random: number;
    }
  | { readonly type: 'probe-begun' }
  /** The probe ended without a word about what is probed. */
  | { readonly type: 'probe-unused'; readonly now: number }
  /** Somebody wants to know now whether it works again. */
  | { readonly type: 'probe-wanted'; readonly now: number };

type Closed = Extract<Breaker, { state: 'closed' }>;

export const CLOSED: Closed = {
  state: 'closed',
  failures: 0,
  keys: [],
  isProven: false,
  wariness: 0,
};
const PROVEN: Closed = { ...CLOSED, isProven: true };
const WARY_SUCCESSES = 64;

export function nextBreaker(breaker: Breaker, event: BreakerEvent): Breaker {
  switch (event.type) {
    case 'success':
      return afterSuccess(breaker);
    case 'probe-begun':
      return breaker.state === 'open'
        ? { state: 'probing', since: breaker.since, openings: breaker.openings }
        : breaker;
    case 'probe-unused':
      return breaker.state === 'probing'
        ? { ...breaker, state: 'open', until: event.now }
        : breaker;
    case 'probe-wanted':
      return afterWish(breaker, event.now);
    case 'failure':
      return afterFailure(breaker, event);
    case 'refusal':
      return afterRefusal(breaker, event);
  }
}

function afterSuccess(breaker: Breaker): Breaker {
  if (breaker.state !== 'closed') return { ...PROVEN, wariness: WARY_SUCCESSES };
  if (breaker.wariness > 0) return { ...PROVEN, wariness: breaker.wariness - 1 };
  return breaker.isProven && breaker.failures === 0 ? breaker : PROVEN;
}

function afterWish(breaker: Breaker, now: number): Breaker {
  switch (breaker.state) {
    case 'closed':
      return breaker;
    case 'open':
      return { ...breaker, until: Math.min(breaker.until, now) };
    case 'probing':
      return { ...breaker, wantedAt: Math.min(breaker.wantedAt ?? Infinity, now) };
  }
}

/** A breaker that was closed, or whose probe failed, is open. */
function opened(
  breaker: Exclude<Breaker, { state: 'open' }>,
  now: number,
  waitMs: (openings: number, since: number) => number,
): Breaker {
  const isProbe = breaker.state === 'probing';
  const openings = isProbe ? breaker.openings + 1 : 1;
  const since = isProbe ? breaker.since : now;
  const until = now + waitMs(openings, since);
  const wantedAt = isProbe ? (breaker.wantedAt ?? Infinity) : Infinity;
  return { state: 'open', since, until: Math.min(until, wantedAt), openings };
}

function afterFailure(
  breaker: Breaker,
  event: Extract<BreakerEvent, { type: 'failure' }>,
): Breaker {
  const { kind, probe, now, random } = event;
  const asked = Math.min(event.retryAfterMs ?? 0, WAIT_MAX_MS.refusal);
  if (breaker.state === 'open') return { ...breaker, until: Math.max(breaker.until, now + asked) };
  if (breaker.state === 'probing' && !probe) return breaker;
  if (breaker.state === 'closed' && breaker.failures + 1 < FAILURES_IN_A_ROW && asked === 0) {
    return { ...breaker, failures: breaker.failures + 1 };
  }
  return opened(breaker, now, (openings) =>
    Math.max(backoffMs(openings, random, WAIT_MAX_MS[kind]), asked),
  );
}

function afterRefusal(
  breaker: Breaker,
  { key, probe, now, random }: Extract<BreakerEvent, { type: 'refusal' }>,
): Breaker {
  if (breaker.state === 'open' || (breaker.state === 'probing' && !probe)) return breaker;
  if (breaker.state === 'closed') {
    const keys = breaker.keys.includes(key) ? breaker.keys : [...breaker.keys, key];
    if (keys.length < REFUSED_KEYS_IN_A_ROW) {
      return { ...breaker, failures: breaker.failures + 1, keys };
    }
  }
  return opened(breaker, now, (_openings, since) => refusedWaitMs(now - since, random));
}

function refusedWaitMs(refusedForMs: number, random: number): number {
  const waitMs =
    refusedForMs < QUICK_PROBES_MS
      ? QUICK_WAIT_MS
      : Math.min(refusedForMs * SLOWDOWN, WAIT_MAX_MS.refusal);
  const drawnMs = Math.round(waitMs * (1 - JITTER + 2 * JITTER * random));
  return Math.min(drawnMs, WAIT_MAX_MS.refusal);
}
