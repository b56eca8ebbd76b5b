/**
 * A program for the memory test: stores and reads objects of 64 MiB, 16 at the same time, and prints
 * by how many bytes its largest resident set exceeded the one before.
 *
 *     move-large-objects.ts <data directory> <bucket>
 */
import { strict as assert } from 'node:assert';
import { bodyOf, openStore } from './object-fixture.ts';

const OBJECTS = 16;
const CHUNKS = 1024;
const CHUNK_BYTES = 64 * 1024;

const [directory = '', bucketName = ''] = process.argv.slice(2);
const { buckets, store, close } = await openStore(directory);
const bucket = buckets.find(bucketName)!;
await store.put(bucket, 'warm up', bodyOf('x'));
const before = process.memoryUsage.rss();

const keys = Array.from({ length: OBJECTS }, (_, index) => `object-${index}`);
await Promise.all(keys.map((key) => store.put(bucket, key, bodyOf('', { body: chunks() }))));
await Promise.all(keys.map(readAll));

const largest = process.resourceUsage().maxRSS * 1024;
console.log(largest - before);
await close();

/** New memory for each chunk, as a socket delivers it. */
async function* chunks(): AsyncGenerator<Buffer> {
  for (let index = 0; index < CHUNKS; index += 1) {
    yield Buffer.alloc(CHUNK_BYTES, index);
  }
}

async function readAll(key: string): Promise<void> {
  const opened = await store.open(bucket, key);
  let size = 0;
  for await (const chunk of opened!.body!) size += (chunk as Buffer).length;
  assert.equal(size, CHUNKS * CHUNK_BYTES);
}
