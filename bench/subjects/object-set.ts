/**
 * The objects of the delivery benches, behind the host contract: what every side reads from, through
 * the same `openObject`, so that none of them reads faster than another.
 *
 * Small ones are in memory, so that delivery is measured and not a file system; large ones are files.
 */
import { hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { BucketRef, ByteRange, ObjectHead } from '../../src/host.ts';
import type { HostObjects } from './bench-host.ts';

export interface ObjectSet {
  readonly directory: string;
  readonly count: number;
  readonly bytes: number;
}

const KEY_PREFIX = 'folder/object-';
const VERSION = 'v1';
const BLOCK_BYTES = 1024 * 1024;

export function objectKey(n: number): string {
  return `${KEY_PREFIX}${String(n).padStart(7, '0')}`;
}

/** Writes the files that the set needs; their content differs, and is the same in every run. */
export async function writeObjects({ directory, count, bytes }: ObjectSet): Promise<void> {
  if (bytes <= BLOCK_BYTES) return;
  for (let n = 0; n < count; n += 1) {
    const file = await open(join(directory, fileName(n)), 'w');
    await writeContent(file, n, bytes);
    await file.close();
  }
}

/** Keys that are no object's are absent. */
export function objectsOf(objects: ObjectSet): HostObjects {
  const isInMemory = objects.bytes <= BLOCK_BYTES;
  return {
    async openObject({ key }, range) {
      const n = numberOf(key, objects);
      if (n === null) return null;
      const body = isInMemory
        ? readableOf(block(n, 0, objects.bytes), range)
        : createReadStream(join(objects.directory, fileName(n)), range ?? {});
      return { head: makeHead(key, n, objects.bytes), body };
    },
    async headCurrent(_bucket: BucketRef, key: string) {
      const n = numberOf(key, objects);
      return n === null ? null : makeHead(key, n, objects.bytes);
    },
    listCurrent: async () => ({ objects: [] }),
  };
}

function numberOf(key: string, { count }: ObjectSet): number | null {
  const n = Number(key.slice(KEY_PREFIX.length));
  return n < count ? n : null;
}

function readableOf(bytes: Buffer, range?: ByteRange): Readable {
  const wanted = range === undefined ? bytes : bytes.subarray(range.start, range.end + 1);
  return new Readable({
    read() {
      this.push(wanted);
      this.push(null);
    },
  });
}

function fileName(n: number): string {
  return `${n}.bin`;
}

function block(n: number, index: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, `object ${n}, block ${index};`);
}

async function writeContent(file: FileHandle, n: number, bytes: number): Promise<void> {
  for (let at = 0; at < bytes; at += BLOCK_BYTES) {
    await file.write(block(n, at / BLOCK_BYTES, Math.min(BLOCK_BYTES, bytes - at)));
  }
}

/** Large objects are heads of a multipart upload whose parts nobody knows: their ETag is not an MD5. */
function makeHead(key: string, n: number, bytes: number): ObjectHead {
  const etag = bytes <= BLOCK_BYTES ? hash('md5', block(n, 0, bytes)) : `${hash('md5', key)}-2`;
  return {
    key,
    versionId: VERSION,
    order: 1,
    deleteMarker: false,
    replica: false,
    size: bytes,
    etag,
    lastModified: Date.UTC(2025, 0, 1),
    systemHeaders: { 'content-type': 'application/octet-stream' },
    userMetadata: {},
    tags: {},
  };
}
