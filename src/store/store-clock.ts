/**
 * The clock by which everything in the store is written and waited for: it runs with the machine's
 * monotonic clock, and is the same in every process of the environment.
 *
 * The wall clock is asked once after each start of the machine. Whoever sets it meanwhile changes no
 * schedule: a retry that is due in a minute is due in a minute. What the store shows to people is
 * translated by `wallOf`.
 */
import type { StoreClock } from '../model/ports.ts';
import type { Tables } from './tables.ts';

/** Keys in `meta`. */
const BOOT = 'clock-boot';
const OFFSET = 'clock-offset';

export interface MachineTime {
  /** Which start of the machine this is (boot.ts); null where the system does not say. */
  readonly boot: number | null;
  /** Milliseconds since the epoch; may jump. */
  readonly wallMs: () => number;
  /** Milliseconds since the machine started, the same in each of its processes. */
  readonly monotonicMs: () => number;
}

/** Agrees with the other processes of the environment. Not inside of a transaction. */
export async function openStoreClock(
  { storage, meta }: Pick<Tables, 'storage' | 'meta'>,
  { boot, wallMs, monotonicMs }: MachineTime,
): Promise<StoreClock> {
  const fresh = Math.round(wallMs() - monotonicMs());
  const agreed = (): number | undefined => (meta.get(BOOT) === boot ? meta.get(OFFSET) : undefined);
  const agree = (): number => {
    const known = agreed();
    if (known !== undefined || boot === null) return known ?? fresh;
    meta.put(BOOT, boot);
    meta.put(OFFSET, fresh);
    return fresh;
  };
  let offset = fresh;
  try {
    storage.refresh();
    offset = agreed() ?? (boot === null ? fresh : await storage.transaction(agree));
  } catch {
    // A full disk keeps no server from starting: this process goes by the wall clock of its start.
  }
  // In whole seconds: a time that is shown twice is the same.
  const setBy = (): number => Math.round((wallMs() - nowMs()) / 1_000) * 1_000;
  const nowMs = (): number => Math.round(offset + monotonicMs());
  return {
    nowMs,
    // What an earlier start of the machine wrote is by the wall clock of then.
    wallOf: (timeMs) => (timeMs < offset ? timeMs : timeMs + setBy()),
  };
}
