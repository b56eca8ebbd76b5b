/**
 * Memory for bodies: each lane has its own, so that a lane whose target takes nothing holds up
 * nobody else. Those who wait are served in order, so that a large body is not passed over for ever.
 *
 * Invariant: what is taken exceeds the budget only while a single body larger than all of it is out.
 */

interface Waiting {
  readonly bytes: number;
  readonly serve: () => void;
}

export class ByteBudget {
  readonly #budget: number;
  readonly #waiting: Waiting[] = [];
  #taken = 0;

  /** @param budget bytes */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** To be given back. Resolves when it is taken; undefined where that was at once. */
  take(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) {
      return new Promise<void>((serve) => this.#waiting.push({ bytes, serve }));
    }
    this.#taken += bytes;
    return undefined;
  }

  giveBack(bytes: number): void {
    this.#taken -= bytes;
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || !this.#fits(next.bytes)) return;
      this.#waiting.shift();
      this.#taken += next.bytes;
      next.serve();
    }
  }

  #fits(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#budget;
  }
}
