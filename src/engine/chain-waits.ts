/**
 * Which chains of a lane are backing off, for synchronous writes that would wait for them in vain. A
 * hint, bounded: the oldest are forgotten.
 */

const CHAINS_MAX = 1_000;

export class ChainWaits {
  /** By key, monotonic milliseconds. */
  readonly #until = new Map<string, number>();

  set(key: string, untilMs: number): void {
    this.#until.delete(key);
    const [oldest] = this.#until.keys();
    if (this.#until.size >= CHAINS_MAX && oldest !== undefined) this.#until.delete(oldest);
    this.#until.set(key, untilMs);
  }

  clear(key: string): void {
    this.#until.delete(key);
  }

  isWaiting(key: string, nowMs: number): boolean {
    return (this.#until.get(key) ?? 0) > nowMs;
  }
}
