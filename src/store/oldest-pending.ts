/**
 * When the oldest pending row of the server was queued, at a cost that depends neither on the number of
 * lanes nor on that of rows.
 *
 * Rows are walked in the order of their sequences. Failed ones at the beginning are passed once and for
 * all, until a retry may have made some pending again. Where there are very many of them, a walk ends
 * before it finds a pending row: then the last one that it passed stands for the oldest, which was queued
 * after it, and the next walk goes on there.
 */
import { sequenceKey, trailingSequence } from './outbox-keys.ts';
import type { Tables } from './tables.ts';

/** Some milliseconds of work. */
const WALK_MAX = 1_024;

export class OldestPending {
  readonly #tables: Pick<Tables, 'rows' | 'counters'>;
  /** No pending row has a lower sequence, as long as `#work` is what it was. */
  #from = 0;
  #work = -1;

  constructor(tables: Pick<Tables, 'rows' | 'counters'>) {
    this.#tables = tables;
  }

  /** In a read transaction; null where there is none. */
  createdAt(): number | null {
    const work = this.#tables.counters.work();
    if (work !== this.#work) this.#from = 0;
    this.#work = work;
    const hadPassed = this.#from > 0;
    const found = this.#walk();
    if (found !== null || !hadPassed) return found;
    // One that was passed is pending again.
    this.#from = 0;
    return this.#walk();
  }

  #walk(): number | null {
    let walked = 0;
    let passed: number | null = null;
    let areAllFailed = true;
    const range = { start: sequenceKey(this.#from), limit: WALK_MAX };
    for (const { key, value } of this.#tables.rows.range(range)) {
      walked += 1;
      if (value.state === 'pending') return value.createdAt;
      passed = value.createdAt;
      // A row that verifies may become a pending one.
      areAllFailed &&= value.state === 'failed';
      if (areAllFailed) this.#from = trailingSequence(key) + 1;
    }
    return walked < WALK_MAX ? null : passed;
  }
}
