/**
 * Walks the rows of a bucket by key, within a prefix, rolling up what shares a common prefix: the
 * core of all of S3's listings.
 *
 * A common prefix costs one seek, however many keys lie beneath it. Nothing here awaits, because an
 * open range keeps LMDB from using its pages again; whoever walks stops at a bounded count.
 */
import type { Database } from 'lmdb';
import {
  bucketBytes,
  endOfKey,
  endOfPrefix,
  KEY_BYTES_MAX,
  lowered,
  nameWithin,
  raisedBytes,
  type SUFFIX_BYTES,
} from './object-keys.ts';

/** S3's most for one page. */
export const PAGE_MAX = 1000;

export interface RangeInput {
  readonly bucketId: string;
  readonly prefix: string | undefined;
  readonly delimiter: string | undefined;
  /** Only keys and common prefixes after it. */
  readonly after: string | undefined;
  /** Where to start instead of after the key `after`: a row among that key's. */
  readonly within?: Buffer | undefined;
}

export type Rolled<Value> =
  | { readonly kind: 'row'; readonly name: string; readonly key: Buffer; readonly value: Value }
  | { readonly kind: 'prefix'; readonly name: string };

export interface Page<Value> {
  readonly entries: readonly Rolled<Value>[];
  /** The last entry where there are more. */
  readonly last: Rolled<Value> | undefined;
}

/** The first entries of a walk. @param size 0 to {@link PAGE_MAX}; more is cut to that */
export function firstPage<Value>(
  walk: Iterable<Rolled<Value>>,
  size: number | undefined,
): Page<Value> {
  const entries: Rolled<Value>[] = [];
  const limit = Math.min(size ?? PAGE_MAX, PAGE_MAX);
  if (limit === 0) return { entries, last: undefined };
  for (const entry of walk) {
    if (entries.length === limit) return { entries, last: entries.at(-1) };
    entries.push(entry);
  }
  return { entries, last: undefined };
}

export function* rolledUpRange<Value>(
  database: Database<Value, Buffer>,
  table: keyof typeof SUFFIX_BYTES,
  input: RangeInput,
): Generator<Rolled<Value>, void, void> {
  const bucket = bucketBytes(input.bucketId);
  const prefix = raisedBytes(input.prefix ?? '');
  if (prefix.length > KEY_BYTES_MAX) return;
  const groupOf = grouping(prefix, raisedBytes(input.delimiter ?? ''));
  const end = endOfPrefix(Buffer.concat([bucket, prefix]));
  let start: Buffer | null = startOf(input, bucket, prefix, groupOf);
  while (start !== null && Buffer.compare(start, end) < 0) {
    const from: Buffer = start;
    start = null;
    for (const { key, value } of database.getRange({ start: from, end })) {
      const raised = Buffer.from(nameWithin(key, table));
      const group = groupOf(raised);
      if (group !== null) {
        yield { kind: 'prefix', name: lowered(group) };
        start = endOfPrefix(Buffer.concat([bucket, group]));
        break;
      }
      yield { kind: 'row', name: lowered(raised), key: Buffer.from(key), value };
    }
  }
}

type Grouping = (raised: Buffer) => Buffer | null;

/** The common prefix that a key belongs to: up to the first delimiter after the prefix, with it. */
function grouping(prefix: Buffer, delimiter: Buffer): Grouping {
  if (delimiter.length === 0) return () => null;
  return (raised) => {
    const at = raised.indexOf(delimiter, prefix.length);
    return at === -1 ? null : raised.subarray(0, at + delimiter.length);
  };
}

function startOf(input: RangeInput, bucket: Buffer, prefix: Buffer, groupOf: Grouping): Buffer {
  const first = Buffer.concat([bucket, prefix]);
  if (input.after === undefined || input.after === '') return first;
  // No key is longer, so what sorts after the cut sorts after the whole.
  const after = raisedBytes(input.after).subarray(0, KEY_BYTES_MAX);
  const place = Buffer.concat([bucket, after]);
  const group = after.subarray(0, prefix.length).equals(prefix) ? groupOf(after) : null;
  const isGroup = group !== null && group.length === after.length;
  const start = isGroup ? endOfPrefix(place) : (input.within ?? endOfKey(place));
  return Buffer.compare(start, first) > 0 ? start : first;
}
