/**
 * The durable queue: model/ports.ts on the tables of the configurations. This file says
 * which transaction each operation is; how a retry of many rows is cut into transactions is in
 * retry-rows.ts, and what happens inside of them in the files that outbox-parts.ts wires together.
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
import type { CommitFeed } from './commit-feed.ts';
import { addIntent, findLeftIntents, removeIntent } from './intents.ts';
import type { Lease } from './lease.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { reportOf, storeReport } from './lane-reports.ts';
import { findResync, runningResyncs } from './resyncs.ts';
import type { OutboxParts } from './outbox-parts.ts';
import type { LanePage } from './queue-view.ts';
import { retryRefused, retryRows } from './retry-rows.ts';
import type { Tables } from './tables.ts';
import type { Transactions } from './transactions.ts';

/** How long an outcome that nobody waits for lets others share its transaction. */
const OUTCOME_PATIENCE_MS = 8;

export interface StoredOutboxOptions {
  readonly tables: Tables;
  /** Shared with the configurations. */
  readonly feed: CommitFeed;
  readonly transactions: Transactions;
  readonly parts: OutboxParts;
  readonly lease: Lease;
  readonly identity: ProcessIdentity;
  readonly mayBeAlive: (process: ProcessIdentity) => boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Since the server started, by a clock that does not jump. */
  readonly uptimeMs: () => number;
  readonly leaseMs: number;
}

export class StoredOutbox implements Outbox {
  readonly #tables: Tables;
  readonly #feed: CommitFeed;
  readonly #identity: ProcessIdentity;
  readonly #mayBeAlive: (process: ProcessIdentity) => boolean;
  readonly #now: () => number;
  readonly #uptimeMs: () => number;
  readonly #leaseMs: number;
  readonly #lease: Lease;
  readonly #transactions: Transactions;
  readonly #parts: OutboxParts;

  constructor(options: StoredOutboxOptions) {
    this.#tables = options.tables;
    this.#feed = options.feed;
    this.#transactions = options.transactions;
    this.#parts = options.parts;
    this.#lease = options.lease;
    this.#identity = options.identity;
    this.#mayBeAlive = options.mayBeAlive;
    this.#now = options.now;
    this.#uptimeMs = options.uptimeMs;
    this.#leaseMs = options.leaseMs;
  }

