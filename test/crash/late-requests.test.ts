/**
 * A request that a killed server had sent reaches its target only after the next server delivered a
 * newer state of the key, and undoes that. The look that follows a request in doubt finds it out, also
 * where it is a third server that looks.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { HoldingProxy, type HeldRequest } from '../support/holding-proxy.ts';
import { assertReplica, historyOf, openUploads } from '../support/replicas.ts';
import { replicate } from '../support/replication-site.ts';
import { createVersionedBucket, readObject } from '../support/s3-sdk.ts';
import { put } from './changes.ts';
import { CrashRun } from './crash-run.ts';

const OLD = Buffer.from('old');
const NEW = Buffer.from('the new one');
const LARGE = Buffer.alloc(8 * 1024 * 1024 + 1, 'large');

interface LateRequest {
  readonly title: string;
  readonly bucket: string;
  readonly before: Buffer | null;
  /** What the first server sends last: a body, or a delete. */
  readonly sent: Buffer | null;
  /** Whether a request of the bucket is the one that will be late. */
  readonly isHeld: (method: string, path: string) => boolean;
  readonly newer: Buffer | null;
  /** What the late request comes to: its status, and what the target shows then. */
  readonly status: number;
  readonly undone: Buffer | null;
}

const requests: readonly LateRequest[] = [
  {
    title: 'a put, over a newer one',
    bucket: 'put-over-put',
    before: null,
    sent: OLD,
    isHeld: (method) => method === 'PUT',
    newer: NEW,
    status: 200,
    undone: OLD,
  },
  {
    title: 'a put of what is deleted by now',
    bucket: 'put-over-delete',
    before: null,
    sent: OLD,
    isHeld: (method) => method === 'PUT',
    newer: null,
    status: 200,
    undone: OLD,
  },
  {
    title: 'a delete of what is there again',
    bucket: 'delete-over-put',
    before: OLD,
    sent: null,
    isHeld: (method) => method === 'DELETE',
    newer: NEW,
    status: 204,
    undone: null,
  },
  {
    title: 'the completion of an upload that the next server completed',
    bucket: 'completion-over-put',
    before: null,
    sent: LARGE,
    isHeld: (method, path) => method === 'POST' && path.includes('uploadId='),
    newer: NEW,
    status: 404,
    undone: NEW,
  },
];

const run = new CrashRun('crash-late-requests');
const buckets = requests.map(({ bucket }) => bucket);
const held = new Map<string, HeldRequest>();
let proxy: HoldingProxy;

/** Puts the body, or deletes where it is null. */
async function write(bucket: string, body: Buffer | null): Promise<void> {
  const place = { s3: run.source.s3, bucket, key: keyOf(bucket) };
  if (body !== null) await put(place, body);
  else await place.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: place.key }));
}

async function shownAtTarget(bucket: string): Promise<Buffer | undefined> {
  return (await readObject(run.replica, bucket, keyOf(bucket)))?.body;
}

function keyOf(bucket: string): string {
  return `${bucket}/key`;
}

describe('a request that is late', () => {
  before(async () => {
    await run.start();
    proxy = await HoldingProxy.start(run.target.account.url);
    for (const { bucket, before } of requests) {
      await createVersionedBucket(run.source.s3, bucket);
      await createVersionedBucket(run.replica, bucket);
      const throughProxy = { ...run.target.account, url: proxy.url };
      await replicate(run.source.site, throughProxy, bucket, {}, { replicateDeletes: true });
      if (before !== null) await write(bucket, before);
    }
    await run.source.drained(buckets);
    for (const { bucket, sent, isHeld } of requests) {
      const ofBucket = `/${bucket}/`;
      const request = proxy.holdNext((method, path) => {
        return path.startsWith(ofBucket) && isHeld(method, path);
      });
      held.set(bucket, request);
      await write(bucket, sent);
      await request.arrived;
    }
    await run.source.kill();

    await run.source.start();
    await run.source.settled(buckets);
    for (const { bucket, newer } of requests) await write(bucket, newer);
    await run.source.settled(buckets);
    for (const { bucket, newer } of requests) {
      assert.deepEqual(await shownAtTarget(bucket), newer ?? undefined, bucket);
    }
    await run.source.kill();
    await run.source.start();
    await run.source.settled(buckets);
  });
  after(async () => {
    await proxy.close();
    await run.close();
  });

  for (const { title, bucket, status, undone } of requests) {
    it(`arrives: ${title}`, async () => {
      assert.equal(await held.get(bucket)!.release(), status);
      assert.deepEqual(await shownAtTarget(bucket), undone ?? undefined);
    });
  }

  it('is outlived: a minute later the targets show the source', async () => {
    await run.source.leap(buckets);
    await run.source.drained(buckets);
    for (const bucket of buckets) {
      await assertReplica(run.source.s3, run.replica, bucket);
      assert.deepEqual(await openUploads(run.replica, bucket), []);
    }
    // What was not undone was not sent again.
    assert.equal((await historyOf(run.replica, 'completion-over-put')).length, 2);
  });

  it('leaves nothing in the queue', () => run.assertNothingLeft());
});
