/** A clock that stands still until a test moves it, and that knows which timers are still set. */
import type { ResolverClock } from '../../src/egress/resolver.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class ManualClock implements ResolverClock {
  readonly #timers = new Set<Timer>();
  #nowMs = 0;

  get timersSet(): number {
    return this.#timers.size;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(byMs: number): void {
    this.#nowMs += byMs;
    for (const timer of [...this.#timers].sort((a, b) => a.atMs - b.atMs)) {
      if (timer.atMs > this.#nowMs || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
  }
}
