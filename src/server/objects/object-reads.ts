/**
 * Reads of single objects: heads, bodies, tags, and the host contract's part of them.
 *
 * A record is read and its body pinned in one turn of the event loop, so that no deletion can remove
 * the files between the two.
 */
import type { Readable } from 'node:stream';
import type { BucketRef, ByteRange, ObjectHead, ObjectRef, OpenedObject } from '../../host.ts';
import type { BodyFiles } from './body-files.ts';
import { BodyReader } from './body-reader.ts';
import { ObjectError } from './object-error.ts';
import { isKey, objectKey } from './object-keys.ts';
import type { Tables } from './tables.ts';
import type { CopySource, OpenedVersion, OpenOptions, StoredHead, Tags } from './types.ts';
import { findVersion, headOf, newestVersion, type StoredVersion } from './version-lookup.ts';

export class ObjectReads {
  readonly #tables: Tables;
  readonly #files: BodyFiles;

  constructor(options: { tables: Tables; files: BodyFiles }) {
    this.#tables = options.tables;
    this.#files = options.files;
  }

  head(bucket: BucketRef, key: string, versionId?: string): StoredHead | null {
    const version = this.find(bucket, key, versionId);
    return version === null ? null : headOf(key, version.record);
  }

  headCurrent(bucket: BucketRef, key: string): ObjectHead | null {
    return this.head(bucket, key);
  }

  open(bucket: BucketRef, key: string, options: OpenOptions): OpenedVersion | null {
    const version = this.find(bucket, key, options.versionId);
    if (version === null) return null;
    const head = headOf(key, version.record);
    if (head.deleteMarker) return { head };
    const range = options.select?.(head);
    if (range === undefined) return { head, body: this.#bodyOf(version, 0, head.size) };
    const clipped = clip(range, head.size);
    const length = clipped.end - clipped.start + 1;
    return { head, range: clipped, body: this.#bodyOf(version, clipped.start, length) };
  }

  openObject(ref: ObjectRef, range?: ByteRange): OpenedObject | null {
    const select = () => range;
    const opened = this.open(ref.bucket, ref.key, { versionId: ref.versionId, select });
    if (opened?.body === undefined) return null;
    return { head: opened.head, body: opened.body };
  }

  getTags(bucket: BucketRef, key: string, versionId?: string): { tags: Tags; versionId: string } {
    const { tags, versionId: found } = headOf(key, this.object(bucket, key, versionId).record);
    return { tags, versionId: found };
  }

  /** A version or a delete marker; the newest without an id. */
  find(bucket: BucketRef, key: string, versionId?: string): StoredVersion | null {
    if (!isKey(key)) return null;
    const object = objectKey(bucket.id, key);
    if (versionId === undefined) return newestVersion(this.#tables, object);
    return findVersion(this.#tables, object, versionId);
  }

  /** @throws ObjectError NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker by its id */
  object(bucket: BucketRef, key: string, versionId?: string): StoredVersion {
    const version = this.find(bucket, key, versionId);
    if (version !== null && !version.record.deleteMarker) return version;
    if (versionId === undefined) throw new ObjectError('NoSuchKey');
    throw new ObjectError(version === null ? 'NoSuchVersion' : 'MethodNotAllowed');
  }

  /** The object that a copy reads, its body kept until `release` is called. @throws as {@link object} */
  pinSource(source: CopySource): { version: StoredVersion; release: () => void } {
    const version = this.object(source.bucket, source.key, source.versionId);
    return { version, release: this.#files.pin(version.record.body) };
  }

  /** @throws ObjectError InvalidRange unless the whole range lies within the object */
  bodyWithin(version: StoredVersion, range: ByteRange | undefined): Readable {
    const { size } = version.record;
    if (range === undefined) return this.#bodyOf(version, 0, size);
    if (range.end >= size || range.start > range.end) throw new ObjectError('InvalidRange');
    return this.#bodyOf(version, range.start, range.end - range.start + 1);
  }

  #bodyOf({ record }: StoredVersion, start: number, length: number): Readable {
    const files = this.#files;
    const segments = files.segmentsOf(record.body, record.size);
    const release = files.pin(record.body);
    return new BodyReader({
      segments,
      start,
      length,
      pathOf: (file) => files.pathOf(file),
      release,
    });
  }
}

function clip(range: ByteRange, size: number): ByteRange {
  if (range.start >= size || range.start > range.end) throw new ObjectError('InvalidRange');
  return { start: range.start, end: Math.min(range.end, size - 1) };
}
