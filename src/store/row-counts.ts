/**
 * How many rows of each lane and ruleset there are, by state, and how many in all. A transaction adds up
 * what it changes and writes each counter once; whoever reads counters in the middle of it sees its own
 * changes.
 */
import type { RowState } from '../model/row.ts';
import { countsValue, endOf, laneKey, readCounts, type StateCounts } from './outbox-keys.ts';
import type { KeyRange } from './table.ts';
import type { Tables } from './tables.ts';

export interface RulesetCount extends StateCounts {
  /** Lane and ruleset: its key in `counts`, and the prefix of its rows in `due` and `queue`. */
  readonly key: Buffer;
}

interface Change extends Record<RowState, number> {
  readonly key: Buffer;
}

/** Of all lanes: no lane has the number 0. */
const TOTALS = laneKey(0);
const NONE: StateCounts = { pending: 0, verifying: 0, failed: 0 };

export class RowCounts {
  readonly #counts: Tables['counts'];
  /** Changes that are not written yet, by key. */
  readonly #changes = new Map<string, Change>();

  constructor({ counts }: Pick<Tables, 'counts'>) {
    this.#counts = counts;
  }

  change(key: Buffer, state: RowState, by: 1 | -1): void {
    const name = key.toString('latin1');
    let change = this.#changes.get(name);
    if (change === undefined) {
      change = { key, ...NONE };
      this.#changes.set(name, change);
    }
    change[state] += by;
  }

  of(lane: number): RulesetCount[] {
    const start = laneKey(lane);
    return this.#read({ start, end: endOf(start) });
  }

  all(): RulesetCount[] {
    return this.#read({ start: endOf(TOTALS) });
  }

  /** Of all lanes, behind a key, or from the beginning. */
  page(after: Buffer | null, limit: number): RulesetCount[] {
    return this.#read({ start: after ?? endOf(TOTALS), exclusiveStart: after !== null, limit });
  }

  totals(): StateCounts {
    this.end();
    const value = this.#counts.get(TOTALS);
    return value === undefined ? NONE : readCounts(value);
  }

  begin(): void {
    this.#changes.clear();
  }

  end(): void {
    if (this.#changes.size === 0) return;
    const all = { key: TOTALS, ...NONE };
    for (const change of this.#changes.values()) {
      this.#apply(change);
      all.pending += change.pending;
      all.verifying += change.verifying;
      all.failed += change.failed;
    }
    this.#apply(all);
    this.#changes.clear();
  }

  abort(): void {
    this.#changes.clear();
  }

  #read(range: KeyRange<Buffer>): RulesetCount[] {
    this.end();
    return Array.from(this.#counts.range(range), ({ key, value }) => ({
      key,
      ...readCounts(value),
    }));
  }

  #apply({ key, pending, verifying, failed }: Change): void {
    if (pending === 0 && verifying === 0 && failed === 0) return;
    const value = this.#counts.get(key);
    const before = value === undefined ? NONE : readCounts(value);
    const next = {
      pending: before.pending + pending,
      verifying: before.verifying + verifying,
      failed: before.failed + failed,
    };
    if (next.pending + next.verifying + next.failed === 0) this.#counts.remove(key);
    else this.#counts.put(key, countsValue(next));
  }
}
