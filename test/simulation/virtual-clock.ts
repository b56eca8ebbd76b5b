/**
 * Time that passes only between events: everything that can happen now has happened before the next
 * timer fires. The wall clock can be set, which the store's clock takes in when the machine starts again.
 */
import type { EngineClock } from '../../src/engine/clock.ts';

const EPOCH_MS = Date.UTC(2030, 0, 1);

interface Timer {
  readonly at: number;
  readonly sequence: number;
  callback: (() => void) | null;
}

export class VirtualClock implements EngineClock {
  /** A binary heap by time, then by when the timer was set. */
  readonly #timers: Timer[] = [];
  #now = 0;
  #offset = 0;
  /** By how much the wall clock was set since the machine started. */
  #setBy = 0;
  #sequence = 0;

  nowMs(): number {
    return EPOCH_MS + this.#offset + this.#now;
  }

  monotonicMs(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const at = this.#now + Math.max(0, delayMs);
    const timer: Timer = { at, sequence: this.#sequence++, callback };
    this.#push(timer);
    return () => void (timer.callback = null);
  }

  /** Somebody sets the system's clock. */
  jump(byMs: number): void {
    this.#setBy += byMs;
  }

  /** The machine starts again: everything that is stored is from now on by its wall clock. */
  reboot(): void {
    this.#offset += this.#setBy;
    this.#setBy = 0;
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /** Lets time pass until `isDone`, asked after each event; false where `limitMs` passed before. */
  async run(limitMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    const limit = this.#now + limitMs;
    for (;;) {
      await settled();
      if (isDone()) return true;
      const timer = this.#pop(limit);
      if (timer === null) {
        this.#now = limit;
        return false;
      }
      this.#now = timer.at;
      timer.callback?.();
    }
  }

  #pop(limit: number): Timer | null {
    for (;;) {
      const [first] = this.#timers;
      if (first === undefined || (first.callback !== null && first.at > limit)) return null;
      const last = this.#timers.pop();
      if (last !== undefined && last !== first) this.#sink(last);
      if (first.callback !== null) return first;
    }
  }

  #push(timer: Timer): void {
    let index = this.#timers.push(timer) - 1;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#timers[parentIndex];
      if (parent === undefined || !isBefore(timer, parent)) break;
      this.#timers[index] = parent;
      index = parentIndex;
    }
    this.#timers[index] = timer;
  }

  /** Puts `timer` in the place of the first one. */
  #sink(timer: Timer): void {
    const timers = this.#timers;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const leftTimer = timers[left];
      if (leftTimer === undefined) break;
      const rightTimer = timers[left + 1];
      const isRight = rightTimer !== undefined && isBefore(rightTimer, leftTimer);
      const child = isRight ? rightTimer : leftTimer;
      if (!isBefore(child, timer)) break;
      timers[index] = child;
      index = isRight ? left + 1 : left;
    }
    timers[index] = timer;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}

/** Resolves when no promise and no stream can go on without time passing. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
