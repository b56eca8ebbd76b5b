import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { BucketRef, Logger } from '../../src/host.ts';
import { BucketLifecycle } from '../../src/server/bucket-lifecycle.ts';
import { Buckets } from '../../src/server/buckets.ts';
import { temporaryServerDatabase } from '../support/server-database.ts';

const silent: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

interface Setting {
  readonly isEmpty?: boolean;
  readonly mayChange?: boolean;
  readonly failOnDelete?: boolean;
}

async function setUp(t: TestContext, setting: Setting = {}) {
  const buckets = new Buckets({ database: await temporaryServerDatabase(t), clock: () => 0 });
  const calls: string[] = [];
  const lifecycle = new BucketLifecycle({
    buckets,
    logger: { ...silent, error: (_fields, message) => void calls.push(`logged: ${message}`) },
    objects: {
      isEmpty: () => setting.isEmpty ?? true,
      dropUploads: async () => void calls.push('dropUploads'),
    },
    hooks: {
      async bucketDeleted(bucket: BucketRef) {
        calls.push(`bucketDeleted, ${buckets.find(bucket.name) === null ? 'gone' : 'there'}`);
        if (setting.failOnDelete === true) throw new Error('hook');
      },
      async mayChangeVersioning(_bucket, to) {
        calls.push(`mayChangeVersioning ${to}`);
        return setting.mayChange ?? true;
      },
    },
  });
  await lifecycle.create({ name: 'mine', ownerId: 'u1', versioningEnabled: true });
  return { buckets, lifecycle, calls };
}

describe('the life of a bucket', () => {
  it('tells the plugin of a deletion once it is done', async (t) => {
    const { buckets, lifecycle, calls } = await setUp(t);
    await lifecycle.remove('mine', 'u1');
    assert.equal(buckets.find('mine'), null);
    assert.deepEqual(calls, ['bucketDeleted, gone', 'dropUploads']);
  });

  it('deletes although the hook fails, and logs that', async (t) => {
    const { buckets, lifecycle, calls } = await setUp(t, { failOnDelete: true });
    await lifecycle.remove('mine', 'u1');
    assert.equal(buckets.find('mine'), null);
    assert.deepEqual(calls, [
      'bucketDeleted, gone',
      'logged: plugin failed to forget a bucket',
      'dropUploads',
    ]);
  });

  it('keeps a bucket with objects and says nothing to the plugin', async (t) => {
    const { buckets, lifecycle, calls } = await setUp(t, { isEmpty: false });
    await assert.rejects(lifecycle.remove('mine', 'u1'), { code: 'BucketNotEmpty', status: 409 });
    assert.notEqual(buckets.find('mine'), null);
    assert.deepEqual(calls, []);
  });

  it('treats another user as if there were no bucket', async (t) => {
    const { buckets, lifecycle } = await setUp(t, { isEmpty: false });
    const refusal = { code: 'NoSuchBucket', status: 404 };
    await assert.rejects(lifecycle.remove('mine', 'u2'), refusal);
    await assert.rejects(lifecycle.setVersioning('mine', 'u2', 'Suspended'), refusal);
    assert.throws(() => lifecycle.find('mine', 'u2'), refusal);
    assert.equal(buckets.find('mine')?.versioning, 'Enabled');
  });

  it('asks the plugin only before versioning leaves Enabled', async (t) => {
    const { lifecycle, calls } = await setUp(t);
    await lifecycle.setVersioning('mine', 'u1', 'Enabled');
    assert.deepEqual(calls, []);
    await lifecycle.setVersioning('mine', 'u1', 'Suspended');
    assert.deepEqual(calls, ['mayChangeVersioning Suspended']);
    await lifecycle.setVersioning('mine', 'u1', 'Enabled');
    assert.equal(calls.length, 1);
  });

  it('refuses what the plugin refuses', async (t) => {
    const { buckets, lifecycle } = await setUp(t, { mayChange: false });
    await assert.rejects(lifecycle.setVersioning('mine', 'u1', 'Suspended'), {
      code: 'InvalidBucketState',
      status: 409,
    });
    assert.equal(buckets.find('mine')?.versioning, 'Enabled');
  });

  it('waits for whoever holds the lock of the bucket', async (t) => {
    const { buckets, lifecycle } = await setUp(t);
    const seen: unknown[] = [];
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const holder = buckets.withLock('mine', async () => {
      await gate;
      seen.push(buckets.find('mine')?.versioning);
    });
    const changed = lifecycle.setVersioning('mine', 'u1', 'Suspended');
    const removed = lifecycle.remove('mine', 'u1');
    release();
    await Promise.all([holder, changed, removed]);
    assert.deepEqual(seen, ['Enabled']);
  });
});

describe("a bucket's lock", () => {
  const foreign = {
    'a deletion': (lifecycle: BucketLifecycle) => lifecycle.remove('mine', 'u2'),
    'a change of versioning': (lifecycle: BucketLifecycle) =>
      lifecycle.setVersioning('mine', 'u2', 'Suspended'),
    'a deletion of what is not there': (lifecycle: BucketLifecycle) =>
      lifecycle.remove('missing', 'u2'),
  };
  for (const [what, attempt] of Object.entries(foreign)) {
    it(`is not asked for by ${what} from somebody who may not`, async (t) => {
      const { buckets, lifecycle } = await setUp(t);
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      // Neither lock comes free before the attempt was answered: one that waited would wait for ever.
      const holders = ['mine', 'missing'].map((name) => buckets.withLock(name, () => held));
      await assert.rejects(attempt(lifecycle), { code: 'NoSuchBucket', status: 404 });
      release();
      await Promise.all(holders);
      assert.equal(buckets.find('mine')?.versioning, 'Enabled');
    });
  }

  it('is followed by a second look at the owner', async (t) => {
    const { buckets, lifecycle } = await setUp(t);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const holder = buckets.withLock('mine', async () => {
      await held;
      await buckets.remove('mine', () => undefined);
      await buckets.create({ name: 'mine', ownerId: 'u2', versioningEnabled: false });
    });
    const waiting = [
      lifecycle.remove('mine', 'u1'),
      lifecycle.setVersioning('mine', 'u1', 'Suspended'),
    ].map((call) => assert.rejects(call, { code: 'NoSuchBucket' }));
    release();
    await Promise.all([holder, ...waiting]);
    assert.deepEqual(
      [buckets.find('mine')?.ownerId, buckets.find('mine')?.versioning],
      ['u2', 'Disabled'],
    );
  });
});
