/**
 * Commits a change of what is current, under the protocol that lets replication miss nothing:
 *
 *     lock keys → announce (intent durable) → one transaction → unlock → flush → committed
 *                                           ↘ failed: abandoned
 *
 * The locks make what is announced as `before` the state that the transaction meets; conditions and
 * the bucket itself are checked in the transaction, where nothing can come in between. Waiting for a
 * synchronous rule happens in `committed`, outside the locks.
 */
import type {
  AnnouncedWrite,
  Announcement,
  BucketRef,
  CommittedWrite,
  Plugin,
} from '../../host.ts';
import { StorageError } from '../../lmdb/storage-error.ts';
import { KeyedMutex } from '../keyed-mutex.ts';
import type { BodyFiles } from './body-files.ts';
import { Change, type ChangeOptions } from './change.ts';
import { ObjectError } from './object-error.ts';
import { objectKey, versionKey } from './object-keys.ts';
import type { BodyRef, Tables } from './tables.ts';
import { newestVersion } from './version-lookup.ts';

export interface CommitterOptions {
  readonly tables: Tables;
  readonly files: BodyFiles;
  readonly clock: () => number;
  readonly randomBytes: (size: number) => Buffer;
}

export interface Commit<Result> {
  readonly bucket: BucketRef;
  /** All keys that `apply` may touch. */
  readonly keys: readonly string[];
  readonly replica: boolean;
  /**
   * `put`: every key gets a new current object. `unknown`: found out by a rehearsal that is rolled
   * back, where what becomes current depends on what is there.
   */
  readonly announces: 'put' | 'unknown';
  /** Runs inside the transaction, and once more before it in a rehearsal. What it throws rolls back. */
  readonly apply: (change: Change) => Result;
  /**
   * Removed where the transaction did not happen: a body that `apply` would have let a record name.
   * Once it did happen, a failure of what follows must not remove it.
   */
  readonly unreferenced?: BodyRef | null;
}

type Operation = AnnouncedWrite['operation'];

interface Done<Result> {
  readonly result: Result;
  readonly events: readonly CommittedWrite[];
  readonly doomed: readonly BodyRef[];
  /** Of the flush, where the transaction can be seen but may not outlive a crash of the system. */
  readonly failure: StorageError | null;
}

export class Committer {
  readonly #options: CommitterOptions;
  readonly #locks = new KeyedMutex();
  #replication: Pick<Plugin, 'announce'> = {};

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  replicateThrough(replication: Pick<Plugin, 'announce'>): void {
    this.#replication = replication;
  }

  /**
   * @throws ObjectError NoSuchBucket, InsufficientStorage, ServiceUnavailable; StorageError; and
   *   whatever `apply` throws
   */
  async run<Result>(commit: Commit<Result>): Promise<Result> {
    const { files } = this.#options;
    let announcement: Announcement | null = null;
    const locked = this.#locked(commit.bucket, commit.keys, async () => {
      announcement = await this.#announce(commit);
      return { announcement, ...(await this.#transact(commit, announcement)) };
    });
    const done = await locked.catch(async (error: unknown) => {
      await files.discard(commit.unreferenced ?? null);
      // Whoever cannot know whether it happened says nothing: the next start settles it.
      if (!isUnknown(error)) await announcement?.abandoned();
      throw error;
    });
    if (done.failure !== null) {
      await done.announcement?.committed(done.events);
      throw done.failure;
    }
    await Promise.all([
      done.announcement?.committed(done.events),
      ...done.doomed.map((body) => files.discard(body)),
    ]);
    return done.result;
  }

