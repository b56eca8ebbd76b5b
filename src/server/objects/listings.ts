/**
 * S3's listings: current objects, versions, uploads and parts, a page at a time.
 */
import type { BucketRef, ObjectPage } from '../../host.ts';
import { ObjectError } from './object-error.ts';
import {
  bucketBytes,
  endOfPrefix,
  isKey,
  objectKey,
  parseSerialId,
  partKey,
  partNumberOf,
  sequenceOf,
  startOfKey,
  uploadIdOf,
  uploadKey,
  versionKey,
} from './object-keys.ts';
import { firstPage, PAGE_MAX, rolledUpRange, type Rolled } from './rolled-up-range.ts';
import type { Tables } from './tables.ts';
import type {
  ListInput,
  ListPartsInput,
  ListPartsResult,
  ListResult,
  ListUploadsInput,
  ListUploadsResult,
  ListVersionsInput,
  ListVersionsResult,
  PartEntry,
  StoredHead,
  VersionEntry,
} from './types.ts';
import { headOf, newestVersion, sequenceOfVersion } from './version-lookup.ts';

export class Listings {
  readonly #tables: Tables;

  constructor(options: { tables: Tables }) {
    this.#tables = options.tables;
  }

  list(bucket: BucketRef, input: ListInput): ListResult {
    const { prefix, delimiter, after } = input;
    const range = { bucketId: bucket.id, prefix, delimiter, after };
    const walk = rolledUpRange(this.#tables.current, 'current', range);
    const { entries, last } = firstPage(walk, input.maxKeys);
    const objects = entries.flatMap((entry): StoredHead[] => {
      if (entry.kind === 'prefix') return [];
      const place = versionKey(objectKey(bucket.id, entry.name), entry.value);
      const record = this.#tables.versions.get(place);
      return record === undefined ? [] : [headOf(entry.name, record)];
    });
    const page = { objects, commonPrefixes: commonPrefixes(entries) };
    return last === undefined ? page : { ...page, next: last.name };
  }

  listCurrent(bucket: BucketRef, prefix: string, after: string | undefined): ObjectPage {
    const input = after === undefined ? { prefix } : { prefix, after };
    const { objects, next } = this.list(bucket, input);
    return next === undefined ? { objects } : { objects, next };
  }

  listVersions(bucket: BucketRef, input: ListVersionsInput): ListVersionsResult {
    const { prefix, delimiter, keyMarker: after } = input;
    const within = this.#afterVersion(bucket, input);
    const range = { bucketId: bucket.id, prefix, delimiter, after, within };
    const walk = rolledUpRange(this.#tables.versions, 'versions', range);
    const { entries, last } = firstPage(walk, input.maxKeys);
    let previous: string | undefined;
    const versions = entries.flatMap((entry): VersionEntry[] => {
      if (entry.kind === 'prefix') return [];
      const isLatest = entry.name !== previous && this.#isNewest(bucket, entry);
      previous = entry.name;
      return [{ ...headOf(entry.name, entry.value), isLatest }];
    });
    const page = { versions, commonPrefixes: commonPrefixes(entries) };
    if (last === undefined) return page;
    if (last.kind === 'prefix') return { ...page, next: { key: last.name } };
    return { ...page, next: { key: last.name, versionId: last.value.versionId } };
  }

  listUploads(bucket: BucketRef, input: ListUploadsInput): ListUploadsResult {
    const { prefix, delimiter, keyMarker: after } = input;
    const within = afterUpload(bucket, input);
    const range = { bucketId: bucket.id, prefix, delimiter, after, within };
    const walk = rolledUpRange(this.#tables.uploads, 'uploads', range);
    const { entries, last } = firstPage(walk, input.maxUploads);
    const uploads = entries.flatMap((entry) => {
      if (entry.kind === 'prefix') return [];
      const { initiated } = entry.value;
      return [{ key: entry.name, uploadId: uploadIdText(entry.key), initiated }];
    });
    const page = { uploads, commonPrefixes: commonPrefixes(entries) };
    if (last === undefined) return page;
    if (last.kind === 'prefix') return { ...page, next: { key: last.name } };
    return { ...page, next: { key: last.name, uploadId: uploadIdText(last.key) } };
  }

  /** @param uploadId of an upload that exists */
  listParts(uploadId: Buffer, input: ListPartsInput): ListPartsResult {
    const limit = Math.min(input.maxParts ?? PAGE_MAX, PAGE_MAX);
    if (limit === 0) return { parts: [] };
    const first = Math.max(0, Math.min(input.partNumberMarker ?? 0, 0xfffe)) + 1;
    const start = partKey(uploadId, first);
    const range = { start, end: endOfPrefix(uploadId), limit: limit + 1 };
    const found = [...this.#tables.parts.getRange(range)].map(({ key, value }): PartEntry => {
      const { etag, size, lastModified, checksums } = value;
      return { partNumber: partNumberOf(key), etag, size, lastModified, checksums };
    });
    const parts = found.slice(0, limit);
    const last = parts.at(-1);
    if (found.length <= limit || last === undefined) return { parts };
    return { parts, next: last.partNumber };
  }

  isEmpty(bucket: BucketRef): boolean {
    const start = bucketBytes(bucket.id);
    const range = { start, end: endOfPrefix(start), limit: 1 };
    return [...this.#tables.versions.getKeys(range)].length === 0;
  }

  #isNewest(bucket: BucketRef, entry: { name: string; key: Buffer }): boolean {
    const newest = newestVersion(this.#tables, objectKey(bucket.id, entry.name));
    return newest?.sequence === sequenceOf(entry.key);
  }

  /**
   * Where the versions after the marker begin. A null version that is gone has lost its place: its
   * key is listed from the newest again, so that nothing is missed.
   */
  #afterVersion(bucket: BucketRef, input: ListVersionsInput): Buffer | undefined {
    const { keyMarker, versionIdMarker } = input;
    if (keyMarker === undefined || !isKey(keyMarker) || versionIdMarker === undefined) {
      return undefined;
    }
    const object = objectKey(bucket.id, keyMarker);
    const sequence = sequenceOfVersion(this.#tables, object, versionIdMarker);
    if (sequence !== null) return sequence > 0 ? versionKey(object, sequence - 1) : undefined;
    if (versionIdMarker !== 'null') throw new ObjectError('InvalidArgument');
    return startOfKey(object);
  }
}

function afterUpload(bucket: BucketRef, input: ListUploadsInput): Buffer | undefined {
  const { keyMarker, uploadIdMarker } = input;
  if (keyMarker === undefined || !isKey(keyMarker) || uploadIdMarker === undefined) {
    return undefined;
  }
  const id = parseSerialId(uploadIdMarker)?.bytes;
  if (id === undefined) throw new ObjectError('InvalidArgument');
  return Buffer.concat([uploadKey(objectKey(bucket.id, keyMarker), id), Buffer.alloc(1)]);
}

function uploadIdText(key: Buffer): string {
  return uploadIdOf(key).toString('base64url');
}

function commonPrefixes(entries: readonly Rolled<unknown>[]): string[] {
  return entries.flatMap((entry) => (entry.kind === 'prefix' ? [entry.name] : []));
}
