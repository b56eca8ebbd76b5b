/**
 * The durable queue: model/ports.ts on the tables of the configurations. This file says which transaction
 * each operation is and whom its commit is told to; what happens inside of them is in the files that are
 * named after the operations.
 */
import { setImmediate } from 'node:timers/promises';
import type { AnnouncedWrite, BucketRef, CommittedWrite, ObjectRef } from '../host.ts';
import type { Outbox } from '../model/ports.ts';
import type {
  AnnouncedIntent,
  DueTimes,
  IntentId,
  QueuedRow,
  QueueStatus,
  QueueTotals,
  ResyncJob,
  RowFilter,
  StrayUpload,
  TargetAccess,
} from '../model/queue.ts';
import type { LaneReport } from '../model/lane-report.ts';
import type { LaneRef, Row } from '../model/row.ts';
import type { Work } from '../model/work.ts';
import { announce, forgetIntent } from './announce.ts';
import { lanesWithRows, nextDueAt, pageLanesWithRows, type LanePage } from './claim.ts';
import type { CommitFeed } from './commit-feed.ts';
import { commit } from './commit.ts';
import { reportOf } from './lane-reports.ts';
import { takeLease } from './ownership.ts';
import { cancelResync, readResync, runningResyncs, startResync } from './resync.ts';
import { retryRefused, retryRow, retryRows } from './retry.ts';
import { StoredTenure } from './tenure.ts';
import { accessTarget } from './target-access.ts';
import type { Transactions } from './transactions.ts';
import { strayLanes, strayUploads } from './uploads.ts';
import { findRow, pageRows, queueStatus, queueTotals, versionState } from './view.ts';

export class StoredOutbox implements Outbox {
  readonly #transactions: Transactions;
  readonly #feed: CommitFeed;

  /** @param feed shared with the configurations, as the transactions are */
  constructor(transactions: Transactions, feed: CommitFeed) {
    this.#transactions = transactions;
    this.#feed = feed;
  }

  announce(writes: readonly AnnouncedWrite[]): Promise<AnnouncedIntent> {
    return this.#transactions.writeTogether((tx) => announce(tx, writes));
  }

  async commit(intent: IntentId, writes: readonly CommittedWrite[]): Promise<readonly QueuedRow[]> {
    const rows = await this.#transactions.writeTogether((tx) => commit(tx, intent, writes));
    this.#feed.tellRows(rows);
    return rows;
  }

  abandon(intent: IntentId): Promise<void> {
    return this.#transactions.writeTogether((tx) => forgetIntent(tx, intent));
  }

  async acquireLease(): Promise<StoredTenure | null> {
    const epoch = await this.#transactions.write(takeLease);
    return epoch === null ? null : new StoredTenure(epoch, this.#transactions, this.#feed);
  }

  async lanes(bucket?: BucketRef): Promise<readonly LaneRef[]> {
    if (bucket !== undefined) return this.#transactions.read((tx) => lanesWithRows(tx, bucket));
    const lanes = new Map<number, LaneRef>();
    let after: Buffer | null = null;
    do {
      // There may be very many, and whoever else wants something must not wait for all of them.
      if (after !== null) await setImmediate();
      const from: Buffer | null = after;
      const page = this.#transactions.read((tx): LanePage => pageLanesWithRows(tx, from));
      for (const [lane, ref] of page.lanes) lanes.set(lane, ref);
      after = page.last;
    } while (after !== null);
    return [...lanes.values()];
  }

  async nextDueAt(lane: LaneRef): Promise<DueTimes> {
    return this.#transactions.read((tx) => nextDueAt(tx, lane));
  }

  async accessTarget(lane: LaneRef): Promise<TargetAccess> {
    return this.#transactions.read((tx) => accessTarget(tx, lane));
  }

  async strayLanes(): Promise<readonly LaneRef[]> {
    return this.#transactions.read(strayLanes);
  }

  async strayUploads(
    lane: LaneRef,
    after: StrayUpload | null,
    limit: number,
  ): Promise<readonly StrayUpload[]> {
    return this.#transactions.read((tx) => strayUploads(tx, lane, after, limit));
  }

  async laneReport(lane: LaneRef): Promise<LaneReport> {
    return this.#transactions.read((tx) => reportOf(tx, lane));
  }

  async pageRows(
    bucket: BucketRef,
    filter: RowFilter,
    after: number | null,
    limit: number,
  ): Promise<readonly Row[]> {
    return this.#transactions.read((tx) => pageRows(tx, bucket, filter, after, limit));
  }

  async findRow(bucket: BucketRef, sequence: number): Promise<Row | null> {
    return this.#transactions.read((tx) => findRow(tx, bucket, sequence));
  }

  async retryRow(bucket: BucketRef, sequence: number, now: number): Promise<Row | null> {
    const row = await this.#transactions.writeTogether((tx) => retryRow(tx, bucket, sequence, now));
    if (row !== null) this.#feed.tellRows([row]);
    return row;
  }

  async retryRows(bucket: BucketRef, filter: RowFilter, now: number): Promise<number> {
    const retried = await retryRows(this.#transactions, bucket, filter, now);
    this.#feed.tell({ kind: 'bucket', bucket });
    return retried;
  }

  async retryRefused(
    bucket: BucketRef,
    targetIds: readonly string[],
    now: number,
  ): Promise<number> {
    const retried = await retryRefused(this.#transactions, bucket, targetIds, now);
    this.#feed.tell({ kind: 'bucket', bucket });
    return retried;
  }

  async queueStatus(bucket: BucketRef): Promise<QueueStatus> {
    return this.#transactions.read((tx) => queueStatus(tx, bucket));
  }

  async queueTotals(): Promise<QueueTotals> {
    return this.#transactions.read(queueTotals);
  }

  async versionState(version: ObjectRef): Promise<Row['state'] | null> {
    return this.#transactions.read((tx) => versionState(tx, version));
  }

  async startResync(bucket: BucketRef, ruleId: string, now: number): Promise<ResyncJob | null> {
    const job = await this.#transactions.writeTogether((tx) =>
      startResync(tx, bucket, ruleId, now),
    );
    if (job !== null) this.#feed.tell({ kind: 'bucket', bucket });
    return job;
  }

  async readResync(bucket: BucketRef, ruleId: string): Promise<ResyncJob | null> {
    return this.#transactions.read((tx) => readResync(tx, bucket, ruleId));
  }

  cancelResync(bucket: BucketRef, ruleId: string, now: number): Promise<boolean> {
    return this.#transactions.writeTogether((tx) => cancelResync(tx, bucket, ruleId, now));
  }

  async runningResyncs(): Promise<readonly ResyncJob[]> {
    return this.#transactions.read(runningResyncs);
  }

  subscribe(listener: (work: Work) => void): () => void {
    return this.#feed.subscribe(listener);
  }
}
