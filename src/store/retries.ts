/**
 * Retries that somebody asked for. A list of a million rows is gone through in batches, each a
 * transaction of its own that finds its rows by the sequence after which the one before ended.
 */
import type { Chains } from './chains.ts';
import type { Enqueuer } from './enqueue.ts';
import { endOf, queueKey, queuePrefix, trailingSequence, type StateByte } from './outbox-keys.ts';
import { withoutUpload, type Entry } from './queue-rows.ts';
import type { Tables } from './tables.ts';

export interface RetryProgress {
  /** The last sequence that was looked at; null at the end. */
  readonly after: number | null;
  readonly retried: number;
}

export class Retries {
  readonly #tables: Tables;
  readonly #chains: Chains;
  readonly #enqueuer: Enqueuer;

  constructor(tables: Tables, chains: Chains, enqueuer: Enqueuer) {
    this.#tables = tables;
    this.#chains = chains;
    this.#enqueuer = enqueuer;
  }

  /** False where the row is in flight and stays as it is. */
  retry(entry: Entry, now: number): boolean {
    if (this.#chains.isClaimed(entry)) return false;
    const row: Entry['row'] = {
      ...entry.row,
      attempts: 0,
      nextAttemptAt: Math.max(now, entry.row.verifyAt ?? 0),
      state: 'pending',
      failedAt: null,
    };
    if (entry.row.state === 'pending') {
      this.#chains.reschedule(entry, row);
      return true;
    }
    this.#chains.remove([withoutUpload(entry)]);
    this.#chains.insert({ ...entry, row: this.#enqueuer.takeIn(entry, row) });
    return true;
  }

  /**
   * At most `limit` rows of one ruleset and state, oldest first.
   *
   * @param after where the batch before ended
   * @param last rows that were queued later are left alone, so that there is an end
   */
  retryBatch(
    ruleset: Buffer,
    state: StateByte,
    { after, last, limit }: { after: number; last: number; limit: number },
    now: number,
  ): RetryProgress {
    const keys = this.#tables.queue.getKeys({
      start: queueKey(ruleset, state, after + 1),
      end: endOf(queuePrefix(ruleset, state)),
      limit,
    });
    const sequences = Array.from(keys, trailingSequence).filter((sequence) => sequence <= last);
    let retried = 0;
    for (const sequence of sequences) {
      // One that a row before it took in is gone.
      const entry = this.#chains.rows.read(sequence);
      if (entry !== undefined && this.retry(entry, now)) retried += 1;
    }
    return { after: sequences.length < limit ? null : (sequences.at(-1) ?? null), retried };
  }
}
