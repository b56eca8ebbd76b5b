import { createEngineClock, type EngineClock } from '../../src/engine/clock.ts';

/** The clock of a whole plugin, without the store's: its times are monotonic only. */
export function createRealClock(): EngineClock {
  return createEngineClock({ nowMs: () => performance.now() });
}
