/**
 * Numbers of the store that only grow, so that none is ever used twice. Inside one of the
 * outbox's transactions each is read once and written once, however often it is counted up.
 */
import type { Table } from './table.ts';

/** Sequences order rows, intents, dropped events and runs of resyncs among each other. */
const SEQUENCE = 'sequence';
const LANE = 'lane';
/** Numbers saved rules (`incarnation`). It counts for the whole server, so no answer shows it. */
const INCARNATION = 'incarnation';
/** Counts transactions that may have made work without taking a sequence. */
const WORK = 'work';
/** Counts changes of what {@link Memo} keeps: configurations, retry marks, lanes that are forgotten. */
const CHANGES = 'changes';

export class Counters {
  readonly #meta: Table<number, string>;
  /** What the running transaction has read or counted. */
  readonly #values = new Map<string, number>();
  #isInside = false;
  readonly #counted = new Set<string>();
  #aborts = 0;

  constructor(meta: Table<number, string>) {
    this.#meta = meta;
  }

  nextSequence(): number {
    return this.#increment(SEQUENCE);
  }

  lastSequence(): number {
    return this.#read(SEQUENCE);
  }

  nextIncarnation(): number {
    return this.#increment(INCARNATION);
  }

  nextLane(): number {
    return this.#increment(LANE);
  }

  /** For transactions that make rows due but enqueue none: other processes look at the counters. */
  noteWork(): void {
    this.#increment(WORK);
  }

  work(): number {
    return this.#read(WORK);
  }

  /** In the transaction of each write to `configurations`, new retry mark, and removal of a lane. */
  noteChange(): void {
    this.#increment(CHANGES);
  }

  changes(): number {
    return this.#read(CHANGES);
  }

  begin(): void {
    this.#values.clear();
    this.#counted.clear();
    this.#isInside = true;
  }

  end(): void {
    for (const name of this.#counted) this.#meta.put(name, this.#read(name));
    this.#isInside = false;
  }

  abort(): void {
    this.#isInside = false;
    this.#aborts += 1;
  }

  /** How many transactions were rolled back: what was read in one of them may never have been. */
  get aborts(): number {
    return this.#aborts;
  }

  #increment(name: string): number {
    const next = this.#read(name) + 1;
    if (this.#isInside) {
      this.#values.set(name, next);
      this.#counted.add(name);
    } else {
      this.#meta.put(name, next);
    }
    return next;
  }

  #read(name: string): number {
    if (!this.#isInside) return this.#meta.get(name) ?? 0;
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const value = this.#meta.get(name) ?? 0;
    this.#values.set(name, value);
    return value;
  }
}
