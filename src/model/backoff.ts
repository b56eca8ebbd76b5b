/** How long to wait after a failure: 1 s, growing 4-fold, with jitter, so that rows do not come back together. */

const FIRST_MS = 1_000;
const GROWTH = 4;
/** A wait is its nominal length times a factor from 1 - JITTER to 1 + JITTER. */
const JITTER = 0.2;

export const ROW_WAIT_MAX_MS = 60 * 60 * 1_000;

/**
 * @param failures how many there were, this one included; at least 1
 * @param random in [0, 1)
 * @returns milliseconds, at most `maxMs`
 */
export function backoffMs(failures: number, random: number, maxMs = ROW_WAIT_MAX_MS): number {
  const nominal = Math.min(maxMs, FIRST_MS * GROWTH ** Math.max(0, failures - 1));
  return Math.min(maxMs, Math.round(nominal * (1 - JITTER + 2 * JITTER * random)));
}
