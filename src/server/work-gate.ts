/**
 * Lets a few expensive pieces of work run at once and a bounded number wait, in order of arrival.
 *
 * Invariants: `#running` never exceeds its limit; somebody waits only while it is reached; a slot
 * that comes free goes to the one who waited longest, so that nobody who comes later overtakes.
 */
export class WorkGate {
  readonly #runningMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: { runningMax: number; waitingMax: number }) {
    this.#runningMax = options.runningMax;
    this.#waitingMax = options.waitingMax;
  }

  /**
   * Runs `work` when a slot is free; `full` makes the error for those who find no room to wait.
   */
  async run<T>(work: () => Promise<T>, full: () => Error): Promise<T> {
    if (this.#running < this.#runningMax) this.#running += 1;
    else await this.#slot(full);
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }

  #slot(full: () => Error): Promise<void> {
    if (this.#waiting.length >= this.#waitingMax) throw full();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
