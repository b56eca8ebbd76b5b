/**
 * When the oldest pending row of the server was queued, at a cost that depends neither on the number of
 * lanes nor on that of rows.
 *
 * Rows are walked in the order of their sequences, and failed ones at the beginning are passed once and
 * for all. Some of those may become pending again, which the counter of work tells of: then they are
 * walked again from the first one, beside the others, until all have been looked at.
 *
 * Where there are very many, a walk ends before it finds a pending row, and the next one goes on there.
 * Until one has come to the end of the failed ones, the last that was passed stands for the oldest,
 * which was queued after it.
 */
import { sequenceKey, trailingSequence } from './outbox-keys.ts';
import type { Tables } from './tables.ts';

/** Some milliseconds of work. */
const WALK_MAX = 1_024;

interface Walk {
  /** When the first pending row was queued; null where none was met. */
  readonly pendingAt: number | null;
  /** When the last row was queued that was met. */
  readonly passedAt: number | null;
  /** Behind the failed rows at the beginning: of the first one that has not failed, where there is one. */
  readonly next: number;
  readonly areAllFailed: boolean;
  readonly isOver: boolean;
}

export class OldestPending {
  readonly #tables: Pick<Tables, 'rows' | 'counters'>;
  /** Rows of lower sequences had failed when they were passed. */
  #from = 0;
  /** From where on those are walked again; null where none has come back since. */
  #again: number | null = null;
  /** The count of work when that began. */
  #work = -1;

  constructor(tables: Pick<Tables, 'rows' | 'counters'>) {
    this.#tables = tables;
  }

  /** In a read transaction in which some row is pending. */
  createdAt(): number | null {
    this.#walkAgain();
    let walk = this.#walk(this.#from);
    // It is among those that were passed, perhaps without a word: a row that verified may be work now.
    if (walk.pendingAt === null && walk.isOver) walk = this.#walk(0);
    this.#from = walk.next;
    return walk.pendingAt ?? walk.passedAt;
  }

  #walkAgain(): void {
    if (this.#again === null) {
      const work = this.#tables.counters.work();
      if (work === this.#work) return;
      this.#work = work;
      this.#again = 0;
    }
    const { next, areAllFailed, isOver } = this.#walk(this.#again, this.#from);
    this.#again = areAllFailed && !isOver ? next : null;
    if (!areAllFailed) this.#from = next;
  }

  #walk(start: number, end?: number): Walk {
    let next = start;
    let walked = 0;
    let passedAt: number | null = null;
    let areAllFailed = true;
    const range = {
      start: sequenceKey(start),
      ...(end === undefined ? {} : { end: sequenceKey(end) }),
      limit: WALK_MAX,
    };
    for (const { key, value } of this.#tables.rows.range(range)) {
      const sequence = trailingSequence(key);
      const { state, createdAt } = value;
      // A row that verifies may become a pending one: it is not passed for all.
      if (areAllFailed) next = state === 'failed' ? sequence + 1 : sequence;
      areAllFailed &&= state === 'failed';
      if (state === 'pending') {
        return { pendingAt: createdAt, passedAt, next, areAllFailed, isOver: false };
      }
      walked += 1;
      passedAt = createdAt;
    }
    return { pendingAt: null, passedAt, next, areAllFailed, isOver: walked < WALK_MAX };
  }
}
