/**
 * When a lane may send: a pure reducer.
 *
 *     closed ──(target failure, or two keys failing alike)──▶ open ──(its time is up)──▶ probing
 *        ▲                                                     ▲                            │
 *        ├───────(any success, a retry request, a change of the target)─────────────────────┤
 *        └──────────────────────────────────                   └────────(probe failed)──────┘
 *
 * Invariants: while open nothing is sent; while probing one request is; each failed probe waits
 * longer than the one before. Failures of requests that began before the breaker opened say nothing
 * new and lengthen no wait. Times are monotonic milliseconds.
 */
import { backoffMs } from './backoff.ts';

/** `connection`: the target may be back any moment. `refusal`: somebody has to mend something first. */
export type FailureKind = 'connection' | 'refusal';

const WAIT_MAX_MS: Readonly<Record<FailureKind, number>> = {
  connection: 60_000,
  refusal: 60 * 60 * 1_000,
};
const RETRY_AFTER_MAX_MS = 60 * 60 * 1_000;

/** An object that the target would not take; the next one alike, of another key, opens the breaker. */
interface Suspicion {
  readonly key: string;
  readonly alike: string;
}

export type Breaker =
  | { readonly state: 'closed'; readonly suspicion: Suspicion | null }
  | {
      readonly state: 'open';
      readonly until: number;
      /** Openings since the last success. */
      readonly openings: number;
      /** What several keys failed with, where that opened it. */
      readonly alike: string | null;
    }
  | { readonly state: 'probing'; readonly openings: number; readonly alike: string | null };

export type BreakerEvent =
  | { readonly type: 'success' }
  | {
      readonly type: 'target-failure';
      readonly kind: FailureKind;
      readonly retryAfterMs: number | null;
      readonly probe: boolean;
      readonly now: number;
      /** In [0, 1). */
      readonly random: number;
    }
  | {
      readonly type: 'object-failure';
      readonly key: string;
      /** Equal for failures of one kind. */
      readonly alike: string;
      readonly probe: boolean;
      readonly now: number;
      readonly random: number;
    }
  | { readonly type: 'probe-begun' }
  /** The probe ended without a word of the target: nothing had to be sent, or the source failed. */
  | { readonly type: 'probe-unused'; readonly now: number }
  | { readonly type: 'reset' };

export const CLOSED: Breaker = { state: 'closed', suspicion: null };

export function nextBreaker(breaker: Breaker, event: BreakerEvent): Breaker {
  switch (event.type) {
    case 'success':
    case 'reset':
      return CLOSED;
    case 'probe-begun':
      return breaker.state === 'open'
        ? { state: 'probing', openings: breaker.openings, alike: breaker.alike }
        : breaker;
    case 'probe-unused':
      return breaker.state === 'probing'
        ? { ...breaker, state: 'open', until: event.now }
        : breaker;
    case 'target-failure':
      return afterTargetFailure(breaker, event);
    case 'object-failure':
      return afterObjectFailure(breaker, event);
  }
}

function afterTargetFailure(
  breaker: Breaker,
  event: Extract<BreakerEvent, { type: 'target-failure' }>,
): Breaker {
  const asked = Math.min(event.retryAfterMs ?? 0, RETRY_AFTER_MAX_MS);
  if (breaker.state === 'open') {
    return { ...breaker, until: Math.max(breaker.until, event.now + asked) };
  }
  if (breaker.state === 'probing' && !event.probe) return breaker;
  const openings = breaker.state === 'probing' ? breaker.openings + 1 : 1;
  const wait = backoffMs(openings, event.random, WAIT_MAX_MS[event.kind]);
  return { state: 'open', until: event.now + Math.max(wait, asked), openings, alike: null };
}

function afterObjectFailure(
  breaker: Breaker,
  event: Extract<BreakerEvent, { type: 'object-failure' }>,
): Breaker {
  const { key, alike } = event;
  if (breaker.state === 'open' || (breaker.state === 'probing' && !event.probe)) return breaker;
  const suspicion = breaker.state === 'closed' ? breaker.suspicion : null;
  const again =
    breaker.state === 'probing'
      ? breaker.alike === alike
      : suspicion?.alike === alike && suspicion.key !== key;
  // The target answered, and not for the reason that opened the breaker: it is there again.
  if (!again) return { state: 'closed', suspicion: { key, alike } };
  const openings = breaker.state === 'probing' ? breaker.openings + 1 : 1;
  const until = event.now + backoffMs(openings, event.random, WAIT_MAX_MS.refusal);
  return { state: 'open', until, openings, alike };
}
