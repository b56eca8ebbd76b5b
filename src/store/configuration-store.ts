/** The configurations: model/ports.ts as transactions of what configure.ts does. */
import { setImmediate } from 'node:timers/promises';
import type { BucketRef } from '../host.ts';
import type { Configuration } from '../model/configuration.ts';
import type { Precondition } from '../model/etag.ts';
import type { ConfigurationChange, ConfigurationStore, TargetsChange } from '../model/ports.ts';
import type { RuleDraft } from '../model/rule.ts';
import type { TargetDraft } from '../model/target.ts';
import type { CommitFeed } from './commit-feed.ts';
import { listBuckets, shownConfiguration } from './configurations.ts';
import {
  needsReseal,
  removeBucket,
  replaceRules,
  replaceTargets,
  resealSecrets,
} from './configure.ts';
import type { Tables } from './tables.ts';
import type { Transactions } from './transactions.ts';
import type { Tx } from './tx.ts';

/** A save can wait so long for others to share its commit. */
const SAVE_PATIENCE_MS = 2;

export interface StoredConfigurationsOptions {
  readonly tables: Tables;
  /** Told of each change. */
  readonly feed: CommitFeed;
  readonly transactions: Transactions;
}

export class StoredConfigurations implements ConfigurationStore {
  readonly #tables: Tables;
  readonly #feed: CommitFeed;
  readonly #transactions: Transactions;

  constructor({ tables, feed, transactions }: StoredConfigurationsOptions) {
    this.#tables = tables;
    this.#feed = feed;
    this.#transactions = transactions;
  }

  async read(bucket: BucketRef): Promise<Configuration> {
    return this.#transactions.read((tx) => shownConfiguration(tx, bucket));
  }

  replaceTargets(
    bucket: BucketRef,
    drafts: readonly TargetDraft[],
    precondition: Precondition,
  ): Promise<TargetsChange> {
    return this.#write(bucket, (tx) => replaceTargets(tx, bucket, drafts, precondition));
  }

  replaceRules(
    bucket: BucketRef,
    drafts: readonly RuleDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange> {
    return this.#write(bucket, (tx) => replaceRules(tx, bucket, drafts, precondition));
  }

  removeBucket(bucket: BucketRef): Promise<void> {
    return this.#write(bucket, (tx) => removeBucket(tx, bucket));
  }

  async listBuckets(after: string | null): Promise<readonly BucketRef[]> {
    return this.#transactions.read((tx) => listBuckets(tx, after));
  }

  mayReplicate(bucketName: string): boolean {
    return this.#tables.hints.has(bucketName);
  }

  mayReplicateNow(bucketName: string): boolean {
    this.#tables.storage.refresh();
    return this.#tables.hints.has(bucketName);
  }

  async probe(): Promise<void> {
    this.#transactions.read(({ counters }) => counters.changes());
  }

  /**
   * Opens every secret once, and seals anew, under the newest key, those that an older key sealed.
   *
   * @param onUnreadable is told of each secret that does not open; it stays as it is
   */
  async resealSecrets(onUnreadable: (bucket: BucketRef, targetId: string) => void): Promise<void> {
    let after: string | null = null;
    for (;;) {
      const buckets: readonly BucketRef[] = await this.listBuckets(after);
      const last = buckets.at(-1);
      if (last === undefined) return;
      for (const bucket of buckets) {
        const isOld = this.#transactions.read((tx) => needsReseal(tx, bucket, onUnreadable));
        if (isOld) await this.#transactions.write((tx) => resealSecrets(tx, bucket));
      }
      after = last.name;
      // Requests come first: what a page costs is for nobody to wait for.
      await setImmediate();
    }
  }

  /** Rolled back where `work` throws, durable when it resolves. */
  async #write<T>(bucket: BucketRef, work: (tx: Tx) => T): Promise<T> {
    const result = await this.#transactions.writeTogether(work, { patienceMs: SAVE_PATIENCE_MS });
    this.#feed.tell({ kind: 'bucket', bucket });
    return result;
  }
}