  /** A change that no key's current version depends on: no lock, nothing announced. */
  async runQuietly<Result>(bucket: BucketRef, apply: (change: Change) => Result): Promise<Result> {
    const done = await this.#transact({ bucket, replica: false, apply }, null);
    if (done.failure !== null) throw done.failure;
    await Promise.all(done.doomed.map((body) => this.#options.files.discard(body)));
    return done.result;
  }

  /** Takes the locks in one order everywhere, so that two commits never wait for each other. */
  async #locked<T>(bucket: BucketRef, keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const names = [...new Set(keys)].sort().map((key) => `${bucket.id}/${key}`);
    const lockFrom = (index: number): Promise<T> => {
      const name = names[index];
      return name === undefined ? work() : this.#locks.run(name, () => lockFrom(index + 1));
    };
    return await lockFrom(0);
  }

  async #announce(commit: Commit<unknown>): Promise<Announcement | null> {
    if (this.#replication.announce === undefined) return null;
    const writes = await this.#writesOf(commit);
    if (writes.length === 0) return null;
    try {
      return await this.#replication.announce(writes);
    } catch (error) {
      if (isFull(error)) {
        throw new ObjectError('InsufficientStorage', error.message, { cause: error });
      }
      throw new ObjectError('ServiceUnavailable', undefined, { cause: error });
    }
  }

  async #writesOf(commit: Commit<unknown>): Promise<AnnouncedWrite[]> {
    const { id, name } = commit.bucket;
    const operations = await this.#operationsOf(commit);
    return operations.map(({ key, operation }) => ({
      bucket: { id, name },
      key,
      operation,
      before: this.#before(commit.bucket, key),
    }));
  }

  async #operationsOf(commit: Commit<unknown>): Promise<{ key: string; operation: Operation }[]> {
    if (commit.announces === 'put') return commit.keys.map((key) => ({ key, operation: 'put' }));
    try {
      await this.#options.tables.commits.run(() => {
        const change = new Change(this.#changeOptions(commit, null));
        commit.apply(change);
        throw new Rehearsed(change.finish().events);
      });
    } catch (error) {
      if (error instanceof Rehearsed) return [...error.operations];
      throw error;
    }
    return [];
  }

  #before({ id }: BucketRef, key: string): AnnouncedWrite['before'] {
    const { current, versions } = this.#options.tables;
    const object = objectKey(id, key);
    const sequence = current.get(object);
    if (sequence === undefined) return null;
    const record = versions.get(versionKey(object, sequence));
    return record === undefined ? null : { versionId: record.versionId, order: record.order };
  }

  async #transact<Result>(
    commit: Pick<Commit<Result>, 'bucket' | 'replica' | 'apply'>,
    announcement: Announcement | null,
  ): Promise<Done<Result>> {
    const attempts: (Done<Result> & { failure: null })[] = [];
    try {
      return await this.#options.tables.commits.run(() => {
        const change = new Change(this.#changeOptions(commit, announcement));
        const result = commit.apply(change);
        const attempt = { result, ...change.finish(), failure: null };
        attempts.push(attempt);
        return attempt;
      });
    } catch (error) {
      const [attempt] = attempts;
      if (attempt === undefined || !this.#hasHappened(commit.bucket, attempt, error)) throw error;
      return { ...attempt, failure: error as StorageError };
    }
  }

  /**
   * Whether a transaction whose commit failed is there all the same: its flush failed, and everybody
   * sees it. The locks of its keys are still held.
   */
  #hasHappened({ id }: BucketRef, { events }: Done<unknown>, error: unknown): boolean {
    if (!(error instanceof StorageError) || error.failure === 'broken') return false;
    const [event] = events;
    if (event === undefined) return false;
    const newest = newestVersion(this.#options.tables, objectKey(id, event.key));
    return event.versionId === null ? newest === null : newest?.record.order === event.order;
  }

  #changeOptions(
    commit: Pick<Commit<unknown>, 'bucket' | 'replica'>,
    announcement: Announcement | null,
  ): ChangeOptions {
    const { tables, clock, randomBytes } = this.#options;
    const { bucket, replica } = commit;
    // Objects are made one at a time: the first entry is about the only one.
    const replicates = !replica && announcement?.replicates[0] === true;
    return { tables, bucket, replica, replicates, now: clock(), randomBytes };
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof StorageError && error.failure === 'broken';
}

function isFull(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'InsufficientStorage';
}

/** Thrown to roll a rehearsal back; carries what it found out. */
class Rehearsed extends Error {
  readonly operations: readonly { key: string; operation: Operation }[];

  constructor(operations: readonly { key: string; operation: Operation }[]) {
    super('rehearsed');
    this.operations = operations;
  }
}
