/**
 * Retries that somebody asked for: of one row, or of a batch of many, which finds its rows by the
 * sequence after which the one before ended (retry-rows.ts). The targets of the rows are tried anew
 * too, as their lanes may be waiting.
 *
 * All of it runs inside a write transaction of the caller.
 */
import type { BucketRef } from '../host.ts';
import type { Row } from '../model/row.ts';
import type { Chains } from './chains.ts';
import type { Enqueuer } from './enqueue.ts';
import { askToTryAnew } from './lane-reports.ts';
import {
  endOf,
  queueKey,
  queuePrefix,
  trailingSequence,
  type QueueStateByte,
} from './outbox-keys.ts';
import { withoutUpload, type Entry } from './queue-rows.ts';
import type { QueueView } from './queue-view.ts';
import type { Tables } from './tables.ts';

export interface RetryProgress {
  /** The last sequence that was looked at; null at the end. */
  readonly after: number | null;
  readonly retried: number;
}

export interface RetriesOptions {
  readonly tables: Tables;
  readonly chains: Chains;
  readonly enqueuer: Enqueuer;
  readonly view: QueueView;
}

export class Retries {
  readonly #tables: Tables;
  readonly #chains: Chains;
  readonly #enqueuer: Enqueuer;
  readonly #view: QueueView;

  constructor({ tables, chains, enqueuer, view }: RetriesOptions) {
    this.#tables = tables;
    this.#chains = chains;
    this.#enqueuer = enqueuer;
    this.#view = view;
  }

  /** The row as it is then; null where the bucket shows none. */
  retryRow(bucket: BucketRef, sequence: number, now: number): Row | null {
    const found = this.#view.find(bucket, sequence);
    if (found === null) return null;
    this.tryTargetsAnew(bucket, [found.lane.targetId]);
    if (this.retry(this.#chains.rows.expect(sequence), now)) this.#tables.counters.noteWork();
    return this.#view.find(bucket, sequence);
  }

  /** A target that is not listed has nothing to try. */
  tryTargetsAnew(bucket: BucketRef, targetIds: readonly string[]): void {
    const listed = this.#view.targets(bucket, {}).filter((id) => targetIds.includes(id));
    askToTryAnew(this.#tables, bucket.id, listed);
  }

  /** False where the row is in flight and stays as it is. */
  retry(entry: Entry, now: number): boolean {
    if (this.#chains.isClaimed(entry)) return false;
    const row: Entry['row'] = {
      ...entry.row,
      attempts: 0,
      nextAttemptAt:
        entry.row.state === 'verifying' ? Math.max(now, entry.row.doubtUntil ?? 0) : now,
      state: entry.row.state === 'verifying' ? 'verifying' : 'pending',
      failedAt: null,
    };
    if (entry.row.state !== 'failed') {
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
    state: QueueStateByte,
    {
      after,
      last,
      limit,
      isWanted,
    }: {
      after: number;
      last: number;
      limit: number;
      isWanted: (row: Entry['row']) => boolean;
    },
    now: number,
  ): RetryProgress {
    const keys = this.#tables.queue.keys({
      start: queueKey(ruleset, state, after + 1),
      end: endOf(queuePrefix(ruleset, state)),
      limit,
    });
    const sequences = Array.from(keys, trailingSequence).filter((sequence) => sequence <= last);
    let retried = 0;
    for (const sequence of sequences) {
      // One that a row before it took in is gone.
      const entry = this.#chains.rows.read(sequence);
      if (entry === undefined || !isWanted(entry.row)) continue;
      if (this.retry(entry, now)) retried += 1;
    }
    return { after: sequences.length < limit ? null : (sequences.at(-1) ?? null), retried };
  }
}
