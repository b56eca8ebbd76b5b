/**
 * The configurations in LMDB: model/ports.ts on one environment.
 *
 * In each change the record and the hint derived from it are written together or not at all, and the
 * answer waits for the flush (transactions.ts). A save that changes nothing writes nothing.
 *
 * States: open → closing (new calls are refused, running ones end) → closed.
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
import { Transactions } from './transactions.ts';

const LIST_MAX = 256;
/** A save can wait so long for others to share its commit. */
const SAVE_PATIENCE_MS = 2;

export interface ConfigurationStoreOptions {
  /** Told of each change. */
  readonly feed?: CommitFeed;
  /** Milliseconds since the epoch; by default the system's clock. */
  readonly now?: () => number;
  /** Eight random hex digits; by default the system's. */
  readonly newNonce?: () => string;
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
  readonly #boxes: SecretBoxes;
  readonly #now: () => number;
  readonly #newNonce: () => string;
  readonly #transactions: Transactions;
  /** Without secrets, by bucket name. */
  readonly #known: Memo<string, Known>;
  #closed: Promise<void> | undefined;

  constructor(tables: Tables, keyring: Keyring, options: ConfigurationStoreOptions = {}) {
    this.#tables = tables;
    this.#keyring = keyring;
    this.#boxes = createSecretBoxes(keyring);
    this.#transactions = new Transactions(tables, []);
    this.#known = new Memo(tables.counters);
    this.#feed = options.feed;
    this.#now = options.now ?? Date.now;
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

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#transactions.close();
    await this.#tables.close();
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
    configurations.putSync(bucketName, next);
    if (mayReplicate(next)) hints.putSync(bucketName, true);
    else hints.removeSync(bucketName);
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
    this.#feed?.tell({ kind: 'bucket', bucket });
    return result;
  }

  #readRecord(bucketName: string): Known | undefined {
    const stored = this.#tables.configurations.get(bucketName);
    if (stored === undefined) return undefined;
    return { bucketId: stored.bucketId, configuration: withoutSecrets(stored) };
  }
}
