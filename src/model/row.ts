/**
 * Rows of the outbox: the unit of work is one event for one target.
 *
 * A *chain* is (bucket id, target id, key): at most one of its rows is in flight. A *lane* is
 * (bucket id, target id): everything that shares a target's connections, concurrency and breaker.
 * A *ruleset* is the set of rules, by incarnation, that put a row there.
 *
 * States of a row (`state` says pending, verifying or failed):
 *
 *     waiting ──(rows before it are gone)──▶ due ──claim──▶ claimed ──complete──▶ gone
 *                                             ▲                │
 *                                             ├─────retry──────┤
 *                                             └─(retry asked)─ failed ◀──fail──┘ ──(7 days)──▶ gone
 *
 * Only the first row of a chain that has not failed, its *head*, is ever due or claimed.
 *
 * A row that is *verifying* delivers nothing new: it looks, once no earlier request of the chain can be
 * applied any longer, whether the target still shows what is current.
 */
import type { BucketRef } from '../host.ts';

/** Sorts after every version: what such a row delivers is looked up when it is claimed. */
export const ORDER_LAST = 2 ** 48 - 1;

export interface LaneRef {
  readonly bucket: BucketRef;
  readonly targetId: string;
}

/** What users see of the last failure: model/outcome.ts makes the sentence. */
export interface LastError {
  /** One sentence; no address, no secret. */
  readonly reason: string;
  readonly status?: number;
  readonly code?: string;
  readonly requestId?: string;
}

/** A multipart upload that has begun at the target; stored before its first part is sent. */
export interface UploadState {
  readonly uploadId: string;
  readonly versionId: string;
  /** Of the version when it began: its tags, which a target takes at the beginning, change with the order. */
  readonly order: number;
  readonly partBytes: number;
}

export type RowState = 'pending' | 'verifying' | 'failed';

/** What a row makes of the target, as far as can be told before it is tried: `resolve` counts as a put. */
export type Operation = 'put' | 'delete';

export function operationOf({ operation }: Pick<Row, 'operation'>): Operation {
  return operation === 'delete' ? 'delete' : 'put';
}

export interface Row {
  /** Position in the order in which rows were enqueued, unique in the environment; the task's id. */
  readonly sequence: number;
  readonly lane: LaneRef;
  /** Incarnations of the rules that it is queued for, ascending, 1 to 4. */
  readonly ruleset: readonly number[];
  readonly key: string;
  /** `resolve`: whatever is current when it is claimed; has no version and sorts last. */
  readonly operation: 'put' | 'delete' | 'resolve';
  /** The version to deliver; null for deletes that left no version, and for `resolve`. */
  readonly versionId: string | null;
  /** The host's order of the event; ORDER_LAST for `resolve`. */
  readonly order: number;
  readonly state: RowState;
  /** Every try, whatever came of it. */
  readonly attempts: number;
  /** Milliseconds since the epoch. */
  readonly nextAttemptAt: number;
  readonly lastError: LastError | null;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Milliseconds since the epoch; null unless `state` is failed. */
  readonly failedAt: number | null;
  /**
   * An earlier request of the chain may be applied until then, or was applied already: HEAD before
   * sending. By the store's clock; null: there is no doubt.
   */
  readonly doubtUntil: number | null;
  /** The target would not take it when it was last tried: a newer event of its key overtakes it. */
  readonly refused: boolean;
  readonly upload: UploadState | null;
}

/** A claimed row and what must be known of its chain. */
export interface Claim {
  readonly row: Row;
  /** Whether a pending row of a later version waits behind it (rows of `resolve` do not count). */
  readonly laterVersionWaits: boolean;
}

/** How many rows of one lane were queued for one ruleset. */
export interface RowCount {
  readonly targetId: string;
  readonly ruleset: readonly number[];
  readonly pending: number;
  readonly verifying: number;
  readonly failed: number;
}
