/**
 * Tells of commits that may have made work, and where: at once of those of this process, and of others
 * by looking at the environment's counters now and then, which costs three lookups.
 *
 * Counters are counted up by one process at a time, so each knows which of their values are its own.
 * Rows of others are found by their sequences, and name their lanes; other changes of others (of
 * configurations, retries) may concern any lane.
 */
import type { LaneRef, Row } from '../model/row.ts';
import { ANYWHERE, type Work } from '../model/work.ts';
import type { CounterValues } from './counters.ts';
import { laneRefOf } from './lane-numbers.ts';
import { sequenceKey } from './outbox-keys.ts';
import type { Tables } from './tables.ts';

/** Rows of other processes that are looked at one by one; where there are more, any lane may have some. */
const ROWS_MAX = 4_096;

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
  readonly #listeners = new Set<(work: Work) => void>();
  readonly #stop: () => void;
  #seen: CounterValues;

  /** @param intervalMs how often to look for the commits of other processes */
  constructor(tables: Tables, intervalMs: number, every: Every = systemInterval) {
    this.#tables = tables;
    this.#seen = this.#read();
    this.#stop = every(intervalMs, () => this.#look());
  }

  subscribe(listener: (work: Work) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(work: Work): void {
    for (const listener of this.#listeners) listener(work);
  }

  /** Of rows that were queued by this process. */
  tellRows(rows: readonly Row[]): void {
    if (rows.length > 0) this.tell({ kind: 'lanes', lanes: rows.map(({ lane }) => lane) });
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #look(): void {
    const work = this.#workOfOthers();
    if (work.kind === 'lanes' && work.lanes.length === 0) return;
    this.tell(work);
  }

  /** Where the disk failed inside LMDB's header nothing can be read: there is no news then. */
  #workOfOthers(): Work {
    try {
      this.#tables.storage.refresh();
      const seen = this.#seen;
      this.#seen = this.#read();
      const { sequences, others } = this.#tables.counters.foreign(seen, this.#seen);
      if (this.#listeners.size === 0) return { kind: 'lanes', lanes: [] };
      return others ? ANYWHERE : this.#lanesOfRows(sequences);
    } catch {
      return { kind: 'lanes', lanes: [] };
    }
  }

  #lanesOfRows(sequences: readonly (readonly [first: number, last: number])[]): Work {
    const lanes = new Map<number, LaneRef>();
    let rows = 0;
    for (const [first, last] of sequences) {
      const range = { start: sequenceKey(first), end: sequenceKey(last + 1) };
      for (const { value } of this.#tables.rows.range(range)) {
        rows += 1;
        if (rows > ROWS_MAX) return ANYWHERE;
        if (lanes.has(value.lane)) continue;
        const owner = this.#tables.laneOwners.get(value.lane);
        if (owner !== undefined) lanes.set(value.lane, laneRefOf(owner));
      }
    }
    return { kind: 'lanes', lanes: [...lanes.values()] };
  }

  #read(): CounterValues {
    const { counters } = this.#tables;
    return {
      sequence: counters.lastSequence(),
      work: counters.work(),
      changes: counters.changes(),
    };
  }
}
