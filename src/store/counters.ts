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

/** Whose own values {@link Counters.foreign} passes; of others nobody would ever forget them. */
const TELLING: ReadonlySet<string> = new Set([SEQUENCE, WORK, CHANGES]);

/** The counters that tell of work. */
export interface CounterValues {
  readonly sequence: number;
  readonly work: number;
  readonly changes: number;
}

type Range = readonly [first: number, last: number];

export class Counters {
  readonly #meta: Table<number, string>;
  /** What the running transaction has read or counted. */
  readonly #values = new Map<string, number>();
  #isInside = false;
  /** What the running transaction counts up, from where. */
  readonly #counted = new Map<string, number>();
  /** Values that this process counted, in order, which {@link foreign} has not passed yet. */
  readonly #own = new Map<string, Range[]>();
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
    for (const [name, before] of this.#counted) {
      const last = this.#read(name);
      this.#meta.put(name, last);
      if (TELLING.has(name)) this.#noteOwn(name, [before + 1, last]);
    }
    this.#isInside = false;
  }

  /**
   * What other processes counted between two looks: sequences, and whether anything else. Each look
   * begins where the one before ended.
   */
  foreign(
    before: CounterValues,
    after: CounterValues,
  ): { readonly sequences: readonly Range[]; readonly others: boolean } {
    const work = this.#foreign(WORK, before.work, after.work);
    const changes = this.#foreign(CHANGES, before.changes, after.changes);
    return {
      sequences: this.#foreign(SEQUENCE, before.sequence, after.sequence),
      others: work.length + changes.length > 0,
    };
  }

  abort(): void {
    // What was counted by a transaction that could not be committed may be counted by others again.
    if (!this.#isInside) this.#own.clear();
    this.#isInside = false;
    this.#aborts += 1;
  }

  /** How many transactions were rolled back: what was read in one of them may never have been. */
  get aborts(): number {
    return this.#aborts;
  }

  #increment(name: string): number {
    const before = this.#read(name);
    const next = before + 1;
    if (this.#isInside) {
      this.#values.set(name, next);
      if (!this.#counted.has(name)) this.#counted.set(name, before);
    } else {
      this.#meta.put(name, next);
    }
    return next;
  }

  /** Transactions of one process follow each other closely: ranges that touch are one. */
  #noteOwn(name: string, [first, last]: Range): void {
    const own = this.#own.get(name) ?? [];
    const newest = own.at(-1);
    if (newest !== undefined && newest[1] === first - 1) own[own.length - 1] = [newest[0], last];
    else own.push([first, last]);
    this.#own.set(name, own);
  }

  /** The parts of what follows `before`, up to `last`, that are not this process's own. */
  #foreign(name: string, before: number, last: number): Range[] {
    const own = this.#own.get(name) ?? [];
    const foreign: Range[] = [];
    let next = before + 1;
    for (const [first, end] of own) {
      if (first > last) break;
      if (first > next) foreign.push([next, first - 1]);
      next = Math.max(next, end + 1);
    }
    if (next <= last) foreign.push([next, last]);
    this.#own.set(
      name,
      own.filter(([, end]) => end > last),
    );
    return foreign;
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
