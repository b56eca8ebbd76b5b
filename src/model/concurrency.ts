/**
 * How many requests a lane has in flight: additive increase, multiplicative decrease. A full round
 * of successes adds one; "slow down" (429, 503) halves.
 *
 * The requests that were in flight when a lane was told to slow down will mostly be told the same:
 * they are one round and halve once. So a request remembers the number of `cuts` at its start.
 */

export const CONCURRENCY_MAX = 16;
/** A lane that nobody has tried yet must not bind many connections to a black hole. */
const CONCURRENCY_INITIAL = 4;

export interface Concurrency {
  /** Requests allowed in flight, 1 to `max`. */
  readonly allowed: number;
  readonly max: number;
  /** Since `allowed` last changed. */
  readonly successes: number;
  readonly cuts: number;
}

export function newConcurrency(max = CONCURRENCY_MAX): Concurrency {
  return { allowed: Math.min(max, CONCURRENCY_INITIAL), max, successes: 0, cuts: 0 };
}

export function afterSuccess(state: Concurrency): Concurrency {
  if (state.allowed >= state.max) return state;
  const successes = state.successes + 1;
  return successes < state.allowed
    ? { ...state, successes }
    : { ...state, allowed: state.allowed + 1, successes: 0 };
}

/** @param cutsAtStart `cuts` as the request that was told so began */
export function afterSlowDown(state: Concurrency, cutsAtStart: number): Concurrency {
  if (cutsAtStart !== state.cuts) return state;
  return {
    ...state,
    allowed: Math.max(1, Math.floor(state.allowed / 2)),
    successes: 0,
    cuts: state.cuts + 1,
  };
}
