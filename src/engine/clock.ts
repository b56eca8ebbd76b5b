/**
 * Time for the engine. Nothing here jumps: timers and durations are monotonic, and what is stored is by
 * the store's own clock, so that whoever sets the system's clock neither stalls nor rushes anything.
 */
import type { StoreClock } from '../model/ports.ts';

export interface EngineClock {
  /** The store's clock (model/ports.ts), milliseconds since the epoch. */
  nowMs(): number;
  /** Milliseconds from any fixed point; never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels that. Keeps no process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Real time. */
export function createEngineClock({ nowMs }: Pick<StoreClock, 'nowMs'>): EngineClock {
  return {
    nowMs,
    monotonicMs: () => performance.now(),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs).unref();
      return () => clearTimeout(timer);
    },
  };
}

/** Resolves after `delayMs`, or at once when `signal` aborts; never rejects. */
export function pause(clock: EngineClock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(delayMs, end);
    signal?.addEventListener('abort', end, { once: true });
  });
}
