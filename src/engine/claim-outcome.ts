/**
 * What becomes of a row after one try. Pure.
 *
 * - Only failures of the object's own making fail a row, and only after 8 tries; everything else
 *   waits and comes back.
 * - A row whose former try may have reached the target, or may still do so, is *suspect*
 *   (`compareFirst`). Once it is done with, what the target shows is looked at again after the
 *   longest time that an old request may linger.
 */
import { LINGER_MS, type RequestFailure } from '../model/delivery.ts';
import { backoffMs } from '../model/backoff.ts';
import { judge, type Outcome } from '../model/outcome.ts';
import type { ClaimOutcome } from '../model/ports.ts';
import type { Claim, LastError, Row } from '../model/row.ts';
import type { Delivery } from './deliver.ts';

export const OBJECT_TRIES_MAX = 8;
const TARGET_WAIT_MAX_MS = 60_000;
const PACED_WAIT_MS = 1_000;

export interface OutcomeContext {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** The target has failed several times on end: the lane's breaker sets the pace, not the row's waits. */
  readonly pacedByBreaker: boolean;
  /** How long this process has held the lease. */
  readonly leadingForMs: number;
  /** The lane stops, or the target was changed: a try that failed is given back as it was. */
  readonly interrupted: boolean;
}

export function outcomeOf(claim: Claim, delivery: Delivery, context: OutcomeContext): ClaimOutcome {
  const { row } = claim;
  switch (delivery.kind) {
    case 'delivered':
    case 'nothing': {
      const verifyAt = isSuspect(row, context) ? context.now + LINGER_MS : null;
      const uploadId = delivery.kind === 'delivered' ? delivery.uploadId : null;
      return { kind: 'complete', upTo: delivery.upTo, verifyAt, uploadId };
    }
    case 'unwanted':
      return { kind: 'release', compareFirst: row.compareFirst };
    case 'gone':
      return {
        kind: 'retry',
        nextAttemptAt: context.now,
        lastError: { reason: 'The version is gone; what is current is delivered instead.' },
        compareFirst: row.compareFirst,
        asResolve: true,
        // Where it is still there, the next try finds that nobody wants its version, and aborts it.
        upload: delivery.upload,
      };
    case 'source-failed':
      if (context.interrupted) return { kind: 'release', compareFirst: row.compareFirst };
      return {
        kind: 'retry',
        nextAttemptAt: context.now + backoffMs(triesOf(row), context.random),
        lastError: { reason: 'The object could not be read from this server’s own storage.' },
        compareFirst: row.compareFirst,
        asResolve: false,
        upload: delivery.upload,
      };
    case 'failed':
      return afterFailure(row, delivery, context);
  }
}

function afterFailure(
  row: Row,
  { failure, upload }: Extract<Delivery, { kind: 'failed' }>,
  context: OutcomeContext,
): ClaimOutcome {
  const compareFirst = row.compareFirst || failure.ambiguous;
  if (context.interrupted) return { kind: 'release', compareFirst };
  const judged = judge(failure);
  const lastError = describeFailure(failure, judged);
  if (judged.origin === 'object' && triesOf(row) >= OBJECT_TRIES_MAX) {
    return { kind: 'fail', lastError, compareFirst };
  }
  return {
    kind: 'retry',
    nextAttemptAt: context.now + waitMs(row, judged, context),
    lastError,
    compareFirst,
    asResolve: false,
    upload,
  };
}

/**
 * A target's failure is waited out by the lane's breaker; the row itself waits only so long that a
 * probe takes another chain, and longer where it fails while others succeed.
 */
function waitMs(row: Row, judged: Outcome, { random, pacedByBreaker }: OutcomeContext): number {
  if (judged.origin === 'target') {
    return pacedByBreaker ? PACED_WAIT_MS : backoffMs(triesOf(row), random, TARGET_WAIT_MAX_MS);
  }
  const asked = judged.kind === 'retry' ? (judged.afterMs ?? 0) : 0;
  return Math.max(asked, backoffMs(triesOf(row), random));
}

export function describeFailure(failure: RequestFailure, { reason }: Outcome): LastError {
  const { status, code, requestId } = failure;
  return {
    reason,
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** Tries of the row, the present one included. */
function triesOf(row: Row): number {
  return row.attempts + 1;
}

/** Whether an earlier request for this chain may still be on its way. */
function isSuspect(row: Row, { leadingForMs }: OutcomeContext): boolean {
  return row.compareFirst && !(isVerification(row) && leadingForMs >= LINGER_MS);
}

/**
 * The look that follows a suspect row, at its first try: the old request's time is over, so whatever
 * it finds and mends stays. (A target whose answers never compare equal would be sent to for ever.)
 *
 * A row that an earlier leader had in flight may look the same, which is why nothing counts as one
 * while a request of that leader may linger.
 */
function isVerification({ operation, attempts, lastError }: Row): boolean {
  return operation === 'resolve' && attempts === 0 && lastError === null;
}
