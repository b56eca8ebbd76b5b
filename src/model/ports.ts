/**
 * What the plugin needs of a store, as whole operations: each is one transaction of the
 * implementation, so that a store on another engine needs no transactions that span calls.
 *
 * One contract suite (test/contract/) runs against every implementation.
 */
import type { AnnouncedWrite, BucketRef, CommittedWrite, ObjectRef } from '../host.ts';
import type { Configuration } from './configuration.ts';
import type { Precondition } from './etag.ts';
import type { LaneReport } from './lane-report.ts';
import type {
  AnnouncedIntent,
  ClaimOutcome,
  ClaimRequest,
  DueTimes,
  IntentId,
  LeftIntent,
  QueueStatus,
  QueueTotals,
  QueuedRow,
  ResyncJob,
  RowFilter,
  StrayUpload,
  TargetAccess,
} from './queue.ts';
import type { Claim, LaneRef, Row, UploadState } from './row.ts';
import type { RuleDraft } from './rule.ts';
import type { TargetDraft } from './target.ts';
import type { Work } from './work.ts';

/**
 * The clock by which everything in the store is written and waited for: the same in every process, and
 * untouched by whoever sets the machine's wall clock.
 */
export interface StoreClock {
  /** Milliseconds since the epoch, as the wall clock had it when the machine started; never jumps. */
  nowMs(): number;
  /** A time of this clock as the wall clock has it now: what people are shown. */
  wallOf(timeMs: number): number;
}

/** What a replacement did, for the answer and the audit log. */
export interface ConfigurationChange {
  readonly before: Configuration;
  /** `before` itself where the replacement changed nothing. */
  readonly after: Configuration;
}

export interface TargetsChange extends ConfigurationChange {
  /** Targets that have a secret which they did not have before, by id. */
  readonly newSecrets: readonly string[];
}

/**
 * Configurations by bucket. A record of another id than `bucket.id` counts as absent: the bucket
 * was deleted and created again, and the new one inherits nothing.
 */
export interface ConfigurationStore {
  /** What is committed now, also by other processes; the empty configuration where there is none. */
  read(bucket: BucketRef): Promise<Configuration>;

  /**
   * Replaces the targets and disables the rules that lost theirs, in one transaction. Durable when
   * it resolves. Where nothing changes (the same values, with the mask or the same secret) revision,
   * sealed secrets and retry marks stay as they are.
   *
   * @throws ApiError PreconditionFailed, or InvalidRequest where a mask has no stored secret to keep
   */
  replaceTargets(
    bucket: BucketRef,
    drafts: readonly TargetDraft[],
    precondition: Precondition,
  ): Promise<TargetsChange>;

  /**
   * Replaces the rules. Durable when it resolves.
   *
   * @throws ApiError PreconditionFailed, or InvalidRequest where a rule names no target
   */
  replaceRules(
    bucket: BucketRef,
    drafts: readonly RuleDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange>;

  /** Forgets the bucket, where the record is of that id. Durable when it resolves. */
  removeBucket(bucket: BucketRef): Promise<void>;

  /** Buckets that have a record, by name, after the given name, at most 256. */
  listBuckets(after: string | null): Promise<readonly BucketRef[]>;

  /**
   * Whether a write to a bucket of that name may have to be replicated. Synchronous and cheap, for
   * every write of the server; true may be wrong. False may be old by a moment where another process
   * saved the rules.
   */
  mayReplicate(bucketName: string): boolean;

  /** The same as of the newest commit of any process: false is never wrong. Costs twice as much. */
  mayReplicateNow(bucketName: string): boolean;

  /** Rejects where the store cannot be read. */
  probe(): Promise<void>;
}

/** What the write path tells. Rules are matched as the transaction that enqueues reads them. */
export interface WriteLog {
  /** Durable when it resolves. */
  announce(writes: readonly AnnouncedWrite[]): Promise<AnnouncedIntent>;
  /**
   * Forgets the intent and enqueues a row for each target whose rules match, in one transaction.
   * Committed when it resolves, durable with the next flush.
   *
   * @returns the rows, so that a synchronous rule can be waited for
   */
  commit(intent: IntentId, writes: readonly CommittedWrite[]): Promise<readonly QueuedRow[]>;
  abandon(intent: IntentId): Promise<void>;
}

/** Who competes for the right to deliver: one process has it at a time. */
export interface Lease {
  /** Takes the lease where nobody alive holds it; null where somebody does. */
  acquireLease(): Promise<Tenure | null>;
}

/** What whoever runs lanes reads. */
export interface Deliveries {
  /** Lanes that have pending rows, of one bucket or of all. */
  lanes(bucket?: BucketRef): Promise<readonly LaneRef[]>;
  /** When the lane's next row of each operation is due under a rule that is enabled. */
  nextDueAt(lane: LaneRef): Promise<DueTimes>;
  accessTarget(lane: LaneRef): Promise<TargetAccess>;
  /** Lanes that left uploads behind: each change that takes an upload off its row notes it as a stray. */
  strayLanes(): Promise<readonly LaneRef[]>;
  /** Strays of the lane behind `after`, in an order of the store's own. */
  strayUploads(
    lane: LaneRef,
    after: StrayUpload | null,
    limit: number,
  ): Promise<readonly StrayUpload[]>;
  /**
   * What the lane shows now. Saving its target with other values, or enabling it, makes it healthy; a
   * request for a retry leaves all but what the target is said to refuse.
   */
  laneReport(lane: LaneRef): Promise<LaneReport>;
  /**
   * Told after each commit of this or another process that may have made work, and where. (The lane
   * whose claim was settled knows that by itself.) Returns the way to stop.
   */
  subscribe(listener: (work: Work) => void): () => void;
}

/**
 * The right to deliver, under an epoch of its own, and everything that only its holder may do. Each call
 * but `renew` and `release` rejects with `LeaseLost` where another process has the right since.
 */
export interface Tenure {
  /** Only ever grows. */
  readonly epoch: number;
  /** False where it was lost. */
  renew(): Promise<boolean>;
  release(): Promise<void>;

