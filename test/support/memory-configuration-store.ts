/**
 * model/ports.ts in memory, with a disk that can be late: a commit is visible at once and durable at
 * the next flush, and a crash loses what was not flushed, as a power failure does to LMDB.
 *
 * States of a change: committed (others see it, its caller waits) → flushed (its caller is told), or
 * lost (a crash came first; its caller is never told, as it died too).
 *
 * Flushes happen by themselves in a later event turn unless `holdFlushes()` was called.
 */
import { isDeepStrictEqual } from 'node:util';
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
import { allows, nextRevision, type Precondition } from '../../src/model/etag.ts';
import type {
  StoredConfiguration,
  StoredTarget,
} from '../../src/model/generated/stored-configuration.ts';
import type {
  ConfigurationChange,
  ConfigurationStore,
  TargetsChange,
} from '../../src/model/ports.ts';
import type { RuleDraft } from '../../src/model/rule.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { boxContext } from '../../src/store/secret-boxes.ts';

const LIST_MAX = 256;

/** The secret, or null where the box was made for another place. */
export function openMemoryBox(bucketId: string, target: StoredTarget): string | null {
  const text = Buffer.from(target.secret.box).toString();
  const [context, secret] = JSON.parse(text) as [readonly string[], string];
  return isDeepStrictEqual(context, boxContext(bucketId, target)) ? secret : null;
}

interface State {
  /** How many changes there were, and how many rules were numbered. */
  readonly changes: number;
  readonly incarnations: number;
  readonly records: ReadonlyMap<string, StoredConfiguration>;
}

export class MemoryConfigurationStore implements ConfigurationStore {
  #committed: State = { changes: 0, incarnations: 0, records: new Map() };
  #durable: State = this.#committed;
  #seals = 0;
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
  ): Promise<TargetsChange> {
    let newSecrets: readonly string[] = [];
    const change = await this.#replace(bucket, precondition, (current) => {
      const replacement = withTargets(current, drafts, {
        // Another box each time, as seals are.
        seal: (bucketId, target, secret) => ({
          keyId: 'memory',
          box: Buffer.from(
            JSON.stringify([boxContext(bucketId, target), secret, (this.#seals += 1)]),
          ),
        }),
        open: openMemoryBox,
      });
      newSecrets = replacement.newSecrets;
      return replacement.configuration;
    });
    return { ...change, newSecrets };
  }

  async replaceRules(
    bucket: BucketRef,
    drafts: readonly RuleDraft[],
    precondition: Precondition,
  ): Promise<ConfigurationChange> {
    return this.#replace(bucket, precondition, (current, newIncarnation) =>
      withRules(current, drafts, newIncarnation),
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
    change: (current: StoredConfiguration, newIncarnation: () => number) => StoredConfiguration,
  ): Promise<ConfigurationChange> {
    this.#assertOpen();
    const stored = this.#committed.records.get(bucket.name);
    const current =
      stored?.bucketId === bucket.id
        ? stored
        : { ...EMPTY_CONFIGURATION, bucketId: bucket.id, targets: [], rules: [] };
    if (!allows(precondition, current.revision)) throw replicationError('PreconditionFailed');
    let { changes, incarnations } = this.#committed;
    const changed = change(current, () => (incarnations += 1));
    if (changed === current) {
      await this.flushed();
      return { before: withoutSecrets(current), after: withoutSecrets(current) };
    }
    changes += 1;
    const nonce = changes.toString(16).padStart(8, '0');
    const next = { ...changed, revision: nextRevision(current.revision, nonce) };
    const records = new Map(this.#committed.records).set(bucket.name, next);
    this.#committed = { changes, incarnations, records };
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
