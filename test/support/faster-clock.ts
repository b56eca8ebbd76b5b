/**
 * Time that runs many times as fast as real time, so that timeouts and waits of minutes can be met
 * over real sockets. It stands still while this process has no turn: a step counts for at most ten
 * real milliseconds, so that a busy machine makes a test slower and not different.
 */
import type { EngineClock } from '../../src/engine/clock.ts';

const STEP_MS = 2;
/** Real time that a step counts for at most. */
const STEP_MAX_MS = 10;

export interface FasterClock extends EngineClock {
  /** Resolves after so much of the faster time. */
  pass(delayMs: number): Promise<void>;
}

/** @param factor how many of its milliseconds pass in a real one */
export function fasterClock(factor: number): FasterClock {
  const startedAt = Date.now();
  const timers = new Map<object, { readonly due: number; readonly callback: () => void }>();
  let elapsedMs = 0;
  let readAt = performance.now();
  let step: NodeJS.Timeout | null = null;

  const read = (): number => {
    const real = performance.now();
    elapsedMs += Math.min(real - readAt, STEP_MAX_MS) * factor;
    readAt = real;
    return elapsedMs;
  };
  const run = (): void => {
    const now = read();
    const due = [...timers].filter(([, timer]) => timer.due <= now);
    for (const [id, { callback }] of due.sort(([, a], [, b]) => a.due - b.due)) {
      // One that ran before may have cancelled it.
      if (timers.delete(id)) callback();
    }
    step = null;
    schedule();
  };
  const schedule = (): void => {
    if (step === null && timers.size > 0) step = setTimeout(run, STEP_MS).unref();
  };
  const after = (delayMs: number, callback: () => void): (() => void) => {
    const id = {};
    timers.set(id, { due: read() + delayMs, callback });
    schedule();
    return () => void timers.delete(id);
  };
  return {
    nowMs: () => startedAt + Math.floor(read()),
    monotonicMs: read,
    after,
    pass: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
  };
}

/** Real time, with the same way to wait. */
export function realClock(): FasterClock {
  const after = (delayMs: number, callback: () => void): (() => void) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  };
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after,
    pass: (delayMs) => new Promise((resolve) => void after(delayMs, resolve)),
  };
}
