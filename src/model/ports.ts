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
  Claim,
  LaneRef,
  LastError,
  Operation,
  Row,
  RowCount,
  RowState,
  UploadState,
} from './row.ts';
import type { Rule, RuleDraft } from './rule.ts';
import type { Target, TargetDraft } from './target.ts';
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

  /** Waits for what was asked before, then closes. Idempotent. */
  close(): Promise<void>;
}

/** A target, its opened secret and the enabled rules that name it, as they are now. */
export type TargetAccess =
  | {
      readonly kind: 'usable';
      readonly target: Target;
      readonly secretAccessKey: string;
      readonly rules: readonly Rule[];
      /** Another one than before: what failed is to be tried anew. */
      readonly retryMark: number;
    }
  /** The secret does not open. */
  | { readonly kind: 'sealed'; readonly target: Target }
  | { readonly kind: 'absent' };

/** Names an announcement in the store. */
export type IntentId = number;

export interface AnnouncedIntent {
  readonly intent: IntentId;
  /** For each write, whether a rule covers it as the rules are now; those of the commit may differ. */
  readonly replicates: readonly boolean[];
}

/** A row as it was queued. */
export interface QueuedRow extends Row {
  /** Whether an enabled synchronous rule wants it, and its target is enabled. */
  readonly isSynchronous: boolean;
}

/** An announcement that a dead process left behind. */
export interface LeftIntent {
  readonly id: IntentId;
  readonly writes: readonly AnnouncedWrite[];
}

/** Why events are being dropped, or were. */
export interface RuleGap {
  readonly incarnation: number;
  /** Milliseconds since the epoch. */
  readonly gapSince: number;
  /** A resync cannot find what was deleted meanwhile: such a gap stays. */
  readonly deleteLost: boolean;
}

/**
 * A multipart upload that began at a target, was neither completed nor aborted, and that no row
 * carries any longer.
 */
export interface StrayUpload {
  readonly key: string;
  readonly uploadId: string;
  /** Where the target was when the upload was left (placeOf in model/target.ts). */
  readonly place: string;
}

/** What became of a claim; every outcome is one transaction, fenced by the epoch. */
export type ClaimOutcome =
  /**
   * Removes the row and every row of its chain whose order is at most `upTo`, failed ones too; pending
   * `resolve` rows stay, whatever `upTo` says, failed ones go. More than 256 rows go in several transactions, the
   * claimed one in the last.
   * `begunAt`: when this try began. Where the row, one that goes with it, or one that waits for a
   * disabled or removed rule is in doubt for longer, a verifying row under the claimed one's rules looks
   * again once the doubt is over.
   * `uploadId`: the multipart upload that was completed; another one that the row carries is a stray.
   */
  | {
      readonly kind: 'complete';
      readonly upTo: number;
      readonly begunAt: number;
      readonly uploadId: string | null;
    }
  | {
      readonly kind: 'retry';
      readonly nextAttemptAt: number;
      readonly lastError: LastError;
      readonly doubtUntil: number | null;
      /** The target refuses this event: where a later row of its key waits, the row goes. */
      readonly refused: boolean;
      /** The version is gone or no longer wanted: deliver what is current instead. */
      readonly asResolve: boolean;
      readonly upload: UploadState | null;
    }
  /** The row waits for seven days without its upload. */
  | {
      readonly kind: 'fail';
      readonly lastError: LastError;
      readonly doubtUntil: number | null;
      readonly refused: boolean;
    }
  /** Gives the claim back untried. */
  | { readonly kind: 'release'; readonly doubtUntil: number | null };

export interface ResyncJob {
  /** Names this run: a later one of the same rule has a higher number. */
  readonly run: number;
  readonly bucket: BucketRef;
  readonly ruleId: string;
  readonly incarnation: number;
  readonly state: 'running' | 'completed' | 'cancelled';
  /** The last key looked at; null at the beginning. */
  readonly cursor: string | null;
  readonly scanned: number;
  readonly enqueued: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly finishedAt: number | null;
}

/**
 * Which rows of a bucket to show or retry; dead rows (no rule of theirs is left) never match. Pending
 * rows of a removed target count as failed.
 */
export interface RowFilter {
  readonly state?: RowState;
  readonly ruleIncarnation?: number;
}

/** The bucket's queue in numbers. */
export interface QueueStatus {
  readonly counts: readonly RowCount[];
  readonly gaps: readonly RuleGap[];
  /** When the oldest pending row of each target was enqueued, milliseconds since the epoch. */
  readonly oldest: readonly { readonly targetId: string; readonly createdAt: number }[];
  /** Of each target that is listed. */
  readonly lanes: readonly LaneCondition[];
}

/** How the lane of a target is doing, whichever process delivers. */
export interface LaneCondition {
  readonly targetId: string;
  /** The secret does not open: nothing is delivered. */
  readonly isSealed: boolean;
  readonly report: LaneReport;
}

/** By the store's clock; null where the lane has no row of the operation. */
export type DueTimes = Readonly<Record<Operation, number | null>>;

export interface ClaimRequest {
  readonly limit: number;
  /** By the store's clock. */
  readonly now: number;
  /** Rows of others are left where they are. */
  readonly operations: readonly Operation[];
  /** Rows that were never tried come first, as far as a few dozen due ones tell. */
  readonly untriedFirst: boolean;
}

