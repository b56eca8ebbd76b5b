/**
 * One real server that replicates to OpenStack Swift, an S3 service of other makers. The environment
 * says where it is (ENDPOINT, ACCESS_KEY, SECRET_KEY, REGION, and DENIED_ACCESS_KEY for a key that may
 * do nothing), as `scripts/suites/swift.sh start` prints it:
 *
 *     npm run build && export $(bash scripts/suites/swift.sh start)
 *     node --import tsx --test test/suites/swift-replication.ts
 *
 * Swift takes some 200 small objects a second and refuses tags with 501.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { DeleteBucketCommand, DeleteObjectCommand } from '@aws-sdk/client-s3';
import type { TargetFields } from '../support/replication-bodies.ts';
import {
  admin,
  drained,
  failureShows,
  putTarget,
  replicate,
  targetAt,
  targetStatus,
} from '../support/replication-site.ts';
import {
  compositeEtag,
  createVersionedBucket,
  forEachAtOnce,
  readObject,
  uploadInParts,
} from '../support/s3-sdk.ts';
import { SwiftPair } from '../support/swift-pair.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const DELIVERY_TIMEOUT_MS = 60_000;
const BURST_TIMEOUT_MS = 180_000;

const pair = new SwiftPair();
const { swift, swiftS3 } = pair;

before(() => pair.start());
after(() => pair.close());

describe('replication of objects to Swift', () => {
  it('takes headers and metadata along', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    await pair.put(bucket, 'folder/object', 'hello', {
      ContentType: 'text/x-hello; charset=utf-8',
      CacheControl: 'max-age=60',
      ContentDisposition: 'attachment; filename="a b.txt"',
      ContentEncoding: 'identity',
      ContentLanguage: 'de',
      Expires: new Date('2044-12-01T16:00:00Z'),
      Metadata: { colour: 'blue', 'two-words': 'a  b, c' },
    });
    const there = await pair.arrives(bucket, 'folder/object', 'hello');
    const here = await until(
      async () => {
        const object = await readObject(pair.siteS3, bucket, 'folder/object');
        return object?.replicationStatus === 'COMPLETED' && object;
      },
      'the source to say COMPLETED',
      DELIVERY_TIMEOUT_MS,
    );
    assert.equal(there.contentType, 'text/x-hello; charset=utf-8');
    assert.equal(there.contentDisposition, 'attachment; filename="a b.txt"');
    assert.equal(there.expires, 'Thu, 01 Dec 2044 16:00:00 GMT');
    // Values are sent as they are signed: a run of blanks is one.
    assert.deepEqual(there.metadata, { colour: 'blue', 'two-words': 'a b, c' });
    const { metadata } = here;
    assert.deepEqual({ ...there, metadata, replicationStatus: 'COMPLETED' }, here);
  });

  it('takes every kind of key', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    const keys = [
      ...['a b', 'a+b', '100%', '%2F', 'ü', 'u\u0308', '😀', "!'()*", '?x=1#y', '\\', 'a//b'],
      ...[
        'a/',
        'a',
        '~',
        'a/../b',
        '..',
        './a',
        'a:b@c&d=e',
        '<&>"',
        'tab\there',
        'x'.repeat(1000),
      ],
    ];
    await forEachAtOnce(keys, (key) => pair.put(bucket, key, `body of ${key}`));
    for (const key of keys) await pair.arrives(bucket, key, `body of ${key}`);
    assert.equal(await pair.keysAtSwift(bucket), keys.length);
  });

  it('sends what is over 8 MiB in parts, byte for byte', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    const metadata = { made: 'in-parts' };
    const [whole, inParts] = [randomBytes(9 * MIB), randomBytes(20 * MIB + 7)];
    await pair.put(bucket, 'whole', whole);
    await uploadInParts(pair.siteS3, bucket, 'in parts', inParts, { partBytes: 5 * MIB, metadata });
    assert.equal((await pair.arrives(bucket, 'whole', whole)).etag, compositeEtag(whole, 8 * MIB));
    const arrived = await pair.arrives(bucket, 'in parts', inParts);
    assert.equal(arrived.etag, compositeEtag(inParts, 8 * MIB));
    assert.deepEqual(arrived.metadata, metadata);
  });

  it('sends deletes only under a rule that asks for them', async () => {
    const [kept, followed] = [await pair.newBucket(), await pair.newBucket()];
    await replicate(pair.site, swift.account, kept);
    await replicate(pair.site, swift.account, followed, {}, { replicateDeletes: true });
    for (const bucket of [kept, followed]) {
      await pair.put(bucket, 'k', 'v');
      await pair.arrives(bucket, 'k', 'v');
      await pair.siteS3.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k' }));
    }
    await until(
      async () => (await readObject(swiftS3, followed, 'k')) === null,
      'the delete to arrive',
      DELIVERY_TIMEOUT_MS,
    );
    await drained(pair.site, kept, DELIVERY_TIMEOUT_MS);
    await pair.arrives(kept, 'k', 'v');
  });

  it('leaves out tags, which Swift refuses, and says so', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    assert.deepEqual((await targetStatus(pair.site, bucket)).degraded, []);
    const large = randomBytes(9 * MIB);
    await pair.put(bucket, 'small', 'v', { Tagging: 'kind=test&a%20b=', Metadata: { a: 'b' } });
    await pair.put(bucket, 'large', large, { Tagging: 'kind=test', Metadata: { a: 'b' } });
    for (const [key, body] of [['small', 'v'] as const, ['large', large] as const]) {
      assert.deepEqual((await pair.arrives(bucket, key, body)).metadata, { a: 'b' });
    }
    await drained(pair.site, bucket, DELIVERY_TIMEOUT_MS);
    const { degraded, failed, lastError } = await targetStatus(pair.site, bucket);
    assert.deepEqual(
      { degraded, failed, lastError },
      { degraded: ['tags'], failed: 0, lastError: null },
    );
  });

  it('has an object there at once under a synchronous rule', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket, {}, { synchronous: true });
    await pair.put(bucket, 'k', 'v');
    assert.equal((await readObject(swiftS3, bucket, 'k'))?.body.toString(), 'v');
  });

  it('gets nothing while the target is disabled, and all of it afterwards', async () => {
    const bucket = await pair.newBucket();
    const { targetId } = await replicate(pair.site, swift.account, bucket, { enabled: false });
    const large = randomBytes(9 * MIB);
    await pair.put(bucket, 'small', 'v');
    await pair.put(bucket, 'large', large);
    const paused = await targetStatus(pair.site, bucket);
    assert.deepEqual([paused.state, paused.queued], ['paused', 2]);
    // What another bucket gets meanwhile, this one would have got too.
    const other = await pair.newBucket();
    await replicate(pair.site, swift.account, other, {}, { synchronous: true });
    await pair.put(other, 'k', 'v');
    assert.equal(await pair.keysAtSwift(other), 1);
    assert.equal(await pair.keysAtSwift(bucket), 0);
    await putTarget(pair.site, bucket, { ...targetAt(swift.account, bucket), id: targetId });
    await pair.arrives(bucket, 'small', 'v');
    await pair.arrives(bucket, 'large', large);
  });

  it('gets nothing of a bucket that was deleted and made again', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    await pair.siteS3.send(new DeleteBucketCommand({ Bucket: bucket }));
    await createVersionedBucket(pair.siteS3, bucket);
    const { json } = await admin(pair.site, 'GET', `${bucket}/replication/targets`);
    assert.deepEqual(json, { targets: [] });
    await pair.put(bucket, 'k', 'v');
    assert.deepEqual(await pair.pendingTasks(bucket), []);
    assert.equal(await pair.keysAtSwift(bucket), 0);
  });

  it('delivers a burst of small objects, each with its content', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    const keys = Array.from({ length: 300 }, (_, index) => `burst/${index}`);
    await forEachAtOnce(keys, (key) => pair.put(bucket, key, `content of ${key}`));
    await drained(pair.site, bucket, BURST_TIMEOUT_MS);
    assert.equal(await pair.keysAtSwift(bucket), keys.length);
    await forEachAtOnce(keys, async (key) => {
      assert.equal((await readObject(swiftS3, bucket, key))?.body.toString(), `content of ${key}`);
    });
  });
});

describe('resync to Swift', () => {
  for (const [asked, replicateExisting] of [
    ['by a request', false],
    ['by the rule', true],
  ] as const) {
    it(`copies what exists already when asked ${asked}`, async () => {
      const bucket = await pair.newBucket();
      const keys = ['one', 'two', 'other/three'];
      for (const key of keys) await pair.put(bucket, key, `existing ${key}`);
      const { ruleId } = await replicate(
        pair.site,
        swift.account,
        bucket,
        {},
        { replicateExisting },
      );
      const path = `${bucket}/replication/rules/${ruleId}/resync`;
      if (!replicateExisting) {
        const started = await admin(pair.site, 'POST', path);
        assert.equal(started.status, 202, started.text);
      }
      for (const key of keys) await pair.arrives(bucket, key, `existing ${key}`);
      const job = await until(
        async () => {
          const { json } = await admin(pair.site, 'GET', path);
          return json.state === 'completed' && json;
        },
        'the resync to complete',
        DELIVERY_TIMEOUT_MS,
      );
      assert.deepEqual([job.scanned, job.enqueued], [3, 3]);
    });
  }
});

describe('Swift refusing', () => {
  const faults: readonly (readonly [string, Partial<TargetFields>, RegExp])[] = [
    [
      'a wrong region',
      { region: 'mars-1' },
      new RegExp(`expects the region ${swift.account.region}`),
    ],
    ['a wrong secret', { secretAccessKey: 'wrong' }, /does not accept the signature/],
    ['a key that may do nothing', { accessKeyId: swift.deniedAccessKeyId }, /denies access/],
  ];
  for (const [fault, wrong, sentence] of faults) {
    it(`${fault} is named, nothing is delivered, and the correction heals the queue`, async () => {
      const bucket = await pair.newBucket();
      const { targetId } = await replicate(pair.site, swift.account, bucket, wrong);
      for (const key of ['one', 'two', 'three']) await pair.put(bucket, key, `queued ${key}`);
      await failureShows(pair.site, bucket, sentence, DELIVERY_TIMEOUT_MS);
      // One more request than the first is refused just so.
      await admin(pair.site, 'POST', `${bucket}/replication/tasks/retry?state=pending`);
      await until(
        async () => (await pair.pendingTasks(bucket)).some(({ attempts }) => attempts > 0),
        'a task to be tried again',
        DELIVERY_TIMEOUT_MS,
      );
      const failing = await failureShows(pair.site, bucket, sentence, DELIVERY_TIMEOUT_MS);
      assert.deepEqual([failing.queued, failing.failed], [3, 0]);
      assert.equal(await pair.keysAtSwift(bucket), 0);
      await putTarget(pair.site, bucket, { ...targetAt(swift.account, bucket), id: targetId });
      for (const key of ['one', 'two', 'three']) await pair.arrives(bucket, key, `queued ${key}`);
      await drained(pair.site, bucket, DELIVERY_TIMEOUT_MS);
      assert.equal((await targetStatus(pair.site, bucket)).lastError, null);
    });
  }

  for (const [how, asksForRetry] of [
    ['at the next probe', false],
    ['at once when asked for', true],
  ] as const) {
    it(`a missing bucket is named, and found ${how} once it exists`, async () => {
      const bucket = await pair.newSourceBucket();
      await replicate(pair.site, swift.account, bucket);
      await pair.put(bucket, 'early', 'bird');
      const sentence = /destination bucket does not exist/;
      await failureShows(pair.site, bucket, sentence, DELIVERY_TIMEOUT_MS);
      await pair.createAtSwift(bucket);
      if (asksForRetry) {
        const path = `${bucket}/replication/tasks/retry?state=pending`;
        assert.equal((await admin(pair.site, 'POST', path)).status, 200);
      }
      await pair.arrives(bucket, 'early', 'bird');
    });
  }

  it('shows the task that waits, with all its fields', async () => {
    const bucket = await pair.newBucket();
    const { targetId, ruleId } = await replicate(pair.site, swift.account, bucket, {
      secretAccessKey: 'wrong',
    });
    await pair.put(bucket, 'a key/ü', 'v');
    const task = await until(
      async () => (await pair.pendingTasks(bucket)).find(({ attempts }) => attempts > 0),
      'the task to have been tried',
      DELIVERY_TIMEOUT_MS,
    );
    const { id, versionId, attempts, nextAttemptAt, lastError, createdAt, ...rest } = task;
    assert.deepEqual(rest, {
      ...{ ruleId, targetId, endpoint: swift.account.url, key: 'a key/ü' },
      ...{ operation: 'put', state: 'pending' },
    });
    for (const text of [id, versionId]) assert.match(text ?? '', /./);
    for (const time of [nextAttemptAt, createdAt]) {
      assert.equal(new Date(time).toISOString(), time);
    }
    assert.ok(Number.isInteger(attempts));
    assert.match(lastError ?? '', /does not accept the signature/);
  });
});

describe('a kill between the source and Swift', () => {
  it('loses nothing that was acknowledged', async () => {
    const bucket = await pair.newBucket();
    await replicate(pair.site, swift.account, bucket);
    const keys = Array.from({ length: 50 }, (_, index) => `object-${index}`);
    const acknowledged: string[] = [];
    let killed: Promise<unknown> | undefined;
    await forEachAtOnce(keys, async (key) => {
      // Each put ends with the server at the latest.
      await pair.put(bucket, key, `content of ${key}`).then(
        () => acknowledged.push(key),
        (error: unknown) => assert.ok(killed !== undefined, String(error)),
      );
      if (acknowledged.length >= 20) killed ??= pair.site.process.kill();
    });
    await killed;
    assert.ok(acknowledged.length >= 20 && acknowledged.length < keys.length);
    await pair.start();
    for (const key of acknowledged) await pair.arrives(bucket, key, `content of ${key}`);
    // What was committed without an answer arrives too; what was not is at neither.
    for (const key of keys) {
      const here = await readObject(pair.siteS3, bucket, key);
      if (here === null) assert.equal(await readObject(swiftS3, bucket, key), null);
      else await pair.arrives(bucket, key, here.body);
    }
    // No chain waits for a delivery that died with the first process.
    await forEachAtOnce(keys, (key) => pair.put(bucket, key, `newer ${key}`));
    for (const key of keys) await pair.arrives(bucket, key, `newer ${key}`);
  });
});
