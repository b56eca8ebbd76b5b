/**
 * Creation, deletion and versioning of buckets as both APIs of the server offer them: under the
 * bucket's lock, with ownership checked where the change happens, and with the plugin told.
 *
 * Whose the bucket is, is looked at before its lock is taken and again under it: whoever may not change
 * a bucket must not make those wait who may.
 *
 * Order on deletion: the commit is durable first, then the plugin hears of it. When the process dies
 * in between, the plugin finds out by the bucket's id, which is never used again.
 */
import type { Logger, Plugin } from '../host.ts';
import type { BucketRecord, Buckets, NewBucket, VersioningChange } from './buckets.ts';
import { serverError } from './errors.ts';

/** The hooks that a bucket's life concerns; absent where the plugin's manifest does not list them. */
export type BucketHooks = Pick<Plugin, 'bucketDeleted' | 'mayChangeVersioning'>;

/** What is asked of the object store. */
export interface BucketContents {
  /** Whether the bucket has no version left. Synchronous: it is asked inside the deleting transaction. */
  isEmpty(bucket: BucketRecord): boolean;
  /** Drops the unfinished uploads of a bucket that is gone. */
  dropUploads(bucket: BucketRecord): Promise<void>;
}

export interface BucketLifecycleOptions {
  readonly buckets: Buckets;
  readonly hooks: BucketHooks;
  readonly objects: BucketContents;
  readonly logger: Logger;
}

export class BucketLifecycle {
  readonly #options: BucketLifecycleOptions;

  constructor(options: BucketLifecycleOptions) {
    this.#options = options;
  }

  /** @throws ApiError InvalidBucketName, BucketAlreadyOwnedByYou, BucketAlreadyExists */
  async create(bucket: NewBucket): Promise<BucketRecord> {
    return await this.#options.buckets.create(bucket);
  }

  /** The user's bucket of that name. @throws ApiError NoSuchBucket, also when it is another user's */
  find(name: string, userId: string): BucketRecord {
    return ownedBy(userId, this.#options.buckets.find(name));
  }

  /** @throws ApiError NoSuchBucket, BucketNotEmpty */
  async remove(name: string, userId: string): Promise<void> {
    const { buckets, hooks, objects } = this.#options;
    this.find(name, userId);
    const removed = await buckets.withLock(name, () =>
      buckets.remove(name, (bucket) => {
        ownedBy(userId, bucket);
        if (!objects.isEmpty(bucket)) throw serverError('BucketNotEmpty');
      }),
    );
    const ref = { id: removed.id, name: removed.name };
    await this.#afterRemoval(removed, 'plugin failed to forget a bucket', async () =>
      hooks.bucketDeleted?.(ref),
    );
    await this.#afterRemoval(removed, 'uploads of a removed bucket were left behind', () =>
      objects.dropUploads(removed),
    );
  }

  /** @throws ApiError NoSuchBucket, InvalidBucketState when the plugin needs the versions */
  async setVersioning(
    name: string,
    userId: string,
    status: VersioningChange,
  ): Promise<BucketRecord> {
    const { buckets, hooks } = this.#options;
    this.find(name, userId);
    return await buckets.withLock(name, async (found) => {
      const bucket = ownedBy(userId, found);
      if (bucket.versioning === status) return bucket;
      if (bucket.versioning === 'Enabled') {
        const allowed = await hooks.mayChangeVersioning?.(
          { id: bucket.id, name: bucket.name },
          status,
        );
        if (allowed === false) throw serverError('InvalidBucketState');
      }
      return await buckets.setVersioning(name, status);
    });
  }

  /** The bucket is gone whatever happens here; what is missed is swept later by the bucket's id. */
  async #afterRemoval(
    bucket: BucketRecord,
    failure: string,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.logger.error({ bucketId: bucket.id, err: error }, failure);
    }
  }
}

function ownedBy(userId: string, bucket: BucketRecord | null): BucketRecord {
  if (bucket?.ownerId !== userId) throw serverError('NoSuchBucket');
  return bucket;
}
