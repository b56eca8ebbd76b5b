/**
 * What becomes of a row after one try. Pure.
 *
 * - Only failures of the object's own making fail a row, and only after 8 tries; everything else
 *   waits and comes back.
 * - A row whose former try may have reached the target, or may still do so, is in doubt
 *   (model/doubt.ts) until no earlier request can be applied any longer.
 */
import { backoffMs } from '../model/backoff.ts';
import { doubtAfter, laterDoubt } from '../model/doubt.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import type { Claim, Row } from '../model/row.ts';
import type { Delivery } from './deliver.ts';
import type { Judgement } from './lane-reaction.ts';

export const OBJECT_TRIES_MAX = 8;
const TARGET_WAIT_MAX_MS = 60_000;
const PACED_WAIT_MS = 1_000;

export interface OutcomeContext {
  /** By the store's clock. */
  readonly now: number;
  /** When the try began, by the store's clock. */
  readonly begunAt: number;
  /** In [0, 1). */
  readonly random: number;
  /** The target has failed several times on end: the lane's breaker sets the pace, not the row's waits. */
  readonly pacedByBreaker: boolean;
  /** The lane stops, or the target was changed: a try that failed is given back as it was. */
  readonly interrupted: boolean;
}

/** @param judgement of a delivery that failed; null of all others */
export function outcomeOf(
  claim: Claim,
  delivery: Delivery,
  judgement: Judgement | null,
  context: OutcomeContext,
): ClaimOutcome {
  const { row } = claim;
  const { doubtUntil } = row;
  switch (delivery.kind) {
    case 'delivered':
    case 'nothing': {
      const uploadId = delivery.kind === 'delivered' ? delivery.uploadId : null;
      return { kind: 'complete', upTo: delivery.upTo, begunAt: context.begunAt, uploadId };
    }
    case 'unwanted':
      return { kind: 'release', doubtUntil };
    case 'gone':
      return {
        kind: 'retry',
        nextAttemptAt: context.now,
        lastError: { reason: 'The version is gone; what is current is delivered instead.' },
        doubtUntil,
        refused: false,
        asResolve: true,
        // Where it is still there, the next try finds that nobody wants its version, and aborts it.
        upload: delivery.upload,
      };
    case 'source-failed':
      if (context.interrupted) return { kind: 'release', doubtUntil };
      return {
        kind: 'retry',
        nextAttemptAt: context.now + backoffMs(triesOf(row), context.random),
        lastError: { reason: 'The object could not be read from this server’s own storage.' },
        doubtUntil,
        refused: false,
        asResolve: false,
        upload: delivery.upload,
      };
    case 'failed':
      return afterFailure(row, delivery, judgement, context);
  }
}

function afterFailure(
  row: Row,
  { failure, upload }: Extract<Delivery, { kind: 'failed' }>,
  judgement: Judgement | null,
  context: OutcomeContext,
): ClaimOutcome {
  const doubtUntil = laterDoubt(row.doubtUntil, doubtAfter(failure, context.now));
  if (context.interrupted || judgement === null) return { kind: 'release', doubtUntil };
  const { lastError, isObjects, isRefused: refused } = judgement;
  if (isObjects && triesOf(row) >= OBJECT_TRIES_MAX) {
    return { kind: 'fail', lastError, doubtUntil, refused };
  }
  return {
    kind: 'retry',
    nextAttemptAt: context.now + waitMs(row, judgement, context),
    lastError,
    doubtUntil,
    refused,
    asResolve: false,
    upload,
  };
}

/**
 * A target's failure is waited out by the lane's breaker; the row itself waits only so long that a
 * probe takes another chain, and longer where it fails while others succeed. What the target refuses
 * waits as if it were the object's fault, whose ever it is: others are tried in its place.
 */
function waitMs(
  row: Row,
  { isObjects, isRefused, afterMs }: Judgement,
  { random, pacedByBreaker }: OutcomeContext,
): number {
  if (isObjects || isRefused) return Math.max(afterMs, backoffMs(triesOf(row), random));
  return pacedByBreaker ? PACED_WAIT_MS : backoffMs(triesOf(row), random, TARGET_WAIT_MAX_MS);
}

/** Tries of the row, the present one included. */
function triesOf(row: Row): number {
  return row.attempts + 1;
}
