/** How a lane's breaker and concurrency take one delivery. Pure. */
import {
  nextBreaker,
  type Breaker,
  type BreakerEvent,
  type FailureKind,
} from '../model/breaker.ts';
import { afterSlowDown, afterSuccess, type Concurrency } from '../model/concurrency.ts';
import type { RequestFailure } from '../model/delivery.ts';
import { judge } from '../model/outcome.ts';
import type { Claim, LastError } from '../model/row.ts';
import { describeFailure } from './claim-outcome.ts';
import type { Delivery } from './deliver.ts';

export interface ReactionInput {
  readonly breaker: Breaker;
  readonly concurrency: Concurrency;
  readonly isProbe: boolean;
  /** Of the concurrency, when the claim began. */
  readonly cutsAtStart: number;
  /** Monotonic milliseconds. */
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
}

export interface Reaction {
  readonly breaker: Breaker;
  readonly concurrency: Concurrency;
  /** Absent where nothing new is known. */
  readonly lastError?: LastError | null;
}

export function reactTo(claim: Claim, delivery: Delivery, input: ReactionInput): Reaction {
  const { breaker, concurrency, isProbe, now } = input;
  if (delivery.kind === 'delivered') {
    return {
      breaker: nextBreaker(breaker, { type: 'success' }),
      concurrency: afterSuccess(concurrency),
      lastError: null,
    };
  }
  if (delivery.kind !== 'failed') {
    const next = isProbe ? nextBreaker(breaker, { type: 'probe-unused', now }) : breaker;
    return { breaker: next, concurrency };
  }
  const { failure } = delivery;
  const judged = judge(failure);
  const lastError = describeFailure(failure, judged);
  if (failure.stage === 'unsendable') {
    // Found before anything was sent: the target has no part in it.
    const next = isProbe ? nextBreaker(breaker, { type: 'probe-unused', now }) : breaker;
    return { breaker: next, concurrency, lastError };
  }
  const isThrottled = judged.kind === 'retry' && judged.throttled === true;
  return {
    breaker: nextBreaker(breaker, breakerEvent(claim, failure, input)),
    concurrency: isThrottled ? afterSlowDown(concurrency, input.cutsAtStart) : concurrency,
    lastError,
  };
}

function breakerEvent(
  { row }: Claim,
  failure: RequestFailure,
  { isProbe, now, random }: ReactionInput,
): BreakerEvent {
  const judged = judge(failure);
  const common = { probe: isProbe, now, random };
  if (judged.origin === 'object') {
    const alike = JSON.stringify([failure.stage, failure.status, failure.code]);
    return { type: 'object-failure', key: row.key, alike, ...common };
  }
  const retryAfterMs = judged.kind === 'retry' ? (judged.afterMs ?? null) : null;
  return { type: 'target-failure', kind: kindOf(failure), retryAfterMs, ...common };
}

/** Refusals last until somebody mends something; anything else may be over any moment. */
function kindOf({ stage, status = 0 }: RequestFailure): FailureKind {
  if (stage === 'refused-address') return 'refusal';
  const isRefusal = stage === 'answer' && status < 500 && status !== 429 && status !== 408;
  return isRefusal ? 'refusal' : 'connection';
}
