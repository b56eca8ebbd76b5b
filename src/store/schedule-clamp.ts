/**
 * Brings schedules back that a system clock which ran ahead left in the far future. Only heads are in
 * the due index; rows behind them are brought back when they become heads (chains.ts).
 */
import type { Chains } from './chains.ts';
import { BATCH_MAX } from './claims.ts';
import { dueKey, duePrefix, endOf, trailingSequence } from './outbox-keys.ts';
import type { RowCounts } from './row-counts.ts';
import type { Tables } from './tables.ts';

const HOUR_MS = 3_600_000;

export class ScheduleClamp {
  readonly #tables: Tables;
  readonly #chains: Chains;
  readonly #counts: RowCounts;

  constructor(tables: Tables, chains: Chains, counts: RowCounts) {
    this.#tables = tables;
    this.#chains = chains;
    this.#counts = counts;
  }

  rulesets(): Buffer[] {
    return this.#counts.all().map(({ key }) => key);
  }

  /** One batch, inside a write transaction; true where more may be left. */
  run(ruleset: Buffer, now: number): boolean {
    const latest = now + HOUR_MS;
    const keys = (['put', 'delete'] as const).flatMap((operation) => {
      const prefix = duePrefix(ruleset, operation);
      const start = dueKey(prefix, latest + 1, 0);
      return Array.from(this.#tables.due.keys({ start, end: endOf(prefix), limit: BATCH_MAX }));
    });
    for (const key of keys) {
      const entry = this.#chains.rows.expect(trailingSequence(key));
      const { doubtUntil } = entry.row;
      this.#chains.update(entry, {
        ...entry.row,
        nextAttemptAt: latest,
        doubtUntil: doubtUntil === null ? null : Math.min(doubtUntil, latest),
      });
    }
    return keys.length >= BATCH_MAX;
  }
}
