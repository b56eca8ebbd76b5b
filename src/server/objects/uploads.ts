/**
 * Multipart uploads: parts are files of their own, and a completed object is the list of them, so
 * that completing moves no bytes and is one transaction.
 *
 * An upload is open from create until complete or abort; both take its rows away, so whatever comes
 * later meets NoSuchUpload. A part that arrives while its upload is closed is discarded: its own
 * transaction looks for the upload.
 */
import type { BucketRef } from '../../host.ts';
import type { BodyFiles } from './body-files.ts';
import { existingBucket, type Change, type NewVersion } from './change.ts';
import type { Committer } from './commit.ts';
import { assemble, PART_NUMBER_MAX } from './completion.ts';
import { ObjectError } from './object-error.ts';
import {
  bucketBytes,
  bucketBytesWithin,
  checkKey,
  endOfPrefix,
  isKey,
  objectKey,
  parseSerialId,
  partKey,
  serialId,
  uploadIdOf,
  uploadKey,
} from './object-keys.ts';
import type { ObjectReads } from './object-reads.ts';
import type { BodyRef, PartRecord, Tables, UploadRecord } from './tables.ts';
import type {
  BodyInput,
  CompleteUploadInput,
  CreateUploadInput,
  PartResult,
  PutResult,
  UploadPartCopyInput,
} from './types.ts';
import { headOf } from './version-lookup.ts';

const ID_RANDOM_BYTES = 12;

export interface UploadsOptions {
  readonly tables: Tables;
  readonly files: BodyFiles;
  readonly reads: ObjectReads;
  readonly committer: Committer;
  readonly clock: () => number;
  readonly randomBytes: (size: number) => Buffer;
}

export interface OpenUpload {
  readonly id: Buffer;
  readonly row: Buffer;
  readonly record: UploadRecord;
}

