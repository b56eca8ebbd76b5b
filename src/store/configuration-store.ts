/**
 * The configurations: model/ports.ts on tables.
 *
 * In each change the record and the hint derived from it are written together or not at all, and the
 * answer waits for the flush (transactions.ts). A save that changes nothing writes nothing.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { BucketRef } from '../host.ts';
import {
  EMPTY_CONFIGURATION,
  mayReplicate,
  withRules,
  withTargets,
  withoutSecrets,
  type Configuration,
  type SecretBoxes,
} from '../model/configuration.ts';
import { replicationError } from '../model/errors.ts';
import { allows, nextRevision, type Precondition } from '../model/etag.ts';
import type { StoredConfiguration, StoredTarget } from '../model/generated/stored-configuration.ts';
import type { ConfigurationChange, ConfigurationStore, TargetsChange } from '../model/ports.ts';
import type { RuleDraft } from '../model/rule.ts';
import type { TargetDraft } from '../model/target.ts';
import type { Keyring } from '../sealing/keyring.ts';
import type { CommitFeed } from './commit-feed.ts';
import { applyConsequences } from './consequences.ts';
import { Memo } from './memo.ts';
import { createSecretBoxes } from './secret-boxes.ts';
import type { Tables } from './tables.ts';
import type { Transactions } from './transactions.ts';

const LIST_MAX = 256;
/** A save can wait so long for others to share its commit. */
const SAVE_PATIENCE_MS = 2;

export interface StoredConfigurationsOptions {
  readonly tables: Tables;
  readonly keyring: Keyring;
  /** Told of each change. */
  readonly feed: CommitFeed;
  readonly transactions: Transactions;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Eight random hex digits; by default the system's. */
  readonly newNonce?: () => string;
}

/** What a record says without its secrets. */
interface Known {
  readonly bucketId: string;
  readonly configuration: Configuration;
}

export class StoredConfigurations implements ConfigurationStore {
  readonly #tables: Tables;
  readonly #keyring: Keyring;
  readonly #feed: CommitFeed;
  readonly #boxes: SecretBoxes;
  readonly #now: () => number;
  readonly #newNonce: () => string;
  readonly #transactions: Transactions;
  /** Without secrets, by bucket name. */
  readonly #known: Memo<string, Known>;

