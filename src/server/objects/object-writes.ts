/**
 * Writes of objects other than by multipart upload: put, copy, delete and tags.
 *
 * Bodies are on disk, and unreferenced, before the transaction that makes a version of them; where
 * that fails, they are discarded.
 */
import type { BucketRef } from '../../host.ts';
import type { BodyFiles } from './body-files.ts';
import { existingBucket, type NewVersion } from './change.ts';
import type { Committer } from './commit.ts';
import { checkKey } from './object-keys.ts';
import type { ObjectReads } from './object-reads.ts';
import type { BodyRef, Tables } from './tables.ts';
import type {
  CopyInput,
  CopyResult,
  DeleteEntry,
  DeleteResult,
  PutInput,
  PutResult,
  StoredHead,
  Tags,
  WriteConditions,
} from './types.ts';
import { headOf } from './version-lookup.ts';

export interface ObjectWritesOptions {
  readonly tables: Tables;
  readonly files: BodyFiles;
  readonly reads: ObjectReads;
  readonly committer: Committer;
}

export class ObjectWrites {
  readonly #tables: Tables;
  readonly #files: BodyFiles;
  readonly #reads: ObjectReads;
  readonly #committer: Committer;

  constructor(options: ObjectWritesOptions) {
    this.#tables = options.tables;
    this.#files = options.files;
    this.#reads = options.reads;
    this.#committer = options.committer;
  }

  async put(bucket: BucketRef, key: string, input: PutInput): Promise<PutResult> {
    checkKey(key);
    existingBucket(this.#tables, bucket);
    const { body, size, etag, checksums } = await this.#files.receive(input);
    return await this.#commit(bucket, key, input.conditions, {
      size,
      etag,
      checksums,
      body,
      replica: input.replica,
      systemHeaders: input.systemHeaders,
      userMetadata: Object.entries(input.userMetadata),
      tags: Object.entries(input.tags),
    });
  }

  async copy(bucket: BucketRef, key: string, input: CopyInput): Promise<CopyResult> {
    checkKey(key);
    existingBucket(this.#tables, bucket);
    const { version, release } = this.#reads.pinSource(input.source);
    const source = version.record;
    let body: BodyRef | null;
    try {
      input.checkSource?.(headOf(input.source.key, source));
      body = await this.#files.duplicate(source.body, source.size);
    } finally {
      release();
    }
    const { metadata, tags } = input;
    const head = await this.#commit(bucket, key, input.conditions, {
      size: source.size,
      etag: source.etag,
      checksums: source.checksums,
      body,
      replica: input.replica,
      systemHeaders: metadata?.systemHeaders ?? source.systemHeaders,
      userMetadata: metadata ? Object.entries(metadata.userMetadata) : source.userMetadata,
      tags: tags ? Object.entries(tags) : source.tags,
    });
    return { head, sourceVersionId: source.versionId };
  }

  async deleteMany(
    bucket: BucketRef,
    entries: readonly DeleteEntry[],
    options: { readonly replica: boolean },
  ): Promise<readonly DeleteResult[]> {
    for (const { key } of entries) checkKey(key);
    return await this.#committer.run({
      bucket,
      keys: entries.map(({ key }) => key),
      replica: options.replica,
      announces: 'unknown',
      apply: (change) => entries.map((entry) => change.delete(entry)),
    });
  }

  async putTags(
    bucket: BucketRef,
    key: string,
    tags: Tags,
    options: { readonly versionId?: string; readonly replica: boolean },
  ): Promise<{ versionId: string }> {
    checkKey(key);
    return await this.#committer.run({
      bucket,
      keys: [key],
      replica: options.replica,
      announces: 'unknown',
      apply: (change) => {
        const version = this.#reads.object(bucket, key, options.versionId);
        change.setTags(key, version, tags);
        return { versionId: version.record.versionId };
      },
    });
  }

  async #commit(
    bucket: BucketRef,
    key: string,
    conditions: WriteConditions | undefined,
    version: NewVersion,
  ): Promise<StoredHead> {
    return await this.#committer.run({
      bucket,
      keys: [key],
      replica: version.replica,
      announces: 'put',
      unreferenced: version.body,
      apply: (change) => {
        change.checkConditions(key, conditions);
        return headOf(key, change.insertObject(key, version).record);
      },
    });
  }
}
