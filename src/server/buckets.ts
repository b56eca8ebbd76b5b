/**
 * Which buckets exist, whose they are, and whether they keep versions.
 *
 * Names are unique on the server and come back to the pool with a deletion; ids are random and never
 * come back, so whatever hangs on an id cannot be inherited by a later bucket of the same name.
 * Every change is flushed to disk before it resolves.
 */
import { randomUUID } from 'node:crypto';
import type { Database } from 'lmdb';
import type { Bucket } from '../host.ts';
import type { ServerDatabase } from './database.ts';
import { serverError } from './errors.ts';
import { KeyedMutex } from './keyed-mutex.ts';

/** Length and alphabet of S3's "Bucket naming rules" for general purpose buckets. */
const NAME_PATTERN = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const IPV4_PATTERN = /^\d+\.\d+\.\d+\.\d+$/;
/** First segments of paths that the server answers itself; objects of such buckets would be out of reach. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['api', 'livez', 'readyz', 'metrics']);
/** Sorts after every character that a bucket name can have. */
const AFTER_NAMES = '~';

export interface BucketRecord extends Bucket {
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export interface NewBucket {
  readonly name: string;
  readonly ownerId: string;
  readonly versioningEnabled: boolean;
}

/** What may follow `Disabled`: once a bucket kept versions, it can only stop making new ones. */
export type VersioningChange = 'Enabled' | 'Suspended';

/** S3's rules: 3 to 63 of a-z, 0-9, `.`, `-`; a letter or digit at both ends; no `..`; no IPv4 address. */
export function isBucketName(name: string): boolean {
  return NAME_PATTERN.test(name) && !name.includes('..') && !IPV4_PATTERN.test(name);
}

export class Buckets {
  /** By name; the object store reads a bucket's record in its own transactions. */
  readonly records: Database<BucketRecord, string>;
  readonly #database: ServerDatabase;
  readonly #clock: () => number;
  readonly #locks = new KeyedMutex();

  constructor(options: { database: ServerDatabase; clock: () => number }) {
    this.#database = options.database;
    this.records = options.database.buckets;
    this.#clock = options.clock;
  }

  /** Null also for what cannot be a name at all: such text must not reach LMDB as a key. */
  find(name: string): BucketRecord | null {
    if (!isBucketName(name)) return null;
    return this.records.get(name) ?? null;
  }

  /** The owner's buckets in the order of their names. */
  list(ownerId: string): BucketRecord[] {
    const keys = this.#database.bucketsByOwner.getKeys({
      start: [ownerId, ''],
      end: [ownerId, AFTER_NAMES],
    });
    return Array.from(keys).flatMap(([, name]) => this.records.get(name) ?? []);
  }

  /** @throws ApiError InvalidBucketName, BucketAlreadyOwnedByYou, BucketAlreadyExists */
  async create(bucket: NewBucket): Promise<BucketRecord> {
    if (!isBucketName(bucket.name)) throw serverError('InvalidBucketName');
    if (RESERVED_NAMES.has(bucket.name)) {
      throw serverError('InvalidBucketName', {
        reason: 'The server uses this name in its own paths; choose another one.',
      });
    }
    const record: BucketRecord = {
      id: randomUUID(),
      name: bucket.name,
      ownerId: bucket.ownerId,
      versioning: bucket.versioningEnabled ? 'Enabled' : 'Disabled',
      createdAt: this.#clock(),
    };
    await this.#change(() => {
      const existing = this.records.get(record.name);
      if (existing !== undefined) {
        const isOwner = existing.ownerId === record.ownerId;
        throw serverError(isOwner ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists');
      }
      void this.records.put(record.name, record);
      void this.#database.bucketsByOwner.put([record.ownerId, record.name], true);
    });
    return record;
  }

  /**
   * Removes the bucket and returns what it was.
   *
   * @param guard runs inside the transaction; what it throws keeps the bucket
   * @throws ApiError NoSuchBucket, and whatever `guard` throws
   */
  async remove(name: string, guard: (bucket: BucketRecord) => void): Promise<BucketRecord> {
    return await this.#change(() => {
      const bucket = this.#existing(name);
      guard(bucket);
      void this.records.remove(name);
      void this.#database.bucketsByOwner.remove([bucket.ownerId, name]);
      return bucket;
    });
  }

  /** @throws ApiError NoSuchBucket */
  async setVersioning(name: string, status: VersioningChange): Promise<BucketRecord> {
    return await this.#change(() => {
      const changed: BucketRecord = { ...this.#existing(name), versioning: status };
      void this.records.put(name, changed);
      return changed;
    });
  }

  /**
   * Runs `work` while no deletion and no change of versioning of the bucket happens: those take the
   * same lock (see bucket-lifecycle.ts). Not re-entrant.
   */
  async withLock<T>(name: string, work: (bucket: BucketRecord | null) => Promise<T>): Promise<T> {
    return await this.#locks.run(name, () => work(this.find(name)));
  }

  #existing(name: string): BucketRecord {
    const bucket = this.find(name);
    if (bucket === null) throw serverError('NoSuchBucket');
    return bucket;
  }

  /** One transaction that rolls back when `work` throws, on disk when this resolves. */
  async #change<T>(work: () => T): Promise<T> {
    return await this.#database.commits.run(work);
  }
}
