/**
 * model/ports.ts in memory, with a disk that can be late: a commit is visible at once and durable at
 * the next flush, and a crash loses what was not flushed, as a power failure does to LMDB.
 *
 * States of a change: committed (others see it, its caller waits) → flushed (its caller is told), or
 * lost (a crash came first; its caller is never told, as it died too).
 *
 * Flushes happen by themselves in a later event turn unless `holdFlushes()` was called.
 */
import type { BucketRef } from '../../src/host.ts';
import {
  EMPTY_CONFIGURATION,
  mayReplicate,
  withRules,
  withTargets,
  withoutSecrets,
  type Configuration,
} from '../../src/model/configuration.ts';
import { replicationError } from '../../src/model/errors.ts';
import { allows, type Precondition } from '../../src/model/etag.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import type { ConfigurationChange, ConfigurationStore } from '../../src/model/ports.ts';
import type { RuleDraft } from '../../src/model/rule.ts';
import type { TargetDraft } from '../../src/model/target.ts';

const LIST_MAX = 256;

interface State {
  readonly revision: number;
  readonly records: ReadonlyMap<string, StoredConfiguration>;
}

export class MemoryConfigurationStore implements ConfigurationStore {
  #committed: State = { revision: 0, records: new Map() };
  #durable: State = this.#committed;
  #waiting = new Set<() => void>();
  #running = new Set<Promise<void>>();
  #holding = false;
  #closed: Promise<void> | undefined;

  /** From now on commits stay volatile until `flush()`. */
  holdFlushes(): void {
    this.#holding = true;
  }

  /** Makes durable what is committed, and tells those who wait for it. */
  flush(): void {
    this.#durable = this.#committed;
    const told = this.#waiting;
    this.#waiting = new Set();
    for (const tell of told) tell();
  }

  /** What was not flushed never happened; whoever waited for it waits for ever. */
  crash(): void {
    this.#committed = this.#durable;
    this.#waiting = new Set();
    this.#running = new Set();
  }

  async read(bucket: BucketRef): Promise<Configuration> {
    this.#assertOpen();
    const stored = this.#committed.records.get(bucket.name);
    return stored?.bucketId === bucket.id ? withoutSecrets(stored) : EMPTY_CONFIGURATION;
  }

  async replaceTargets(
    bucket: BucketRef,
    drafts: readonly TargetDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange> {
    return this.#replace(bucket, precondition, (current, revision) =>
      withTargets(current, drafts, revision, (targetId, secret) => ({
        keyId: 'memory',
        // Another box each time, as seals are.
        box: Buffer.from(JSON.stringify([bucket.id, targetId, secret, revision])),
      })),
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
    this.#assertOpen();
    const records = new Map(this.#committed.records);
    const stored = records.get(bucket.name);
    if (stored?.bucketId === bucket.id) records.delete(bucket.name);
    this.#committed = { ...this.#committed, records };
    if (stored?.bucketId === bucket.id) this.changed(bucket.name, stored, undefined);
    await this.flushed();
  }

  async listBuckets(after: string | null): Promise<readonly BucketRef[]> {
    this.#assertOpen();
    return [...this.#committed.records]
      .map(([name, { bucketId }]) => ({ name, id: bucketId }))
      .filter(({ name }) => after === null || compareBytes(name, after) > 0)
      .sort((a, b) => compareBytes(a.name, b.name))
      .slice(0, LIST_MAX);
  }

  mayReplicateNow(bucketName: string): boolean {
    return this.mayReplicate(bucketName);
  }

  mayReplicate(bucketName: string): boolean {
    const stored = this.#committed.records.get(bucketName);
    return stored !== undefined && mayReplicate(stored);
  }

  async probe(): Promise<void> {
    this.#assertOpen();
  }

  close(): Promise<void> {
    // One event turn more, so that the callers of what ran are told first.
    this.#closed ??= Promise.all(this.#running).then(() => new Promise(setImmediate));
    return this.#closed;
  }

  async #replace(
    bucket: BucketRef,
    precondition: Precondition,
    change: (current: StoredConfiguration, revision: number) => StoredConfiguration,
  ): Promise<ConfigurationChange> {
    this.#assertOpen();
    const stored = this.#committed.records.get(bucket.name);
    const current =
      stored?.bucketId === bucket.id
        ? stored
        : { ...EMPTY_CONFIGURATION, bucketId: bucket.id, targets: [], rules: [] };
    if (!allows(precondition, current.revision)) throw replicationError('PreconditionFailed');
    const revision = this.#committed.revision + 1;
    const next = change(current, revision);
    const records = new Map(this.#committed.records).set(bucket.name, next);
    this.#committed = { revision, records };
    this.changed(bucket.name, stored, next);
    await this.flushed();
    return { before: withoutSecrets(current), after: withoutSecrets(next) };
  }

  /** Called in the transaction of each change, with the records as they were and are. */
  protected changed(
    _bucketName: string,
    _before: StoredConfiguration | undefined,
    _after: StoredConfiguration | undefined,
  ): void {}

  protected record(bucketName: string): StoredConfiguration | undefined {
    return this.#committed.records.get(bucketName);
  }

  protected async flushed(): Promise<void> {
    const flushed = new Promise<void>((tell) => this.#waiting.add(tell));
    this.#running.add(flushed);
    void flushed.then(() => this.#running.delete(flushed));
    if (!this.#holding) setImmediate(() => this.flush());
    await flushed;
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw replicationError('ServiceUnavailable');
  }
}

/** LMDB's order of keys. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
