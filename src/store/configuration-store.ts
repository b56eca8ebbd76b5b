/**
 * The configurations in LMDB: model/ports.ts on one environment.
 *
 * In each change the record, the hint derived from it and the revision are written together or not
 * at all, and the answer waits for the flush (transactions.ts).
 *
 * States: open → closing (new calls are refused, running ones end) → closed.
 */
import type { BucketRef } from '../host.ts';
import {
  EMPTY_CONFIGURATION,
  mayReplicate,
  withRules,
  withTargets,
  withoutSecrets,
  type Configuration,
} from '../model/configuration.ts';
import { replicationError } from '../model/errors.ts';
import { allows, type Precondition } from '../model/etag.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import type { ConfigurationChange, ConfigurationStore } from '../model/ports.ts';
import type { RuleDraft } from '../model/rule.ts';
import type { TargetDraft } from '../model/target.ts';
import type { Keyring } from '../sealing/keyring.ts';
import type { CommitFeed } from './commit-feed.ts';
import { applyConsequences } from './consequences.ts';
import { Memo } from './memo.ts';
import type { Tables } from './tables.ts';
import { Transactions } from './transactions.ts';

const REVISION = 'revision';
const LIST_MAX = 256;
/** A save can wait so long for others to share its commit. */
const SAVE_PATIENCE_MS = 2;

export interface ConfigurationStoreOptions {
  /** Told of each change. */
  readonly feed?: CommitFeed;
  /** Milliseconds since the epoch; by default the system's clock. */
  readonly now?: () => number;
}

/** What a record says without its secrets. */
interface Known {
  readonly bucketId: string;
  readonly configuration: Configuration;
}

export class LmdbConfigurationStore implements ConfigurationStore {
  readonly #tables: Tables;
  readonly #keyring: Keyring;
  readonly #feed: CommitFeed | undefined;
  readonly #now: () => number;
  readonly #transactions: Transactions;
  /** Without secrets, by bucket name. */
  readonly #known: Memo<string, Known>;
  #closed: Promise<void> | undefined;

  constructor(tables: Tables, keyring: Keyring, options: ConfigurationStoreOptions = {}) {
    this.#tables = tables;
    this.#keyring = keyring;
    this.#transactions = new Transactions(tables, []);
    this.#known = new Memo(tables.counters);
    this.#feed = options.feed;
    this.#now = options.now ?? Date.now;
  }

