/**
 * A program for the crash test: puts and deletes objects, many at the same time, and prints a line
 * for each acknowledged operation. It goes on until it is killed.
 *
 *     put-many.ts <data directory> <bucket> <objects at the same time>
 */
import { writeSync } from 'node:fs';
import { contentOf, keyOf } from './crash-content.ts';
import { bodyOf, openStore, stream } from './object-fixture.ts';

const STDOUT = 1;

const [directory = '', bucketName = '', concurrency = ''] = process.argv.slice(2);
const { buckets, store } = await openStore(directory);
const bucket = buckets.find(bucketName)!;
let serial = 0;

await Promise.all(Array.from({ length: Number(concurrency) }, () => putForever()));

async function putForever(): Promise<never> {
  for (;;) {
    serial += 1;
    await putOne(serial);
  }
}

async function putOne(number: number): Promise<void> {
  const key = keyOf(number);
  const content = contentOf(key);
  // In pieces, so that a kill often meets a body half written.
  const middle = Math.floor(content.length / 2);
  const pieces = [content.subarray(0, middle), content.subarray(middle)];
  acknowledge('putting', key);
  if (number % 5 === 0) {
    const metadata = { systemHeaders: {}, userMetadata: {}, tags: {}, replica: false };
    const { uploadId } = await store.createUpload(bucket, key, metadata);
    const input = { body: stream(pieces) };
    const { etag } = await store.uploadPart(bucket, key, uploadId, 1, input);
    await store.completeUpload(bucket, key, uploadId, { parts: [{ partNumber: 1, etag }] });
  } else {
    await store.put(bucket, key, bodyOf(pieces));
  }
  acknowledge('put', key);
  if (number % 3 !== 0) return;
  acknowledge('deleting', key);
  await store.delete(bucket, { key }, { replica: false });
  acknowledge('deleted', key);
}

/** Synchronous, so that nothing acknowledged is lost with the process. */
function acknowledge(what: string, key: string): void {
  writeSync(STDOUT, `${what} ${key}\n`);
}
