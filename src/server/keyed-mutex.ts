/**
 * Mutual exclusion by name, in the order of arrival, within this process.
 *
 * Invariant: `#tails` holds a name exactly as long as somebody holds or awaits its lock, so memory
 * does not grow with the number of names ever locked.
 */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Runs `work` alone under `key`. Not re-entrant: taking the same key inside `work` never ends. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(key);
    const { promise: tail, resolve: release } = newGate();
    this.#tails.set(key, tail);
    try {
      await before;
      return await work();
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
      release();
    }
  }

  /** How many names are locked or waited for. */
  get size(): number {
    return this.#tails.size;
  }
}

function newGate(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