  constructor(options: StoredConfigurationsOptions) {
    const { tables, keyring, feed, transactions, now } = options;
    this.#tables = tables;
    this.#keyring = keyring;
    this.#boxes = createSecretBoxes(keyring);
    this.#transactions = transactions;
    this.#known = new Memo(tables.counters);
    this.#feed = feed;
    this.#now = now;
    // A UUID's first eight digits are random, and cost a tenth of bytes that are asked for by themselves.
    this.#newNonce = options.newNonce ?? (() => randomUUID().slice(0, 8));
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
  ): Promise<TargetsChange> {
    return this.#write(bucket, () => {
      let newSecrets: readonly string[] = [];
      const change = this.#replace(bucket, precondition, (current) => {
        const replacement = withTargets(current, drafts, this.#boxes);
        newSecrets = replacement.newSecrets;
        return replacement.configuration;
      });
      return { ...change, newSecrets };
    });
  }

  async replaceRules(
    bucket: BucketRef,
    drafts: readonly RuleDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange> {
    const { counters } = this.#tables;
    return this.#write(bucket, () =>
      this.#replace(bucket, precondition, (current) =>
        withRules(current, drafts, () => counters.nextIncarnation()),
      ),
    );
  }

  async removeBucket(bucket: BucketRef): Promise<void> {
    const { configurations, hints } = this.#tables;
    await this.#write(bucket, () => {
      const stored = configurations.get(bucket.name);
      if (stored?.bucketId !== bucket.id) return;
      configurations.remove(bucket.name);
      hints.remove(bucket.name);
      applyConsequences(this.#tables, bucket.name, stored, undefined, this.#now());
    });
  }

  async listBuckets(after: string | null): Promise<readonly BucketRef[]> {
    return this.#transactions.read(() =>
      Array.from(
        this.#tables.configurations.range({
          ...(after === null ? {} : { start: after, exclusiveStart: true }),
          limit: LIST_MAX,
        }),
        ({ key, value }) => ({ name: key, id: value.bucketId }),
      ),
    );
  }

  mayReplicate(bucketName: string): boolean {
    return this.#tables.hints.has(bucketName);
  }

  mayReplicateNow(bucketName: string): boolean {
    this.#tables.storage.refresh();
    return this.#tables.hints.has(bucketName);
  }

  async probe(): Promise<void> {
    this.#transactions.read(() => this.#tables.counters.changes());
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
      for (const bucket of buckets) await this.#resealBucket(bucket, onUnreadable);
      after = last.name;
      // Requests come first: what a page costs is for nobody to wait for.
      await setImmediate();
    }
  }

  /** Inside a write transaction. @param change returns what it is given where nothing changes */
  #replace(
    bucket: BucketRef,
    precondition: Precondition,
    change: (current: StoredConfiguration) => StoredConfiguration,
  ): ConfigurationChange {
    const stored = this.#tables.configurations.get(bucket.name);
    const current =
      stored?.bucketId === bucket.id
        ? stored
        : { ...EMPTY_CONFIGURATION, bucketId: bucket.id, targets: [], rules: [] };
    if (!allows(precondition, current.revision)) throw replicationError('PreconditionFailed');
    const changed = change(current);
    const before = withoutSecrets(current);
    if (changed === current) return { before, after: before };
    const next = { ...changed, revision: nextRevision(current.revision, this.#newNonce()) };
    this.#put(bucket.name, next);
    applyConsequences(this.#tables, bucket.name, stored, next, this.#now());
    return { before, after: withoutSecrets(next) };
  }

  /** Writes a record and everything that is derived from it. */
  #put(bucketName: string, next: StoredConfiguration): void {
    const { configurations, hints } = this.#tables;
    configurations.put(bucketName, next);
    if (mayReplicate(next)) hints.put(bucketName, true);
    else hints.remove(bucketName);
  }

  async #resealBucket(
    bucket: BucketRef,
    onUnreadable: (bucket: BucketRef, targetId: string) => void,
  ): Promise<void> {
    const isOld = ({ secret }: StoredTarget): boolean => secret.keyId !== this.#keyring.newestKeyId;
    const found = this.#transactions.read(() => this.#tables.configurations.get(bucket.name));
    const readable = (found?.bucketId === bucket.id ? found.targets : []).filter((target) => {
      const isReadable = this.#boxes.open(bucket.id, target) !== null;
      if (!isReadable) onUnreadable(bucket, target.id);
      return isReadable;
    });
    if (!readable.some(isOld)) return;
    await this.#transactions.write(() => {
      const stored = this.#tables.configurations.get(bucket.name);
      if (stored?.bucketId !== bucket.id) return;
      const targets = stored.targets.map((target) => {
        const secret = isOld(target) ? this.#boxes.open(bucket.id, target) : null;
        return secret === null
          ? target
          : { ...target, secret: this.#boxes.seal(bucket.id, target, secret) };
      });
      this.#put(bucket.name, { ...stored, targets });
      this.#tables.counters.noteChange();
    });
  }

  /** Rolled back where `work` throws, durable when it resolves. */
  async #write<T>(bucket: BucketRef, work: () => T): Promise<T> {
    const result = await this.#transactions.writeTogether(work, {
      patienceMs: SAVE_PATIENCE_MS,
    });
    this.#feed.tell({ kind: 'bucket', bucket });
    return result;
  }

  #readRecord(bucketName: string): Known | undefined {
    const stored = this.#tables.configurations.get(bucketName);
    if (stored === undefined) return undefined;
    return { bucketId: stored.bucketId, configuration: withoutSecrets(stored) };
  }
}
