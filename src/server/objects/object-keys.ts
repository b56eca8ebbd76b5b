/**
 * How object keys, versions and uploads are laid out as LMDB keys.
 *
 * LMDB compares bytes, and S3 lists keys in the order of their UTF-8 bytes, so the bytes of a key go
 * in as they are but for one thing: each is raised by one (UTF-8 never uses 0xF5 to 0xFF). That frees
 * 0x00 to end a key where something follows, keeps the order, lets NUL be part of a key, and costs
 * no length:
 *
 *     <bucket id, 16> <key + 1 per byte>                                current, nulls
 *     <bucket id, 16> <key + 1 per byte> 00 <inverted sequence, 8>      versions (newest first)
 *     <bucket id, 16> <key + 1 per byte> 00 <upload id, 20>             uploads (oldest first)
 *     <upload id, 20> <part number, 2>                                  parts
 *
 * The longest has 1,061 bytes of the 1,978 that LMDB takes.
 */
import { strict as assert } from 'node:assert';
import { ObjectError } from './object-error.ts';

/** S3's limit ("Creating object key names"). */
export const KEY_BYTES_MAX = 1024;
/** The version id of what a bucket without versioning holds, as in S3. */
export const NULL_VERSION_ID = 'null';

const BUCKET_ID_BYTES = 16;
const SEQUENCE_BYTES = 8;
const RANDOM_BYTES = 12;
export const SERIAL_ID_BYTES = SEQUENCE_BYTES + RANDOM_BYTES;
const SERIAL_ID_PATTERN = /^[A-Za-z0-9_-]{27}$/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const INVERTED_ZERO = 2n ** 64n - 1n;
const END_OF_KEY = Buffer.from([0x00]);
/** Sorts before every longer key, and after every version of the key itself. */
const AFTER_KEY = Buffer.from([0x01]);
/** Sorts after every key that begins so. */
const AFTER_PREFIX = Buffer.from([0xff]);

/** What follows the key in the LMDB keys of a table, in bytes. */
export const SUFFIX_BYTES = {
  current: 0,
  versions: END_OF_KEY.length + SEQUENCE_BYTES,
  uploads: END_OF_KEY.length + SERIAL_ID_BYTES,
} as const;

/** Whether an object can have this key; where not, there is none to be found. */
export function isKey(key: string): boolean {
  return key !== '' && !LONE_SURROGATE.test(key) && Buffer.byteLength(key) <= KEY_BYTES_MAX;
}

/** @throws ObjectError KeyTooLongError; InvalidArgument for an empty key and for lone surrogates */
export function checkKey(key: string): void {
  if (key === '') throw new ObjectError('InvalidArgument', 'A key has at least one character.');
  if (LONE_SURROGATE.test(key)) {
    throw new ObjectError('InvalidArgument', 'A key must be valid UTF-8.');
  }
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new ObjectError('KeyTooLongError');
}

/** The 16 bytes of a bucket's id, a UUID. */
export function bucketBytes(bucketId: string): Buffer {
  const bytes = Buffer.from(bucketId.replaceAll('-', ''), 'hex');
  assert.equal(bytes.length, BUCKET_ID_BYTES, 'A bucket id must be a UUID.');
  return bytes;
}

export function bucketBytesWithin(key: Buffer): Buffer {
  return Buffer.from(key.subarray(0, BUCKET_ID_BYTES));
}

/** The bytes of a text as they appear in LMDB keys. */
export function raisedBytes(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = bytes[at]! + 1;
  return bytes;
}

/** The text that {@link raisedBytes} made the bytes of. */
export function lowered(raised: Uint8Array): string {
  const bytes = Buffer.from(raised);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = bytes[at]! - 1;
  return bytes.toString('utf8');
}

/** @param key as {@link isKey} takes it */
export function objectKey(bucketId: string, key: string): Buffer {
  assert(isKey(key), 'A key must have been checked before it gets here.');
  return Buffer.concat([bucketBytes(bucketId), raisedBytes(key)]);
}

export function versionKey(object: Buffer, sequence: number): Buffer {
  const suffix = Buffer.alloc(SEQUENCE_BYTES);
  suffix.writeBigUInt64BE(INVERTED_ZERO - BigInt(sequence));
  return Buffer.concat([object, END_OF_KEY, suffix]);
}

export function sequenceOf(key: Buffer): number {
  return Number(INVERTED_ZERO - key.readBigUInt64BE(key.length - SEQUENCE_BYTES));
}

export function uploadKey(object: Buffer, uploadId: Buffer): Buffer {
  return Buffer.concat([object, END_OF_KEY, uploadId]);
}

export function uploadIdOf(key: Buffer): Buffer {
  return Buffer.from(key.subarray(key.length - SERIAL_ID_BYTES));
}

export function partKey(uploadId: Buffer, partNumber: number): Buffer {
  const suffix = Buffer.alloc(2);
  suffix.writeUInt16BE(partNumber);
  return Buffer.concat([uploadId, suffix]);
}

export function partNumberOf(key: Buffer): number {
  return key.readUInt16BE(SERIAL_ID_BYTES);
}

/** The raised bytes of the object key within an LMDB key of a table. */
export function nameWithin(key: Buffer, table: keyof typeof SUFFIX_BYTES): Buffer {
  return key.subarray(BUCKET_ID_BYTES, key.length - SUFFIX_BYTES[table]);
}

/** Where the versions or uploads of one key begin. */
export function startOfKey(object: Buffer): Buffer {
  return Buffer.concat([object, END_OF_KEY]);
}

/** The first place after a key and all its versions and uploads; longer keys sort after it. */
export function endOfKey(object: Buffer): Buffer {
  return Buffer.concat([object, AFTER_KEY]);
}

/** The first place after all keys that begin with these bytes; the end of a bucket for its bytes alone. */
export function endOfPrefix(start: Buffer): Buffer {
  return Buffer.concat([start, AFTER_PREFIX]);
}

/**
 * An id for a version or an upload: URL-safe, not guessable, and it tells the place in the table, so
 * that no index is needed and a listing can go on after a version that is gone.
 */
export function serialId(sequence: number, random: Buffer): Buffer {
  const bytes = Buffer.alloc(SEQUENCE_BYTES);
  bytes.writeBigUInt64BE(BigInt(sequence));
  return Buffer.concat([bytes, random.subarray(0, RANDOM_BYTES)]);
}

/** Null for text that cannot be such an id. */
export function parseSerialId(text: string): { bytes: Buffer; sequence: number } | null {
  if (!SERIAL_ID_PATTERN.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  const sequence = Number(bytes.readBigUInt64BE());
  return Number.isSafeInteger(sequence) ? { bytes, sequence } : null;
}
