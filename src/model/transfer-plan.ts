/**
 * How an object is cut for its way to a target, and what it must look like there. Pure.
 *
 * The plan is a function of the size alone, so that after a crash the same object is cut in the same
 * way: an upload can be resumed, and the ETag that the target gives to a multipart object can be
 * told in advance.
 */
import { createHash } from 'node:crypto';
import type { ObjectHead, SystemHeaders } from '../host.ts';
import { canonicalValue } from './header-value.ts';

const MIB = 1024 * 1024;

/** Up to this size one PUT carries the object. */
export const SINGLE_PUT_BYTES_MAX = 8 * MIB;
const PART_BYTES_MIN = 8 * MIB;
/** "Amazon S3 multipart upload limits". */
export const PARTS_MAX = 10_000;
export const OBJECT_BYTES_MAX = 5 * 1024 * 1024 * MIB;

export type TransferPlan =
  | { readonly kind: 'single' }
  /** Every part has `partBytes`, a multiple of 1 MiB, but the last, which has the rest. */
  | { readonly kind: 'multipart'; readonly partBytes: number; readonly partCount: number }
  /** Larger than S3 stores. */
  | { readonly kind: 'tooLarge' };

export interface PartRange {
  readonly start: number;
  /** Inclusive. */
  readonly end: number;
  readonly size: number;
}

/** @param size in bytes */
export function planTransfer(size: number): TransferPlan {
  if (size <= SINGLE_PUT_BYTES_MAX) return { kind: 'single' };
  if (size > OBJECT_BYTES_MAX) return { kind: 'tooLarge' };
  const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX / MIB) * MIB);
  return { kind: 'multipart', partBytes, partCount: Math.ceil(size / partBytes) };
}

/** The bytes of part `partNumber`, 1 to `partCount`, of an object of `size` bytes. */
export function partRange(size: number, partBytes: number, partNumber: number): PartRange {
  const start = (partNumber - 1) * partBytes;
  const end = Math.min(start + partBytes, size) - 1;
  return { start, end, size: end - start + 1 };
}

/**
 * The ETag that S3 gives to an object whose parts have these MD5s, in order: the MD5 of them all
 * and their count. A single PUT has the MD5 itself, as hex.
 */
export function predictMultipartEtag(partMd5s: readonly Uint8Array[]): string {
  const md5 = createHash('md5');
  for (const partMd5 of partMd5s) md5.update(partMd5);
  return `${md5.digest('hex')}-${partMd5s.length}`;
}

/** What a HEAD of the target said; as the target client reports it. */
export interface ComparedHead {
  readonly exists: true;
  readonly etag: string | null;
  readonly size: number | null;
  readonly systemHeaders: SystemHeaders;
  readonly userMetadata: Readonly<Record<string, string>>;
  readonly tagCount: number | null;
}

export type ComparedObject = Pick<ObjectHead, 'size' | 'systemHeaders' | 'userMetadata' | 'tags'>;

/** What services give to an object that was sent without a type. */
const DEFAULT_CONTENT_TYPES = new Set([
  undefined,
  'binary/octet-stream',
  'application/octet-stream',
]);

const COMPARED_HEADERS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const satisfies readonly (keyof SystemHeaders)[];

/** `tags`: all that HEAD shows is the same, but the tags may differ. */
export type Sameness = 'same' | 'tags' | 'different';

/**
 * Whether what the target has under the key is certainly this object, so that it need not be sent
 * again: equal size, equal ETag (`predictedEtag`: what our own plan makes of the bytes), equal
 * headers and metadata. Blanks around a value are not part of it, and runs of blanks count as one:
 * signed values go on the wire so (model/header-value.ts).
 *
 * HEAD does not show tags, and where it counts none, the target may keep the count to itself (AWS does
 * without the right to read tags). Only a count of 0 proves that there are none.
 */
export function compareObjects(
  head: ComparedHead | { readonly exists: false },
  object: ComparedObject,
  predictedEtag: string,
): Sameness {
  if (!head.exists || !isSameApartFromTags(head, object, predictedEtag)) return 'different';
  return Object.keys(object.tags).length === 0 && head.tagCount === 0 ? 'same' : 'tags';
}

function isSameApartFromTags(
  head: ComparedHead,
  object: ComparedObject,
  predictedEtag: string,
): boolean {
  if (head.size !== object.size) return false;
  if (head.etag === null || head.etag.toLowerCase() !== predictedEtag.toLowerCase()) return false;
  return (
    isSameType(head.systemHeaders['content-type'], object.systemHeaders['content-type']) &&
    COMPARED_HEADERS.every((name) =>
      isSameValue(head.systemHeaders[name], object.systemHeaders[name]),
    ) &&
    isSameMetadata(head.userMetadata, object.userMetadata)
  );
}

function isSameType(theirs: string | undefined, ours: string | undefined): boolean {
  return ours === undefined ? DEFAULT_CONTENT_TYPES.has(theirs) : isSameValue(theirs, ours);
}

function isSameMetadata(
  theirs: Readonly<Record<string, string>>,
  ours: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(ours);
  return (
    names.length === Object.keys(theirs).length &&
    names.every((name) => Object.hasOwn(theirs, name) && isSameValue(theirs[name], ours[name]))
  );
}

function isSameValue(theirs: string | undefined, ours: string | undefined): boolean {
  if (theirs === undefined || ours === undefined) return theirs === ours;
  return theirs === ours || canonicalValue(theirs) === canonicalValue(ours);
}
