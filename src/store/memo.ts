/**
 * Values that are read in nearly every transaction and change seldom, decoded once per change.
 * Decoding costs ten times a lookup, and LMDB's own transaction id is no use as a validator, since
 * every queued row moves it: a counter of changes (counters.ts), which any process moves, is.
 */
import type { Counters } from './counters.ts';

const ENTRIES_MAX = 1_000;

export class Memo<Key, Value> {
  readonly #counters: Counters;
  readonly #entriesMax: number;
  readonly #entries = new Map<Key, Value>();
  #changes = -1;
  #aborts = 0;

  /** @param entriesMax beyond it, the oldest goes for each new one */
  constructor(counters: Counters, entriesMax = ENTRIES_MAX) {
    this.#counters = counters;
    this.#entriesMax = entriesMax;
  }

  /**
   * As the current transaction sees it. What is not there is not remembered: it may be added without
   * a change that counts.
   *
   * @param read must depend on nothing but the key and what the counter of changes counts
   */
  get(key: Key, read: () => Value | undefined): Value | undefined {
    this.#forgetWhatChanged();
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const value = read();
    if (value !== undefined) this.#remember(key, value);
    return value;
  }

  /** Were all to go at once, everybody would read anew. */
  #remember(key: Key, value: Value): void {
    if (this.#entries.size >= this.#entriesMax) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(key, value);
  }

  #forgetWhatChanged(): void {
    const changes = this.#counters.changes();
    const { aborts } = this.#counters;
    if (changes === this.#changes && aborts === this.#aborts) return;
    this.#entries.clear();
    this.#changes = changes;
    this.#aborts = aborts;
  }
}
