/**
 * The objects of the reference server: the one entrance for S3's operations and the host contract.
 *
 * Bodies are files (body-files.ts), everything else is rows of the server's LMDB (tables.ts). Every
 * write is durable before it resolves, a transaction decides it (change.ts), and what becomes current
 * is announced to replication around that transaction (commit.ts).
 */
import { join } from 'node:path';
import type { Database } from 'lmdb';
import type {
  BucketRef,
  ByteRange,
  ObjectHead,
  ObjectPage,
  ObjectRef,
  OpenedObject,
  Plugin,
} from '../../host.ts';
import type { Environment } from '../../lmdb/environment.ts';
import type { BucketRecord } from '../buckets.ts';
import type { DiskGuard } from '../disk-guard.ts';
import { BodyFiles } from './body-files.ts';
import { Committer } from './commit.ts';
import { Listings } from './listings.ts';
import { bucketBytes } from './object-keys.ts';
import { ObjectReads } from './object-reads.ts';
import { ObjectWrites } from './object-writes.ts';
import { BODIES_FOLDER } from './stored-bodies.ts';
import { openTables } from './tables.ts';
import type * as T from './types.ts';
import { Uploads } from './uploads.ts';

export interface ObjectStoreOptions {
  readonly environment: Pick<Environment, 'root' | 'commits'>;
  /** By bucket name. */
  readonly buckets: Database<BucketRecord, string>;
  /** Absolute; bodies are kept below `<dataDirectory>/objects/`. */
  readonly dataDirectory: string;
  /** Refuses bodies while there is no room for them. */
  readonly disk: Pick<DiskGuard, 'assertRoom'>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly randomBytes: (size: number) => Buffer;
}

interface Parts {
  readonly files: BodyFiles;
  readonly committer: Committer;
  readonly reads: ObjectReads;
  readonly writes: ObjectWrites;
  readonly uploads: Uploads;
  readonly listings: Listings;
}

export class ObjectStore {
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Opens the tables and sweeps what a crash left behind. One process at a time. */
  static async open(options: ObjectStoreOptions): Promise<ObjectStore> {
    const { clock, disk, randomBytes } = options;
    const tables = openTables(options.environment, options.buckets);
    const directory = join(options.dataDirectory, BODIES_FOLDER);
    const files = new BodyFiles({ tables, directory, disk, randomBytes });
    const committer = new Committer({ tables, files, clock, randomBytes });
    const reads = new ObjectReads({ tables, files });
    const uploads = new Uploads({ tables, files, reads, committer, clock, randomBytes });
    await files.start();
    await uploads.dropOrphans();
    const writes = new ObjectWrites({ tables, files, reads, committer });
    const listings = new Listings({ tables });
    return new ObjectStore({ files, committer, reads, writes, uploads, listings });
  }

  /** From now on every change of what is current is announced there. Called at most once. */
  replicateThrough(replication: Pick<Plugin, 'announce'>): void {
    this.#parts.committer.replicateThrough(replication);
  }

  /** Call before the database is closed, when no operation runs: waits for removals of files. */
  async close(): Promise<void> {
    await this.#parts.files.close();
  }

  // Host contract, exactly as in host.ts.

  async openObject(ref: ObjectRef, range?: ByteRange): Promise<OpenedObject | null> {
    return this.#parts.reads.openObject(ref, range);
  }

  async headCurrent(bucket: BucketRef, key: string): Promise<ObjectHead | null> {
    return this.#parts.reads.headCurrent(bucket, key);
  }

  async listCurrent(bucket: BucketRef, prefix: string, after?: string): Promise<ObjectPage> {
    return this.#parts.listings.listCurrent(bucket, prefix, after);
  }

  // Reading. Null: no such key (or version). A delete marker is returned as a head, without body.

  async head(bucket: BucketRef, key: string, versionId?: string): Promise<T.StoredHead | null> {
    return this.#parts.reads.head(bucket, key, versionId);
  }

  /** @throws ObjectError InvalidRange; and whatever `select` throws */
  async open(
    bucket: BucketRef,
    key: string,
    options: T.OpenOptions = {},
  ): Promise<T.OpenedVersion | null> {
    return this.#parts.reads.open(bucket, key, options);
  }

  async list(bucket: BucketRef, input: T.ListInput): Promise<T.ListResult> {
    return this.#parts.listings.list(bucket, input);
  }

  /** @throws ObjectError InvalidArgument (version id marker) */
  async listVersions(bucket: BucketRef, input: T.ListVersionsInput): Promise<T.ListVersionsResult> {
    return this.#parts.listings.listVersions(bucket, input);
  }

  /** Whether the bucket has no version at all. Synchronous, so that it can be asked inside a transaction. */
  isEmpty(bucket: BucketRef): boolean {
    return this.#parts.listings.isEmpty(bucket);
  }