  announce(writes: readonly AnnouncedWrite[]): Promise<AnnouncedIntent> {
    return this.#writeDurably(() => ({
      intent: addIntent(this.#tables, writes, this.#identity),
      replicates: writes.map((write) => this.#parts.enqueuer.isCovered(write)),
    }));
  }

  async commit(intent: IntentId, writes: readonly CommittedWrite[]): Promise<readonly QueuedRow[]> {
    const rows = await this.#transactions.writeTogether(() => {
      removeIntent(this.#tables, intent);
      return writes.flatMap((write) => this.#parts.enqueuer.enqueueMatching(write, write));
    });
    this.#tellRows(rows);
    return rows;
  }

  abandon(intent: IntentId): Promise<void> {
    return this.#transactions.writeTogether(() => removeIntent(this.#tables, intent));
  }

  acquireLease(): Promise<number | null> {
    const self = this.#identity;
    return this.#transactions.write(() =>
      this.#lease.take(self, this.#mayBeAlive, this.#now(), this.#leaseMs),
    );
  }

  renewLease(epoch: number): Promise<boolean> {
    return this.#transactions.write(() => this.#lease.extend(epoch, this.#now(), this.#leaseMs));
  }

  releaseLease(epoch: number): Promise<void> {
    return this.#transactions.write(() => this.#lease.giveBack(epoch));
  }

  async recoverClaims(epoch: number): Promise<void> {
    let after: Buffer | null = null;
    do {
      const from: Buffer | null = after;
      after = await this.#fenced<Buffer | null>(epoch, () =>
        this.#parts.claims.recover(epoch, from),
      );
    } while (after !== null);
    this.#feed.tell(ANYWHERE);
  }

  leftIntents(epoch: number): Promise<readonly LeftIntent[]> {
    return this.#fenced(epoch, () => findLeftIntents(this.#tables, this.#mayBeAlive));
  }

  async settle(epoch: number, intent: IntentId, changed: readonly AnnouncedWrite[]): Promise<void> {
    const rows = await this.#fenced(epoch, () => {
      removeIntent(this.#tables, intent);
      return changed.flatMap((write) =>
        this.#parts.enqueuer.enqueueMatching({ ...write, replica: false }, null),
      );
    });
    this.#tellRows(rows);
  }

  async lanes(bucket?: BucketRef): Promise<readonly LaneRef[]> {
    const { view } = this.#parts;
    if (bucket !== undefined) return this.#transactions.read(() => view.lanes(bucket));
    const lanes = new Map<number, LaneRef>();
    let after: Buffer | null = null;
    do {
      // There may be very many, and whoever else wants something must not wait for all of them.
      if (after !== null) await setImmediate();
      const from: Buffer | null = after;
      const page = this.#transactions.read((): LanePage => view.lanePage(from));
      for (const [lane, ref] of page.lanes) lanes.set(lane, ref);
      after = page.last;
    } while (after !== null);
    return [...lanes.values()];
  }

  async nextDueAt(lane: LaneRef): Promise<DueTimes> {
    return this.#transactions.read(() => this.#parts.claims.nextDueAt(lane));
  }

  claim(epoch: number, lane: LaneRef, request: ClaimRequest): Promise<readonly Claim[]> {
    return this.#transactions.writeTogether(() => {
      this.#lease.assertHeld(epoch);
      return this.#parts.claims.claim(epoch, lane, request);
    });
  }

  async settleClaim(
    epoch: number,
    claim: Claim,
    outcome: ClaimOutcome,
    isAwaited = true,
  ): Promise<boolean> {
    const manner = isAwaited ? {} : { patienceMs: OUTCOME_PATIENCE_MS };
    for (;;) {
      const settled = await this.#transactions.writeTogether(() => {
        this.#lease.assertHeld(epoch);
        const entry = this.#parts.claims.find(epoch, claim);
        if (entry === undefined) return false;
        return this.#parts.claims.settle(entry, outcome) || 'more';
      }, manner);
      if (settled !== 'more') return settled;
    }
  }

  storeUpload(epoch: number, claim: Claim, upload: UploadState | null): Promise<boolean> {
    return this.#fenced(epoch, () => {
      const entry = this.#parts.claims.find(epoch, claim);
      if (entry === undefined) return false;
      this.#parts.claims.storeUpload(entry, upload);
      return true;
    });
  }

  async accessTarget(lane: LaneRef): Promise<TargetAccess> {
    return this.#transactions.read(() => this.#parts.accesses.of(lane));
  }

  async strayLanes(): Promise<readonly LaneRef[]> {
    return this.#transactions.read(() => this.#parts.strays.lanes());
  }

  async strayUploads(
    lane: LaneRef,
    after: StrayUpload | null,
    limit: number,
  ): Promise<readonly StrayUpload[]> {
    return this.#transactions.read(() => this.#parts.strays.page(lane, after, limit));
  }

  forgetStrays(epoch: number, lane: LaneRef, strays: readonly StrayUpload[]): Promise<void> {
    return this.#fenced(epoch, () => this.#parts.strays.remove(lane, strays));
  }

  async laneReport(lane: LaneRef): Promise<LaneReport> {
    return this.#transactions.read(() => reportOf(this.#tables, lane));
  }

  storeReport(epoch: number, lane: LaneRef, retryMark: number, report: LaneReport): Promise<void> {
    return this.#transactions.writeTogether(
      () => {
        this.#lease.assertHeld(epoch);
        if (this.#parts.accesses.of(lane).kind === 'absent') return;
        storeReport(this.#tables, lane, retryMark, report);
      },
      { patienceMs: OUTCOME_PATIENCE_MS },
    );
  }

  async pageRows(
    bucket: BucketRef,
    filter: RowFilter,
    after: number | null,
    limit: number,
  ): Promise<readonly Row[]> {
    return this.#transactions.read(() => this.#parts.view.page(bucket, filter, after, limit));
  }

  async findRow(bucket: BucketRef, sequence: number): Promise<Row | null> {
    return this.#transactions.read(() => this.#parts.view.find(bucket, sequence));
  }

  async retryRow(bucket: BucketRef, sequence: number, now: number): Promise<Row | null> {
    const row = await this.#writeDurably(() => this.#parts.retries.retryRow(bucket, sequence, now));
    if (row !== null) this.#tellRows([row]);
    return row;
  }

  async retryRows(bucket: BucketRef, filter: RowFilter, now: number): Promise<number> {
    const context = { tables: this.#tables, transactions: this.#transactions, parts: this.#parts };
    const retried = await retryRows(context, bucket, filter, now);
    this.#feed.tell({ kind: 'bucket', bucket });
    return retried;
  }

  async retryRefused(
    bucket: BucketRef,
    targetIds: readonly string[],
    now: number,
  ): Promise<number> {
    const context = { tables: this.#tables, transactions: this.#transactions, parts: this.#parts };
    const retried = await retryRefused(context, bucket, targetIds, now);
    this.#feed.tell({ kind: 'bucket', bucket });
    return retried;
  }

  async queueStatus(bucket: BucketRef): Promise<QueueStatus> {
    return this.#transactions.read(() => this.#parts.view.status(bucket));
  }

  async queueTotals(): Promise<QueueTotals> {
    return this.#transactions.read(() => this.#parts.view.totals());
  }

  async versionState(version: ObjectRef): Promise<Row['state'] | null> {
    return this.#transactions.read(() => this.#parts.view.versionState(version));
  }

  async startResync(bucket: BucketRef, ruleId: string, now: number): Promise<ResyncJob | null> {
    const job = await this.#writeDurably(() => {
      const started = this.#parts.resyncs.start(bucket, ruleId, now);
      const rule = this.#parts.resyncs.ruleOf(bucket, ruleId);
      if (started !== null && rule !== undefined)
        this.#parts.retries.tryTargetsAnew(bucket, [rule.targetId]);
      return started;
    });
    if (job !== null) this.#feed.tell({ kind: 'bucket', bucket });
    return job;
  }

  async readResync(bucket: BucketRef, ruleId: string): Promise<ResyncJob | null> {
    return this.#transactions.read(() =>
      findResync(this.#tables, bucket, this.#parts.resyncs.ruleOf(bucket, ruleId)),
    );
  }

  cancelResync(bucket: BucketRef, ruleId: string, now: number): Promise<boolean> {
    return this.#writeDurably(() => this.#parts.resyncs.cancel(bucket, ruleId, now));
  }

  async runningResyncs(): Promise<readonly ResyncJob[]> {
    return this.#transactions.read(() => runningResyncs(this.#tables));
  }

  async advanceResync(
    epoch: number,
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): Promise<ResyncJob | null> {
    const advanced = await this.#fenced(epoch, () =>
      this.#parts.resyncs.advance(job, { keys, cursor, done }, now),
    );
    this.#feed.tell({ kind: 'bucket', bucket: job.bucket });
    return advanced;
  }

  async sweep(epoch: number, now: number): Promise<boolean> {
    return this.#fenced(epoch, () => this.#parts.sweep.run(now, this.#uptimeMs()));
  }

  async clampSchedules(epoch: number, now: number): Promise<void> {
    const rulesets = this.#transactions.read(() => this.#parts.clamp.rulesets());
    for (const ruleset of rulesets) {
      while (await this.#fenced(epoch, () => this.#parts.clamp.run(ruleset, now)));
    }
    this.#feed.tell(ANYWHERE);
  }

  subscribe(listener: (work: Work) => void): () => void {
    return this.#feed.subscribe(listener);
  }

  #tellRows(rows: readonly Row[]): void {
    if (rows.length > 0) this.#feed.tell({ kind: 'lanes', lanes: rows.map(({ lane }) => lane) });
  }

  #writeDurably<T>(work: () => T): Promise<T> {
    return this.#transactions.writeTogether(work);
  }

  #fenced<T>(epoch: number, work: () => T): Promise<T> {
    return this.#transactions.write(() => {
      this.#lease.assertHeld(epoch);
      return work();
    });
  }
}
