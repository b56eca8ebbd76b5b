/**
 * Tells of commits that may have made work: at once of those of this process, and of others by looking
 * at the environment's counters now and then, which costs three lookups.
 */
import type { Tables } from './tables.ts';

/** Calls back again and again; returns the way to end that. */
export type Every = (intervalMs: number, callback: () => void) => () => void;

/** Keeps no process alive. */
export const systemInterval: Every = (intervalMs, callback) => {
  const timer = setInterval(callback, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
};

export class CommitFeed {
  readonly #tables: Tables;
  readonly #listeners = new Set<() => void>();
  readonly #stop: () => void;
  #seen: string;

  /** @param intervalMs how often to look for the commits of other processes */
  constructor(tables: Tables, intervalMs: number, every: Every = systemInterval) {
    this.#tables = tables;
    this.#seen = this.#read();
    this.#stop = every(intervalMs, () => this.#look());
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(): void {
    for (const listener of this.#listeners) listener();
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #look(): void {
    if (this.#listeners.size === 0) return;
    const now = this.#readNewest();
    if (now === this.#seen) return;
    this.#seen = now;
    this.tell();
  }

  /** Where the disk failed inside LMDB's header nothing can be read: there is no news then. */
  #readNewest(): string {
    try {
      this.#tables.storage.refresh();
      return this.#read();
    } catch {
      return this.#seen;
    }
  }

  #read(): string {
    const { counters } = this.#tables;
    return `${counters.lastSequence()} ${counters.work()} ${counters.changes()}`;
  }
}