export class Uploads {
  readonly #options: UploadsOptions;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  async create(
    bucket: BucketRef,
    key: string,
    input: CreateUploadInput,
  ): Promise<{ uploadId: string }> {
    checkKey(key);
    const { tables, committer, clock, randomBytes } = this.#options;
    const record: UploadRecord = {
      initiated: clock(),
      systemHeaders: input.systemHeaders,
      userMetadata: Object.entries(input.userMetadata),
      tags: Object.entries(input.tags),
      replica: input.replica,
    };
    return await committer.runQuietly(bucket, (change) => {
      const id = serialId(change.nextSequence(), randomBytes(ID_RANDOM_BYTES));
      void tables.uploads.put(uploadKey(objectKey(bucket.id, key), id), record);
      return { uploadId: id.toString('base64url') };
    });
  }

  async putPart(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    partNumber: number,
    input: BodyInput,
  ): Promise<PartResult> {
    const { files, committer, clock } = this.#options;
    if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > PART_NUMBER_MAX) {
      throw new ObjectError('InvalidArgument', 'A part number is an integer from 1 to 10,000.');
    }
    existingBucket(this.#options.tables, bucket);
    this.find(bucket, key, uploadId);
    const { body, size, etag, checksums } = await files.receive(input);
    const part = { file: body?.id ?? null, size, etag, checksums, lastModified: clock() };
    try {
      await committer.runQuietly(bucket, (change) => {
        const { id } = this.find(bucket, key, uploadId);
        this.#replacePart(change, partKey(id, partNumber), part);
      });
    } catch (error) {
      await files.discard(body);
      throw error;
    }
    return { etag, size, checksums, lastModified: part.lastModified };
  }

  async putPartCopy(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    partNumber: number,
    input: UploadPartCopyInput,
  ): Promise<PartResult & { sourceVersionId: string }> {
    const { reads } = this.#options;
    const version = reads.object(input.source.bucket, input.source.key, input.source.versionId);
    input.checkSource?.(headOf(input.source.key, version.record));
    const body = reads.bodyWithin(version, input.range);
    try {
      const part = await this.putPart(bucket, key, uploadId, partNumber, { body });
      return { ...part, sourceVersionId: version.record.versionId };
    } finally {
      body.destroy();
    }
  }

  async complete(
    bucket: BucketRef,
    key: string,
    uploadId: string,
    input: CompleteUploadInput,
  ): Promise<PutResult> {
    existingBucket(this.#options.tables, bucket);
    const { record } = this.find(bucket, key, uploadId);
    return await this.#options.committer.run({
      bucket,
      keys: [key],
      replica: record.replica,
      announces: 'put',
      apply: (change) => {
        change.checkConditions(key, input.conditions);
        const version = this.#close(change, this.find(bucket, key, uploadId), input);
        return headOf(key, change.insertObject(key, version).record);
      },
    });
  }

  async abort(bucket: BucketRef, key: string, uploadId: string): Promise<void> {
    await this.#options.committer.runQuietly(bucket, (change) => {
      this.#remove(this.find(bucket, key, uploadId), (body) => change.doom(body));
    });
  }

  /** Drops all uploads of a bucket that is gone, one per transaction: each may have 10,000 parts. */
  async dropAll(bucket: Buffer): Promise<void> {
    const { tables, files } = this.#options;
    for (;;) {
      const [row] = tables.uploads.getKeys({ start: bucket, end: endOfPrefix(bucket), limit: 1 });
      if (row === undefined) return;
      const key = Buffer.from(row);
      const doomed: BodyRef[] = [];
      await tables.commits.run(() => {
        const record = tables.uploads.get(key);
        if (record === undefined) return;
        this.#remove({ id: uploadIdOf(key), row: key, record }, (body) => {
          void tables.unreferenced.put(body.id, { segmented: body.segmented });
          doomed.push(body);
        });
      });
      await Promise.all(doomed.map((body) => files.discard(body)));
    }
  }

  /** What a crash left between the removal of a bucket and that of its uploads. */
  async dropOrphans(): Promise<void> {
    const { tables } = this.#options;
    const owners = this.#owners();
    if (owners.length === 0) return;
    const living = new Set<string>();
    for (const { value } of tables.buckets.getRange()) {
      living.add(bucketBytes(value.id).toString('hex'));
    }
    for (const owner of owners) {
      if (!living.has(owner.toString('hex'))) await this.dropAll(owner);
    }
  }

  /** The ids of the buckets that have uploads, one seek each. */
  #owners(): Buffer[] {
    const owners: Buffer[] = [];
    for (let start: Buffer = Buffer.alloc(1); ; start = endOfPrefix(owners.at(-1)!)) {
      const rows = [...this.#options.tables.uploads.getKeys({ start, limit: 1 })];
      if (rows[0] === undefined) return owners;
      owners.push(bucketBytesWithin(rows[0]));
    }
  }

  /** @throws ObjectError NoSuchUpload, also where the upload is one of another bucket or key */
  find(bucket: BucketRef, key: string, uploadId: string): OpenUpload {
    const id = parseSerialId(uploadId)?.bytes;
    if (id === undefined || !isKey(key)) throw new ObjectError('NoSuchUpload');
    const row = uploadKey(objectKey(bucket.id, key), id);
    const record = this.#options.tables.uploads.get(row);
    if (record === undefined) throw new ObjectError('NoSuchUpload');
    return { id, row, record };
  }

  #replacePart(change: Change, row: Buffer, part: PartRecord): void {
    const { parts, unreferenced } = this.#options.tables;
    const replaced = parts.get(row);
    if (replaced !== undefined && replaced.file !== null) {
      change.doom({ id: replaced.file, segmented: false });
    }
    void parts.put(row, part);
    if (part.file !== null) void unreferenced.remove(part.file);
  }

  /** Takes the upload's rows away and returns the object that the chosen parts make. */
  #close(change: Change, upload: OpenUpload, input: CompleteUploadInput): NewVersion {
    const { tables, files } = this.#options;
    const { segments, size, etag } = assemble(tables, upload.id, input.parts);
    const kept = new Set(segments.map(([file]) => file));
    this.#remove(upload, (body) => {
      if (!kept.has(body.id)) change.doom(body);
    });
    const { replica, systemHeaders, userMetadata, tags } = upload.record;
    const metadata = { replica, systemHeaders, userMetadata, tags, checksums: {} };
    const [only] = segments;
    if (only === undefined) return { ...metadata, size, etag, body: null };
    if (segments.length === 1) {
      return { ...metadata, size, etag, body: { id: only[0], segmented: false } };
    }
    const id = files.newId();
    void tables.bodies.put(id, segments);
    return { ...metadata, size, etag, body: { id, segmented: true } };
  }

  #remove(upload: OpenUpload, eachBody: (body: BodyRef) => void): void {
    const { parts, uploads } = this.#options.tables;
    void uploads.remove(upload.row);
    // Collected first: a range must not be walked while its rows go.
    const rows = [...parts.getRange({ start: upload.id, end: endOfPrefix(upload.id) })];
    for (const { key, value } of rows) {
      void parts.remove(key);
      if (value.file !== null) eachBody({ id: value.file, segmented: false });
    }
  }
}
