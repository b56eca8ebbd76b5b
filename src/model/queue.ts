/** What goes in and out of the durable queue: the values of the calls in ports.ts. */
import type { AnnouncedWrite, BucketRef } from '../host.ts';
import type { LaneReport } from './lane-report.ts';
import type { LastError, Operation, Row, RowCount, RowState, UploadState } from './row.ts';
import type { Rule } from './rule.ts';
import type { Target } from './target.ts';

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