  async read(bucket: BucketRef): Promise<Configuration> {
    const known = this.#transactions.read(() =>
      this.#known.get(bucket.name, () => this.#readRecord(bucket.name)),
    );
    return known?.bucketId === bucket.id ? known.configuration : EMPTY_CONFIGURATION;
  }

  async replaceTargets(
    bucket: BucketRef,
    drafts: readonly TargetDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange> {
    return this.#replace(bucket, precondition, (current, revision) =>
      withTargets(current, drafts, revision, (targetId, secret) =>
        this.#keyring.seal(secret, [bucket.id, targetId]),
      ),
    );
  }

  async replaceRules(
    bucket: BucketRef,
    drafts: readonly RuleDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange> {
    return this.#replace(bucket, precondition, (current, revision) =>
      withRules(current, drafts, revision),
    );
  }

  async removeBucket(bucket: BucketRef): Promise<void> {
    const { configurations, hints } = this.#tables;
    await this.#write(() => {
      const stored = configurations.get(bucket.name);
      if (stored?.bucketId !== bucket.id) return;
      configurations.removeSync(bucket.name);
      hints.removeSync(bucket.name);
      applyConsequences(this.#tables, bucket.name, stored, undefined, this.#now());
    });
  }

  async listBuckets(after: string | null): Promise<readonly BucketRef[]> {
    return this.#transactions.read(() =>
      Array.from(
        this.#tables.configurations.getRange({
          ...(after === null ? {} : { start: after, exclusiveStart: true }),
          limit: LIST_MAX,
        }),
        ({ key, value }) => ({ name: key, id: value.bucketId }),
      ),
    );
  }

  mayReplicate(bucketName: string): boolean {
    return this.#tables.hints.doesExist(bucketName);
  }

  mayReplicateNow(bucketName: string): boolean {
    // A read transaction outlives its turn of the event loop by a millisecond and more.
    this.#tables.root.resetReadTxn();
    return this.#tables.hints.doesExist(bucketName);
  }

  async probe(): Promise<void> {
    this.#transactions.read(() => this.#tables.meta.get(REVISION));
  }

  /**
   * Seals anew, under the newest key, every secret that an older key sealed.
   *
   * @param onUnreadable is told of each secret that no key opens; it stays as it is
   */
  async resealSecrets(onUnreadable: (bucket: BucketRef, targetId: string) => void): Promise<void> {
    let after: string | null = null;
    for (;;) {
      const buckets: readonly BucketRef[] = await this.listBuckets(after);
      const last = buckets.at(-1);
      if (last === undefined) return;
      for (const bucket of buckets) await this.#resealBucket(bucket, onUnreadable);
      after = last.name;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#transactions.close();
    await this.#tables.close();
  }

  async #replace(
    bucket: BucketRef,
    precondition: Precondition,
    change: (current: StoredConfiguration, revision: number) => StoredConfiguration,
  ): Promise<ConfigurationChange> {
    return this.#write(() => {
      const { configurations, meta } = this.#tables;
      const stored = configurations.get(bucket.name);
      const current =
        stored?.bucketId === bucket.id
          ? stored
          : { ...EMPTY_CONFIGURATION, bucketId: bucket.id, targets: [], rules: [] };
      if (!allows(precondition, current.revision)) throw replicationError('PreconditionFailed');
      const revision = (meta.get(REVISION) ?? 0) + 1;
      const next = change(current, revision);
      this.#put(bucket.name, next);
      meta.putSync(REVISION, revision);
      applyConsequences(this.#tables, bucket.name, stored, next, this.#now());
      return { before: withoutSecrets(current), after: withoutSecrets(next) };
    });
  }

  /** Writes a record and everything that is derived from it. */
  #put(bucketName: string, next: StoredConfiguration): void {
    const { configurations, hints } = this.#tables;
    configurations.putSync(bucketName, next);
    if (mayReplicate(next)) hints.putSync(bucketName, true);
    else hints.removeSync(bucketName);
  }

  async #resealBucket(
    bucket: BucketRef,
    onUnreadable: (bucket: BucketRef, targetId: string) => void,
  ): Promise<void> {
    const isOld = (stored: StoredConfiguration | undefined): stored is StoredConfiguration =>
      stored?.bucketId === bucket.id &&
      stored.targets.some((target) => target.secret.keyId !== this.#keyring.newestKeyId);
    if (!isOld(this.#tables.configurations.get(bucket.name))) return;
    await this.#transactions.write(() => {
      const stored = this.#tables.configurations.get(bucket.name);
      if (!isOld(stored)) return;
      const targets = stored.targets.map((target) => {
        const context = [bucket.id, target.id];
        try {
          return {
            ...target,
            secret: this.#keyring.seal(this.#keyring.open(target.secret, context), context),
          };
        } catch {
          onUnreadable(bucket, target.id);
          return target;
        }
      });
      this.#put(bucket.name, { ...stored, targets });
      this.#tables.counters.noteChange();
    });
  }

  /** Rolled back where `work` throws, durable when it resolves. */
  async #write<T>(work: () => T): Promise<T> {
    const result = await this.#transactions.writeTogether(work, {
      patienceMs: SAVE_PATIENCE_MS,
    });
    this.#feed?.tell();
    return result;
  }

  #readRecord(bucketName: string): Known | undefined {
    const stored = this.#tables.configurations.get(bucketName);
    if (stored === undefined) return undefined;
    return { bucketId: stored.bucketId, configuration: withoutSecrets(stored) };
  }
}
