/**
 * When each lane wants to be woken: an ordered set of times under one timer, however many lanes wait.
 *
 * A binary heap by time; what was replaced or withdrawn stays in the heap until its turn comes, or until
 * there is more of that than of all else. Times are monotonic milliseconds.
 */
import type { EngineClock } from './clock.ts';

/** Timers are not exact: what is due so soon is due now. */
const EARLY_MS = 1;
const STALE_MIN = 64;

export interface Sleeper {
  /** Its time has come. */
  notify(): void;
}

interface WakeTime {
  readonly sleeper: Sleeper;
  readonly at: number;
}

export class WakeTimes {
  readonly #clock: EngineClock;
  readonly #times = new Map<Sleeper, WakeTime>();
  #heap: WakeTime[] = [];
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  constructor(clock: EngineClock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#times.size;
  }

  /** In place of the sleeper's present time. */
  set(sleeper: Sleeper, delayMs: number): void {
    const time = { sleeper, at: this.#clock.monotonicMs() + delayMs };
    this.#times.set(sleeper, time);
    this.#push(time);
    if (this.#heap.length > STALE_MIN + 2 * this.#times.size) this.#dropStale();
    this.#arm();
  }

  /** As {@link set}, where the sleeper would not be woken before. */
  setNoLater(sleeper: Sleeper, delayMs: number): void {
    if (this.at(sleeper) > this.#clock.monotonicMs() + delayMs) this.set(sleeper, delayMs);
  }

  delete(sleeper: Sleeper): void {
    this.#times.delete(sleeper);
  }

  has(sleeper: Sleeper): boolean {
    return this.#times.has(sleeper);
  }

  /** Infinity where there is no time for it. */
  at(sleeper: Sleeper): number {
    return this.#times.get(sleeper)?.at ?? Infinity;
  }

  /** Nobody is woken any longer. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#times.clear();
    this.#heap = [];
  }

  /** Sets the timer for the first time, unless it is set for that. */
  #arm(): void {
    const first = this.#first();
    if (first === undefined || (this.#timer !== null && this.#timer.at <= first.at)) return;
    this.#timer?.cancel();
    const delayMs = Math.max(0, first.at - this.#clock.monotonicMs());
    const cancel = this.#clock.after(delayMs, () => this.#wakeDue());
    this.#timer = { at: first.at, cancel };
  }

  #wakeDue(): void {
    this.#timer = null;
    const now = this.#clock.monotonicMs() + EARLY_MS;
    for (let first = this.#first(); first !== undefined && first.at <= now; first = this.#first()) {
      this.#pop();
      this.#times.delete(first.sleeper);
      first.sleeper.notify();
    }
    this.#arm();
  }

  /** The first that still holds. */
  #first(): WakeTime | undefined {
    for (;;) {
      const [first] = this.#heap;
      if (first === undefined || this.#times.get(first.sleeper) === first) return first;
      this.#pop();
    }
  }

  #dropStale(): void {
    // In order of time, an array is a heap.
    this.#heap = [...this.#times.values()].sort((a, b) => a.at - b.at);
  }

  #push(time: WakeTime): void {
    const heap = this.#heap;
    let index = heap.push(time) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if ((heap[above]?.at ?? -Infinity) <= time.at) break;
      heap[index] = heap[above] ?? time;
      index = above;
    }
    heap[index] = time;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if ((heap[below + 1]?.at ?? Infinity) < (heap[below]?.at ?? Infinity)) below += 1;
      const next = heap[below];
      if (next === undefined || next.at >= last.at) break;
      heap[index] = next;
      index = below;
    }
    heap[index] = last;
  }
}
