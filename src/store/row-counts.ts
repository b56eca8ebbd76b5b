/**
 * How many rows of each lane and ruleset there are, by state. A transaction adds up what it changes
 * and writes each counter once; whoever reads counters in the middle of it sees its own changes.
 */
import { countsValue, endOf, laneKey, PENDING, readCounts, type StateByte } from './outbox-keys.ts';
import type { Tables } from './tables.ts';

export interface RulesetCount {
  /** Lane and ruleset: its key in `counts`, and the prefix of its rows in `due` and `queue`. */
  readonly key: Buffer;
  readonly pending: number;
  readonly failed: number;
}

interface Change {
  readonly key: Buffer;
  pending: number;
  failed: number;
}

export class RowCounts {
  readonly #counts: Tables['counts'];
  /** Changes that are not written yet, by key. */
  readonly #changes = new Map<string, Change>();

  constructor({ counts }: Pick<Tables, 'counts'>) {
    this.#counts = counts;
  }

  change(key: Buffer, state: StateByte, by: 1 | -1): void {
    const name = key.toString('latin1');
    let change = this.#changes.get(name);
    if (change === undefined) {
      change = { key, pending: 0, failed: 0 };
      this.#changes.set(name, change);
    }
    if (state === PENDING) change.pending += by;
    else change.failed += by;
  }

  of(lane: number): RulesetCount[] {
    const start = laneKey(lane);
    return this.#read({ start, end: endOf(start) });
  }

  all(): RulesetCount[] {
    return this.#read({});
  }

  begin(): void {
    this.#changes.clear();
  }

  end(): void {
    for (const change of this.#changes.values()) this.#apply(change);
    this.#changes.clear();
  }

  abort(): void {
    this.#changes.clear();
  }

  #read(range: { start?: Buffer; end?: Buffer }): RulesetCount[] {
    this.end();
    return Array.from(this.#counts.getRange(range), ({ key, value }) => ({
      key,
      ...readCounts(value),
    }));
  }

  #apply({ key, pending, failed }: Change): void {
    if (pending === 0 && failed === 0) return;
    const value = this.#counts.get(key);
    const before = value === undefined ? { pending: 0, failed: 0 } : readCounts(value);
    const next = [before.pending + pending, before.failed + failed] as const;
    if (next[0] === 0 && next[1] === 0) this.#counts.removeSync(key);
    else this.#counts.putSync(key, countsValue(...next));
  }
}
