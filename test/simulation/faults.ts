/** What services and networks do to one request, and how often in one schedule. */
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import type { Random } from './random.ts';

/** How long the client waits for a connection that stands still. */
export const IDLE_MS = 30_000;
/** The longest time after which a request that the client gave up is still applied. */
export const LATE_MAX_MS = 25_000;

const STEADY_MS = 20;

export type Fault =
  | 'none'
  | 'refuse'
  | 'reset-before'
  | 'reset-after'
  | 'late'
  | 'stall'
  | 'cut'
  | '403'
  | '404'
  | '400'
  | '500'
  | '503'
  | 'slow'
  /** No fault, and always the same latency. */
  | 'steady';

export type FaultWeights = Readonly<Record<Fault, number>>;

export const NO_FAULTS: FaultWeights = {
  none: 1,
  refuse: 0,
  'reset-before': 0,
  'reset-after': 0,
  late: 0,
  stall: 0,
  cut: 0,
  '403': 0,
  '404': 0,
  '400': 0,
  '500': 0,
  '503': 0,
  slow: 0,
  steady: 0,
};

/** How one request goes. */
export interface Script {
  /** Null: whatever the target makes of it. */
  readonly failure: RequestFailure | null;
  readonly answeredAfterMs: number;
  /** Null: never applied. */
  readonly appliedAfterMs: number | null;
}

/** Each schedule has faults of its own; some have few, so that queues run empty in between. */
export function drawWeights(random: Random): FaultWeights {
  const severity = random.pick([0.05, 0.3, 1, 3]);
  const faults = Object.keys(NO_FAULTS).map((fault) => [
    fault,
    fault === 'none' ? 8 : fault !== 'steady' && random.chance(0.5) ? severity * random.next() : 0,
  ]);
  return Object.fromEntries(faults) as FaultWeights;
}

export function drawScript(fault: Fault, isWrite: boolean, random: Random): Script {
  const latency = random.between(2, 60);
  const unapplied = (after: number, described: Omit<RequestFailure, 'ambiguous'>): Script => ({
    failure: { ...described, ambiguous: false },
    answeredAfterMs: after,
    appliedAfterMs: null,
  });
  const unclear = (
    after: number,
    appliedAfterMs: number | null,
    described: Omit<RequestFailure, 'ambiguous'>,
  ): Script => ({
    failure: { ...described, ambiguous: isWrite },
    answeredAfterMs: after,
    appliedAfterMs: isWrite ? appliedAfterMs : null,
  });
  const reset = { stage: 'transfer', code: 'ECONNRESET' } as const;
  const timeout = { stage: 'transfer', code: 'ETIMEDOUT' } as const;
  switch (fault) {
    case 'none':
    case 'steady':
    case 'slow': {
      const latencies = { none: latency, steady: STEADY_MS, slow: random.between(1_000, 20_000) };
      const after = latencies[fault];
      return { failure: null, answeredAfterMs: after, appliedAfterMs: after / 2 };
    }
    case 'refuse':
      return unapplied(latency, { stage: 'connect', code: 'ECONNREFUSED' });
    case 'reset-before':
      return unclear(latency, null, reset);
    case 'reset-after':
      return unclear(latency, latency / 2, reset);
    case 'late':
      return unclear(IDLE_MS, IDLE_MS + random.between(0, LATE_MAX_MS), timeout);
    case 'stall':
      return unclear(IDLE_MS, null, timeout);
    case 'cut':
      return unclear(latency, latency / 2, { stage: 'transfer', code: 'UND_ERR_SOCKET' });
    case '403':
      return unapplied(latency, { stage: 'answer', status: 403, code: 'SignatureDoesNotMatch' });
    case '404':
      return unapplied(latency, { stage: 'answer', status: 404, code: 'NoSuchBucket' });
    case '400':
      return unapplied(latency, { stage: 'answer', status: 400, code: 'InvalidArgument' });
    case '500': {
      const appliedAfterMs = random.chance(0.5) ? latency / 2 : null;
      return unclear(latency, appliedAfterMs, { stage: 'answer', status: 500 });
    }
    case '503': {
      const retryAfterMs = random.between(0, 20) * 1_000;
      return unapplied(latency, { stage: 'answer', status: 503, code: 'SlowDown', retryAfterMs });
    }
  }
}

export function failure<T>(described: RequestFailure): RequestResult<T> {
  return { ok: false, failure: described };
}
