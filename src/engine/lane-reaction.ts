/**
 * How a lane takes one delivery: whose failure it is, and what becomes of the breakers and of the
 * concurrency. Pure; the only place that judges a delivery.
 */
import type { Breaker, FailureKind } from '../model/breaker.ts';
import { afterSlowDown, afterSuccess, type Concurrency } from '../model/concurrency.ts';
import type { RequestFailure } from '../model/delivery.ts';
import { withEvent, type BreakerName, type LaneBreakers } from '../model/lane-breakers.ts';
import { judge, type Outcome } from '../model/outcome.ts';
import { operationOf, type Claim, type LastError } from '../model/row.ts';
import type { Delivery } from './deliver.ts';

export interface ReactionInput {
  readonly breakers: LaneBreakers;
  readonly concurrency: Concurrency;
  /** Which breakers the request was a probe of. */
  readonly probed: readonly BreakerName[];
  /** Of the concurrency, when the claim began. */
  readonly cutsAtStart: number;
  /** Monotonic milliseconds. */
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
}

/** What a failed delivery comes to. */
export interface Judgement {
  /** The failure counts against the object: after 8 tries its row fails. */
  readonly isObjects: boolean;
  /** The target would not take this event: a newer one of its key overtakes it. */
  readonly isRefused: boolean;
  /** How long the target asks to leave the object alone; 0 where it does not. */
  readonly afterMs: number;
  readonly lastError: LastError;
}

export interface Reaction {
  readonly breakers: LaneBreakers;
  readonly concurrency: Concurrency;
  /** Null unless the delivery failed. */
  readonly judgement: Judgement | null;
  /** Absent where nothing new is known. */
  readonly lastError?: LastError | null;
}

export function reactTo(claim: Claim, delivery: Delivery, input: ReactionInput): Reaction {
  const { concurrency } = input;
  const operation = operationOf(claim.row);
  if (delivery.kind === 'delivered') {
    // That an object was there already says that the target answers, and not what it takes.
    const proven: BreakerName[] = delivery.wasThere ? ['target'] : ['target', operation];
    const breakers = withEvent(unused(input, proven), proven, { type: 'success' });
    return { breakers, concurrency: afterSuccess(concurrency), judgement: null, lastError: null };
  }
  if (delivery.kind !== 'failed') {
    return { breakers: unused(input, []), concurrency, judgement: null };
  }
  const { failure } = delivery;
  const judged = judge(failure);
  const judgement = judgementOf(failure, judged, input.breakers[operation]);
  const isThrottled = judged.kind === 'retry' && judged.throttled === true;
  const isTargets = judged.origin === 'target' && !judgement.isRefused;
  return {
    breakers: nextBreakers(claim, failure, judged, input),
    concurrency:
      isThrottled || isTargets ? afterSlowDown(concurrency, input.cutsAtStart) : concurrency,
    judgement,
    lastError: judgement.lastError,
  };
}

function nextBreakers(
  { row }: Claim,
  failure: RequestFailure,
  judged: Outcome,
  input: ReactionInput,
): LaneBreakers {
  const { probed, now, random } = input;
  const operation = operationOf(row);
  // Found before anything was sent: the target has no part in it.
  if (failure.stage === 'unsendable') return unused(input, []);
  const isRefused = judged.kind === 'retry' && judged.refused === true;
  if (judged.origin === 'target' && !isRefused) {
    const retryAfterMs = judged.kind === 'retry' ? (judged.afterMs ?? null) : null;
    return withEvent(unused(input, ['target']), ['target'], {
      type: 'failure',
      kind: kindOf(failure),
      retryAfterMs,
      probe: probed.includes('target'),
      now,
      random,
    });
  }
  // The target answered, to this object: as a whole it is there.
  const answered = withEvent(input.breakers, ['target'], { type: 'success' });
  // What is said of one object opens nothing, however many there are: 409, 412, too large.
  if (!isRefused) return unused({ ...input, breakers: answered }, ['target']);
  return withEvent(answered, [operation], {
    type: 'refusal',
    key: row.key,
    probe: probed.includes(operation),
    now,
    random,
  });
}

/** Breakers after a request that says nothing of those that it probed, but for some. */
function unused(
  { breakers, probed, now }: Pick<ReactionInput, 'breakers' | 'probed' | 'now'>,
  but: readonly BreakerName[],
): LaneBreakers {
  const others = probed.filter((name) => !but.includes(name));
  return withEvent(breakers, others, { type: 'probe-unused', now });
}

/**
 * A denial (403) counts against the object only where the operation succeeded for others: an access key
 * that may do nothing denies everything. Another refusal does, unless all are refused.
 */
function judgementOf(failure: RequestFailure, judged: Outcome, breaker: Breaker): Judgement {
  const isUnclear = judged.kind === 'retry' && judged.refused === true;
  const isOthersTaken = breaker.state === 'closed' && (failure.status !== 403 || breaker.isProven);
  const isObjects = isUnclear ? isOthersTaken : judged.origin === 'object';
  return {
    isObjects,
    isRefused: isUnclear || judged.kind === 'reject',
    afterMs: judged.kind === 'retry' ? (judged.afterMs ?? 0) : 0,
    lastError: describeFailure(failure, judged),
  };
}

function describeFailure(failure: RequestFailure, { reason }: Outcome): LastError {
  const { status, code, requestId } = failure;
  return {
    reason,
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** Refusals last until somebody mends something; anything else may be over any moment. */
function kindOf({ stage, status = 0 }: RequestFailure): FailureKind {
  if (stage === 'refused-address') return 'refusal';
  const isRefusal = stage === 'answer' && status < 500 && status !== 429 && status !== 408;
  return isRefusal ? 'refusal' : 'connection';
}
