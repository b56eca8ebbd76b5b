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
  ClaimOutcome,
  ClaimRequest,
  DueTimes,
  IntentId,
  LeftIntent,
  QueuedRow,
  QueueStatus,
  QueueTotals,
  ResyncJob,
  RowFilter,
  StrayUpload,
  TargetAccess,
} from '../model/queue.ts';
import type { LaneReport } from '../model/lane-report.ts';
import type { Claim, LaneRef, Row, UploadState } from '../model/row.ts';
import { ANYWHERE, type Work } from '../model/work.ts';
import { announce, forgetIntent, leftIntents } from './announce.ts';
import { claim, lanesWithRows, nextDueAt, pageLanesWithRows, type LanePage } from './claim.ts';
import type { CommitFeed } from './commit-feed.ts';
import { commit, settle } from './commit.ts';
import { reportOf, storeReport } from './lane-reports.ts';
import { assertLeaseHeld, giveLeaseBack, renewLease, takeLease } from './ownership.ts';
import { settleClaim, storeUpload } from './record.ts';
import { advanceResync, cancelResync, readResync, runningResyncs, startResync } from './resync.ts';
import { retryRefused, retryRow, retryRows } from './retry.ts';
import { sweep } from './sweep.ts';
import { accessTarget } from './target-access.ts';
import type { Manner, Transactions } from './transactions.ts';
import type { Tx } from './tx.ts';
import { clampSchedules, recoverClaims, scheduledRulesets } from './upkeep.ts';
import { forgetStrays, strayLanes, strayUploads } from './uploads.ts';
import { findRow, pageRows, queueStatus, queueTotals, versionState } from './view.ts';

/** How long an outcome that nobody waits for lets others share its transaction. */
const OUTCOME_PATIENCE_MS = 8;

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
    this.#tellRows(rows);
    return rows;
  }

  abandon(intent: IntentId): Promise<void> {
    return this.#transactions.writeTogether((tx) => forgetIntent(tx, intent));
  }

  acquireLease(): Promise<number | null> {
    return this.#transactions.write(takeLease);
  }

  renewLease(epoch: number): Promise<boolean> {
    return this.#transactions.write((tx) => renewLease(tx, epoch));
  }

  releaseLease(epoch: number): Promise<void> {
    return this.#transactions.write((tx) => giveLeaseBack(tx, epoch));
  }

  async recoverClaims(epoch: number): Promise<void> {
    let after: Buffer | null = null;
    do {
      const from: Buffer | null = after;
      after = await this.#fenced<Buffer | null>(epoch, (tx) => recoverClaims(tx, epoch, from));
    } while (after !== null);
    this.#feed.tell(ANYWHERE);
  }

  leftIntents(epoch: number): Promise<readonly LeftIntent[]> {
    return this.#fenced(epoch, leftIntents);
  }

  async settle(epoch: number, intent: IntentId, changed: readonly AnnouncedWrite[]): Promise<void> {
    this.#tellRows(await this.#fenced(epoch, (tx) => settle(tx, intent, changed)));
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

  claim(epoch: number, lane: LaneRef, request: ClaimRequest): Promise<readonly Claim[]> {
    return this.#fencedTogether(epoch, (tx) => claim(tx, epoch, lane, request));
  }

  async settleClaim(
    epoch: number,
    claimed: Claim,
    outcome: ClaimOutcome,
    isAwaited = true,
  ): Promise<boolean> {
    const manner = isAwaited ? {} : { patienceMs: OUTCOME_PATIENCE_MS };
    for (;;) {
      const settled = await this.#fencedTogether(
        epoch,
        (tx) => settleClaim(tx, epoch, claimed, outcome),
        manner,
      );
      if (settled !== 'more') return settled;
    }
  }

  storeUpload(epoch: number, claimed: Claim, upload: UploadState | null): Promise<boolean> {
    return this.#fenced(epoch, (tx) => storeUpload(tx, epoch, claimed, upload));
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

  forgetStrays(epoch: number, lane: LaneRef, strays: readonly StrayUpload[]): Promise<void> {
    return this.#fenced(epoch, (tx) => forgetStrays(tx, lane, strays));
  }

  async laneReport(lane: LaneRef): Promise<LaneReport> {
    return this.#transactions.read((tx) => reportOf(tx, lane));
  }

  storeReport(epoch: number, lane: LaneRef, retryMark: number, report: LaneReport): Promise<void> {
    return this.#fencedTogether(epoch, (tx) => storeReport(tx, lane, retryMark, report), {
      patienceMs: OUTCOME_PATIENCE_MS,
    });
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
    if (row !== null) this.#tellRows([row]);
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

  async advanceResync(
    epoch: number,
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): Promise<ResyncJob | null> {
    const advanced = await this.#fenced(epoch, (tx) =>
      advanceResync(tx, job, { keys, cursor, done }, now),
    );
    this.#feed.tell({ kind: 'bucket', bucket: job.bucket });
    return advanced;
  }

  sweep(epoch: number, now: number): Promise<boolean> {
    return this.#fenced(epoch, (tx) => sweep(tx, now));
  }

  async clampSchedules(epoch: number, now: number): Promise<void> {
    for (const ruleset of this.#transactions.read(scheduledRulesets)) {
      while (await this.#fenced(epoch, (tx) => clampSchedules(tx, ruleset, now)));
    }
    this.#feed.tell(ANYWHERE);
  }

  subscribe(listener: (work: Work) => void): () => void {
    return this.#feed.subscribe(listener);
  }

  #tellRows(rows: readonly Row[]): void {
    if (rows.length > 0) this.#feed.tell({ kind: 'lanes', lanes: rows.map(({ lane }) => lane) });
  }

  #fenced<T>(epoch: number, work: (tx: Tx) => T): Promise<T> {
    return this.#transactions.write((tx) => {
      assertLeaseHeld(tx, epoch);
      return work(tx);
    });
  }

  #fencedTogether<T>(epoch: number, work: (tx: Tx) => T, manner?: Manner): Promise<T> {
    return this.#transactions.writeTogether((tx) => {
      assertLeaseHeld(tx, epoch);
      return work(tx);
    }, manner);
  }
}
