/**
 * What the plugin needs of a store, as whole operations: each is one transaction of the
 * implementation, so that a store on another engine needs no transactions that span calls.
 *
 * One contract suite (test/contract/) runs against every implementation.
 */
import type { BucketRef } from '../host.ts';
import type { Configuration } from './configuration.ts';
import type { Precondition } from './etag.ts';
import type { RuleDraft } from './rule.ts';
import type { TargetDraft } from './target.ts';

/** What a replacement did, for the answer and the audit log. */
export interface ConfigurationChange {
  readonly before: Configuration;
  readonly after: Configuration;
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
   * it resolves.
   *
   * @throws ApiError PreconditionFailed, or InvalidRequest where a mask has no stored secret to keep
   */
  replaceTargets(
    bucket: BucketRef,
    drafts: readonly TargetDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange>;

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
   * every write of the server; true may be wrong, false never is.
   */
  mayReplicate(bucketName: string): boolean;

  /** Rejects where the store cannot be read. */
  probe(): Promise<void>;

  /** Waits for what was asked before, then closes. Idempotent. */
  close(): Promise<void>;
}