  // Writing. Each resolves when it is durable and, under a synchronous rule, replicated.

  /**
   * @throws ObjectError NoSuchBucket, KeyTooLongError, InvalidArgument (key), BadDigest,
   *   IncompleteBody, XAmzContentSHA256Mismatch, EntityTooLarge, PreconditionFailed,
   *   NoSuchKey (If-Match), InsufficientStorage, ServiceUnavailable
   */
  async put(bucket: BucketRef, key: string, input: T.PutInput): Promise<T.PutResult> {
    return await this.#parts.writes.put(bucket, key, input);
  }

  /** @throws ObjectError as put, and NoSuchKey, NoSuchVersion, MethodNotAllowed for the source */
  async copy(bucket: BucketRef, key: string, input: T.CopyInput): Promise<T.CopyResult> {
    return await this.#parts.writes.copy(bucket, key, input);
  }

  /** Succeeds for what does not exist. @throws ObjectError NoSuchBucket, KeyTooLongError, ServiceUnavailable */
  async delete(
    bucket: BucketRef,
    entry: T.DeleteEntry,
    options: { readonly replica: boolean },
  ): Promise<T.DeleteResult> {
    const [result] = await this.deleteMany(bucket, [entry], options);
    return result!;
  }

  /** All in one transaction; results in the order of the entries. @throws ObjectError as delete */
  async deleteMany(
    bucket: BucketRef,
    entries: readonly T.DeleteEntry[],
    options: { readonly replica: boolean },
  ): Promise<readonly T.DeleteResult[]> {
    return await this.#parts.writes.deleteMany(bucket, entries, options);
  }

  /** @throws ObjectError NoSuchKey, NoSuchVersion, MethodNotAllowed (delete marker) */
  async getTags(
    bucket: BucketRef,
    key: string,
    versionId?: string,
  ): Promise<{ tags: T.Tags; versionId: string }> {
    return this.#parts.reads.getTags(bucket, key, versionId);
  }

  /** Replaces all tags; `{}` deletes them. @throws ObjectError as getTags, and NoSuchBucket, ServiceUnavailable */
  async putTags(
    bucket: BucketRef,
    key: string,
    tags: T.Tags,
    options: { readonly versionId?: string; readonly replica: boolean },
  ): Promise<{ versionId: string }> {
    return await this.#parts.writes.putTags(bucket, key, tags, options);
  }

  // Multipart uploads.

  /** @throws ObjectError NoSuchBucket, KeyTooLongError, InvalidArgument (key) */
  async createUpload(
    bucket: BucketRef,
    key: string,
    input: T.CreateUploadInput,
  ): Promise<{ uploadId: string }> {
    return await this.#parts.uploads.create(bucket, key, input);
  }

  /** @throws ObjectError NoSuchUpload, InvalidArgument (part number), and put's for the body */
  async uploadPart(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    partNumber: number,
    input: T.BodyInput,
  ): Promise<T.PartResult> {
    return await this.#parts.uploads.putPart(bucket, key, uploadId, partNumber, input);
  }

  /** @throws ObjectError as uploadPart, and InvalidRange, NoSuchKey, NoSuchVersion, MethodNotAllowed for the source */
  async uploadPartCopy(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    partNumber: number,
    input: T.UploadPartCopyInput,
  ): Promise<T.PartResult & { sourceVersionId: string }> {
    return await this.#parts.uploads.putPartCopy(bucket, key, uploadId, partNumber, input);
  }

  /** @throws ObjectError NoSuchUpload */
  async listParts(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    input: T.ListPartsInput,
  ): Promise<T.ListPartsResult> {
    const { id } = this.#parts.uploads.find(bucket, key, uploadId);
    return this.#parts.listings.listParts(id, input);
  }

  /** @throws ObjectError InvalidArgument (upload id marker) */
  async listUploads(bucket: BucketRef, input: T.ListUploadsInput): Promise<T.ListUploadsResult> {
    return this.#parts.listings.listUploads(bucket, input);
  }

  /** @throws ObjectError NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge, and put's */
  async completeUpload(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    input: T.CompleteUploadInput,
  ): Promise<T.PutResult> {
    return await this.#parts.uploads.complete(bucket, key, uploadId, input);
  }

  /** @throws ObjectError NoSuchUpload */
  async abortUpload(bucket: BucketRef, key: string, uploadId: string): Promise<void> {
    await this.#parts.uploads.abort(bucket, key, uploadId);
  }

  /** Drops the uploads of a bucket that was removed; what a crash leaves of it is dropped by the next open. */
  async dropUploads(bucket: BucketRef): Promise<void> {
    await this.#parts.uploads.dropAll(bucketBytes(bucket.id));
  }
}
