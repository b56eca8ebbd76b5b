/**
 * Time for the engine. Timers and durations are monotonic, so that a corrected system clock neither
 * stalls nor rushes them; the wall clock is only for what is stored or shown.
 */

export interface EngineClock {
  /** Wall clock, milliseconds since the epoch; may jump. */
  nowMs(): number;
  /** Milliseconds from any fixed point; never goes back. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels that. Keeps no process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Real time. */
export function createEngineClock(): EngineClock {
  return {
    nowMs: () => Date.now(),
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