  /** Claims due heads of the lane, the longest due first, committed when it resolves. */
  claim(lane: LaneRef, request: ClaimRequest): Promise<readonly Claim[]>;
  /**
   * Resolves with false where the row is no longer claimed under this epoch (its rule or bucket is gone).
   *
   * @param isAwaited whether something waits for it: what nobody waits for may take some milliseconds
   *   more, to share its transaction with others
   */
  settleClaim(claim: Claim, outcome: ClaimOutcome, isAwaited?: boolean): Promise<boolean>;
  /**
   * Committed before the first part is sent, so that a crash leaves no unknown parts behind. Resolves
   * with false where the row is no longer claimed under this epoch: nobody will know of the upload.
   * Null: the one that the row carries was aborted. Another one makes that a stray.
   */
  storeUpload(claim: Claim, upload: UploadState | null): Promise<boolean>;
  forgetStrays(lane: LaneRef, strays: readonly StrayUpload[]): Promise<void>;
  /** Changes nothing where the target is gone or has another mark than the report was made under. */
  storeReport(lane: LaneRef, retryMark: number, report: LaneReport): Promise<void>;

  /** Gives back the claims of earlier epochs; their rows are in doubt. */
  recoverClaims(): Promise<void>;
  /** At most 256 intents of processes that are no longer alive. */
  leftIntents(): Promise<readonly LeftIntent[]>;
  /** Forgets the intent and enqueues a `resolve` row for each listed write under the rules that match. */
  settle(intent: IntentId, changed: readonly AnnouncedWrite[]): Promise<void>;
  /**
   * Removes at most 256 rows that no rule is left for (also because the bucket has another id) or
   * that failed 7 days ago, and lets rows under enabled rules overtake rows under disabled ones;
   * true while more may be left. Rows in flight stay until their claim ends, and rows in doubt whose
   * rules are gone are looked past while they are (they become verifying rows, for a rule that comes
   * back). Strays of targets that are not listed are forgotten. Nothing expires in the store's first hour.
   */
  sweep(now: number): Promise<boolean>;
  /**
   * Brings the nextAttemptAt of heads that are more than an hour ahead back to an hour ahead. Rows
   * behind them are brought back when they become heads.
   */
  clampSchedules(now: number): Promise<void>;
  /**
   * Enqueues a `resolve` row for each key that has the rule's prefix and moves the cursor (null leaves
   * it), in one transaction; with `done` the job is completed and the rule's gap cleared (unless a
   * delete was lost, or events were dropped since the job began). A disabled rule's job is cancelled.
   *
   * @returns the job as it is now; one that was cancelled meanwhile enqueues nothing; null where the
   *   rule is gone or another run has begun
   */
  advanceResync(
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): Promise<ResyncJob | null>;
}

/** Resyncs of rules, as people ask for them; {@link Tenure.advanceResync} carries them out. */
export interface Resyncs {
  /**
   * Null where a resync of the rule is running, or the rule does not exist or is disabled. The lane is
   * marked as for a retry. Durable.
   */
  startResync(bucket: BucketRef, ruleId: string, now: number): Promise<ResyncJob | null>;
  readResync(bucket: BucketRef, ruleId: string): Promise<ResyncJob | null>;
  cancelResync(bucket: BucketRef, ruleId: string, now: number): Promise<boolean>;
  runningResyncs(): Promise<readonly ResyncJob[]>;
}

/** What people see of the queue, and ask of it. */
export interface QueueView {
  /** Rows of the bucket, newest first, before `after` where it is given. */
  pageRows(
    bucket: BucketRef,
    filter: RowFilter,
    after: number | null,
    limit: number,
  ): Promise<readonly Row[]>;
  findRow(bucket: BucketRef, sequence: number): Promise<Row | null>;
  /**
   * Makes the row due now with no attempts behind it; null where there is none. A row in flight stays
   * as it is; one that is verifying stays due when it was. The row's lane gets a new retry mark.
   * Durable.
   */
  retryRow(bucket: BucketRef, sequence: number, now: number): Promise<Row | null>;
  /**
   * The same for all that match, in batches; returns how many were not in flight. Every lane that the
   * filter covers is marked, also where none of its rows matched. Durable.
   */
  retryRows(bucket: BucketRef, filter: RowFilter, now: number): Promise<number>;
  /**
   * Makes due what the targets refused: rows that failed by it, and rows that wait for their next try.
   * For targets that were saved with other values. Durable.
   */
  retryRefused(bucket: BucketRef, targetIds: readonly string[], now: number): Promise<number>;
  queueStatus(bucket: BucketRef): Promise<QueueStatus>;
  /** Of all buckets; rows that no rule is left for are counted until they are swept. */
  queueTotals(): Promise<QueueTotals>;
  /**
   * Whether a version is still queued for any target, or was given up for one; null: neither. Where
   * more than a few dozen newer changes of its key are queued (or failed), it counts as one of them.
   */
  versionState(version: ObjectRef): Promise<Row['state'] | null>;
}

/** The durable queue, in the same store as the configurations, whole. */
export interface Outbox extends WriteLog, Lease, Deliveries, Resyncs, QueueView {}