/** The queue of all buckets in numbers. */
export interface QueueTotals {
  readonly pending: number;
  readonly verifying: number;
  readonly failed: number;
  /** Milliseconds since the epoch; null where nothing is pending. */
  readonly oldestPendingAt: number | null;
}

/**
 * The durable queue, in the same environment as the configurations. Rules are matched inside the
 * transaction that enqueues, against the configuration as that transaction reads it.
 *
 * Calls that carry an `epoch` belong to the holder of the lease and reject with `LeaseLost` where
 * another process holds a newer one.
 */
export interface Outbox {
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

  /** Takes the lease where nobody alive holds it; null where somebody does. A new epoch each time. */
  acquireLease(): Promise<number | null>;
  /** False where it was lost. */
  renewLease(epoch: number): Promise<boolean>;
  releaseLease(epoch: number): Promise<void>;
  /** Gives back the claims of earlier epochs; their rows are in doubt. */
  recoverClaims(epoch: number): Promise<void>;
  /** At most 256 intents of processes that are no longer alive. */
  leftIntents(epoch: number): Promise<readonly LeftIntent[]>;
  /** Forgets the intent and enqueues a `resolve` row for each listed write under the rules that match. */
  settle(epoch: number, intent: IntentId, changed: readonly AnnouncedWrite[]): Promise<void>;

  /** Lanes that have pending rows, of one bucket or of all. */
  lanes(bucket?: BucketRef): Promise<readonly LaneRef[]>;
  /** When the lane's next row of each operation is due under a rule that is enabled. */
  nextDueAt(lane: LaneRef): Promise<DueTimes>;
  /** Claims due heads of the lane, the longest due first, committed when it resolves. */
  claim(epoch: number, lane: LaneRef, request: ClaimRequest): Promise<readonly Claim[]>;
  /**
   * Resolves with false where the row is no longer claimed under this epoch (its rule or bucket is gone).
   *
   * @param isAwaited whether something waits for it: what nobody waits for may take some milliseconds
   *   more, to share its transaction with others
   */
  settleClaim(
    epoch: number,
    claim: Claim,
    outcome: ClaimOutcome,
    isAwaited?: boolean,
  ): Promise<boolean>;
  /**
   * Committed before the first part is sent, so that a crash leaves no unknown parts behind. Resolves
   * with false where the row is no longer claimed under this epoch: nobody will know of the upload.
   * Null: the one that the row carries was aborted. Another one makes that a stray.
   */
  storeUpload(epoch: number, claim: Claim, upload: UploadState | null): Promise<boolean>;
  accessTarget(lane: LaneRef): Promise<TargetAccess>;
  /** Lanes that left uploads behind: each change that takes an upload off its row notes it as a stray. */
  strayLanes(): Promise<readonly LaneRef[]>;
  /** Strays of the lane behind `after`, in an order of the store's own. */
  strayUploads(
    lane: LaneRef,
    after: StrayUpload | null,
    limit: number,
  ): Promise<readonly StrayUpload[]>;
  forgetStrays(epoch: number, lane: LaneRef, strays: readonly StrayUpload[]): Promise<void>;
  /**
   * What the lane shows now. Saving its target with other values, or enabling it, makes it healthy; a
   * request for a retry leaves all but what the target is said to refuse.
   */
  laneReport(lane: LaneRef): Promise<LaneReport>;
  /** Changes nothing where the target is gone or has another mark than the report was made under. */
  storeReport(epoch: number, lane: LaneRef, retryMark: number, report: LaneReport): Promise<void>;

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

  /**
   * Null where a resync of the rule is running, or the rule does not exist or is disabled. The lane is
   * marked as for a retry. Durable.
   */
  startResync(bucket: BucketRef, ruleId: string, now: number): Promise<ResyncJob | null>;
  readResync(bucket: BucketRef, ruleId: string): Promise<ResyncJob | null>;
  cancelResync(bucket: BucketRef, ruleId: string, now: number): Promise<boolean>;
  runningResyncs(): Promise<readonly ResyncJob[]>;
  /**
   * Enqueues a `resolve` row for each key that has the rule's prefix and moves the cursor (null leaves
   * it), in one transaction; with `done` the job is completed and the rule's gap cleared (unless a
   * delete was lost, or events were dropped since the job began). A disabled rule's job is cancelled.
   *
   * @returns the job as it is now; one that was cancelled meanwhile enqueues nothing; null where the
   *   rule is gone or another run has begun
   */
  advanceResync(
    epoch: number,
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): Promise<ResyncJob | null>;

  /**
   * Removes at most 256 rows that no rule is left for (also because the bucket has another id) or
   * that failed 7 days ago, and lets rows under enabled rules overtake rows under disabled ones;
   * true while more may be left. Rows in flight stay until their claim ends, and rows in doubt whose
   * rules are gone are looked past while they are (they become verifying rows, for a rule that comes
   * back). Strays of targets that are not listed are forgotten. Nothing expires in the store's first hour.
   */
  sweep(epoch: number, now: number): Promise<boolean>;
  /**
   * Brings the nextAttemptAt of heads that are more than an hour ahead back to an hour ahead. Rows
   * behind them are brought back when they become heads.
   */
  clampSchedules(epoch: number, now: number): Promise<void>;
  /**
   * Told after each commit of this or another process that may have made work, and where. (The lane
   * whose claim was settled knows that by itself.) Returns the way to stop.
   */
  subscribe(listener: (work: Work) => void): () => void;
}
