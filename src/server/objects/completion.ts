/**
 * Checks the list of parts that completes an upload and works out what they make together.
 */
import { createHash } from 'node:crypto';
import { algorithmsOf } from './body-digests.ts';
import { ObjectError } from './object-error.ts';
import { partKey } from './object-keys.ts';
import type { PartRecord, Segment, Tables } from './tables.ts';
import type { CompletedPart } from './types.ts';

/** S3's limits ("Amazon S3 multipart upload limits"). */
export const PART_NUMBER_MAX = 10_000;
const PART_BYTES_MIN = 5 * 2 ** 20;
const OBJECT_BYTES_MAX = 5 * 2 ** 40;

export interface Assembled {
  /** Of the parts that have bytes, in order. */
  readonly segments: readonly Segment[];
  readonly size: number;
  /** `md5(md5s)-parts`, as S3 makes it. */
  readonly etag: string;
}

/** @throws ObjectError InvalidPartOrder, InvalidPart, EntityTooSmall, EntityTooLarge */
export function assemble(
  tables: Tables,
  uploadId: Buffer,
  parts: readonly CompletedPart[],
): Assembled {
  if (parts.length === 0)
    throw new ObjectError('InvalidPart', 'An upload needs one part at least.');
  const records = parts.map((part, index) => {
    if (part.partNumber <= (parts[index - 1]?.partNumber ?? 0)) {
      throw new ObjectError('InvalidPartOrder');
    }
    return matchingPart(tables, uploadId, part);
  });
  if (records.slice(0, -1).some(({ size }) => size < PART_BYTES_MIN)) {
    throw new ObjectError('EntityTooSmall');
  }
  const size = records.reduce((sum, record) => sum + record.size, 0);
  if (size > OBJECT_BYTES_MAX) throw new ObjectError('EntityTooLarge');
  const digest = createHash('md5');
  for (const { etag } of records) digest.update(etag, 'hex');
  const segments = records.flatMap(({ file, size: bytes }): Segment[] => {
    return file === null ? [] : [[file, bytes]];
  });
  return { segments, size, etag: `${digest.digest('hex')}-${records.length}` };
}

function matchingPart(tables: Tables, uploadId: Buffer, part: CompletedPart): PartRecord {
  const { partNumber, etag, checksums } = part;
  const possible = Number.isInteger(partNumber) && partNumber <= PART_NUMBER_MAX;
  const record = possible ? tables.parts.get(partKey(uploadId, partNumber)) : undefined;
  if (record === undefined || record.etag !== etag) throw new ObjectError('InvalidPart');
  const differs = algorithmsOf(checksums).some((name) => {
    const verified = record.checksums[name];
    return verified !== undefined && verified !== checksums?.[name];
  });
  if (differs) throw new ObjectError('InvalidPart');
  return record;
}
