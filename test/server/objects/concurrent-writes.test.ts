/**
 * Writes to the same keys at the same time, with a replication that takes its time: what it is told
 * must read like one write after the other.
 */
import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { AnnouncedWrite, CommittedWrite } from '../../../src/host.ts';
import type { ObjectErrorCode } from '../../../src/server/objects/object-error.ts';
import type { WriteConditions } from '../../../src/server/objects/types.ts';
import { until } from '../../support/until.ts';
import {
  bodyOf,
  readText,
  recorder,
  rejectsWith,
  storedFiles,
  withStore,
} from './object-fixture.ts';
import { assertProperty } from '../../support/seed.ts';

const NOT_REPLICA = { replica: false };

const write = fc.record({
  keys: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }),
  do: fc.constantFrom('put', 'delete', 'tag'),
  turns: fc.nat(6),
});

describe('concurrent writes', () => {
  it('are announced and committed in one order per key', () =>
    withStore({}, async ({ store, buckets }) => {
      let turns: readonly number[] = [];
      let log: { announced: AnnouncedWrite; committed?: CommittedWrite }[] = [];
      store.replicateThrough({
        announce: async (writes) => {
          const entries = writes.map((announced): (typeof log)[number] => ({ announced }));
          log.push(...entries);
          const wait = async () => {
            for (let turn = turns[log.length % turns.length]!; turn > 0; turn -= 1)
              await nextTurn();
          };
          await wait();
          return {
            replicates: [],
            committed: async (committed) => {
              await wait();
              for (const one of committed) {
                entries.find(({ announced }) => announced.key === one.key)!.committed = one;
              }
            },
            abandoned: async () => assert.fail('nothing fails here'),
          };
        },
      });
      let serial = 0;
      const property = fc.asyncProperty(
        fc.boolean(),
        fc.array(write, { minLength: 2, maxLength: 25 }),
        async (versioningEnabled, writes) => {
          serial += 1;
          const name = `bucket-${serial}`;
          const bucket = await buckets.create({ name, ownerId: 'somebody', versioningEnabled });
          turns = writes.map((one) => one.turns);
          log = [];
          const running = writes.map(async ({ keys, ...one }, index) => {
            const [key] = keys as [string];
            if (one.do === 'put') await store.put(bucket, key, bodyOf(`content ${index}`));
            if (one.do === 'tag') await store.putTags(bucket, key, {}, NOT_REPLICA).catch(ignore);
            if (one.do === 'delete') {
              const entries = keys.map((each) => ({ key: each }));
              await store.deleteMany(bucket, entries, NOT_REPLICA);
            }
          });
          await Promise.all(running);
          for (const key of ['a', 'b', 'c']) {
            const events = log.filter(({ announced }) => announced.key === key);
            const { order } = checkChain(events);
            const head = await store.headCurrent(bucket, key);
            assert.equal(head?.deleteMarker === false ? head.order : 0, order);
          }
        },
      );
      await assertProperty(property, { numRuns: 40 });
    }));

  it('to one key leave the body of the one that committed last, and no other', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      const puts = Array.from({ length: 50 }, (_, index) =>
        store.put(bucket, 'key', bodyOf(`content ${index}`)),
      );
      const heads = await Promise.all(puts);
      const orders = heads.map((head) => head.order);
      const last = orders.indexOf(Math.max(...orders));
      assert.equal(new Set(orders).size, 50);
      assert.equal(await readText((await store.open(bucket, 'key'))?.body), `content ${last}`);
      assert.equal((await storedFiles(directory)).length, 1);
    }));

  it('with If-None-Match: * let exactly one through', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      const conditions = { ifNoneMatch: ['*'] };
      const puts = Array.from({ length: 20 }, (_, index) =>
        store.put(bucket, 'key', bodyOf(`content ${index}`, { conditions })),
      );
      const results = await Promise.allSettled(puts);
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      assert.equal((await storedFiles(directory)).length, 1);
    }));

  it('do not wait for a synchronous rule of the write before', () =>
    withStore({}, async ({ store, bucket }) => {
      const { calls, announce } = recorder();
      let finish: () => void = () => undefined;
      const slow = new Promise<void>((resolve) => (finish = resolve));
      store.replicateThrough({
        announce: async (writes) => {
          const first = calls.length === 0;
          const announcement = await announce(writes);
          const committed = async (events: readonly CommittedWrite[]) => {
            await announcement.committed(events);
            if (first) await slow;
          };
          return { ...announcement, committed };
        },
      });
      let answered = false;
      const first = store.put(bucket, 'key', bodyOf('one')).then(() => (answered = true));
      await until(() => calls[0]?.outcome !== undefined, 'the first commit');
      await store.put(bucket, 'key', bodyOf('two'));
      assert(!answered, 'the first write waits for its rule');
      finish();
      await first;
    }));
});

describe('conditions of a put', () => {
  const etag = '9a0364b9e99bb480dd25e1f0284c8555'; // MD5 of "content"
  const rows: [string, boolean, WriteConditions, ObjectErrorCode | null][] = [
    ['If-None-Match: * on nothing', false, { ifNoneMatch: ['*'] }, null],
    ['If-None-Match: * on an object', true, { ifNoneMatch: ['*'] }, 'PreconditionFailed'],
    ['If-None-Match: its ETag', true, { ifNoneMatch: ['x', etag] }, 'PreconditionFailed'],
    ['If-None-Match: another ETag', true, { ifNoneMatch: ['x'] }, null],
    ['If-Match: * on nothing', false, { ifMatch: ['*'] }, 'NoSuchKey'],
    ['If-Match: * on an object', true, { ifMatch: ['*'] }, null],
    ['If-Match: its ETag', true, { ifMatch: ['x', etag] }, null],
    ['If-Match: another ETag', true, { ifMatch: ['x'] }, 'PreconditionFailed'],
  ];
  for (const [name, exists, conditions, code] of rows) {
    it(name, () =>
      withStore({ versioningEnabled: true }, async ({ store, bucket, directory }) => {
        await store.put(bucket, 'key', bodyOf('content'));
        if (!exists) await store.delete(bucket, { key: 'key' }, NOT_REPLICA);
        const { calls, announce } = recorder();
        store.replicateThrough({ announce });
        const put = store.put(bucket, 'key', bodyOf('other', { conditions }));
        if (code === null) {
          await put;
          return;
        }
        await rejectsWith(code, put);
        assert.equal(calls[0]?.outcome, 'abandoned');
        assert.equal((await storedFiles(directory)).length, 1);
      }),
    );
  }
});

describe('a replication that refuses', () => {
  it('keeps everything as it was', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      await store.put(bucket, 'key', bodyOf('old', { tags: { colour: 'red' } }));
      const refusal = new Error('the disk is nearly full');
      store.replicateThrough({
        announce: async () => {
          throw refusal;
        },
      });
      const source = { bucket, key: 'key' };
      await rejectsWith('ServiceUnavailable', store.put(bucket, 'key', bodyOf('new')));
      await rejectsWith('ServiceUnavailable', store.copy(bucket, 'b', { source, replica: false }));
      await rejectsWith('ServiceUnavailable', store.delete(bucket, { key: 'key' }, NOT_REPLICA));
      await rejectsWith('ServiceUnavailable', store.putTags(bucket, 'key', {}, NOT_REPLICA));
      const opened = await store.open(bucket, 'key');
      assert.equal(await readText(opened?.body), 'old');
      assert.deepEqual(opened?.head.tags, { colour: 'red' });
      assert.equal((await storedFiles(directory)).length, 1);
      // What changes nothing that is current asks nobody.
      await store.delete(bucket, { key: 'absent' }, NOT_REPLICA);
    }));
});

describe('a bucket that goes or comes back', () => {
  it('takes no write that began before', () =>
    withStore({}, async ({ store, bucket, buckets, directory }) => {
      const { calls, announce } = recorder();
      let goOn: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (goOn = resolve));
      store.replicateThrough({
        announce: async (writes) => {
          const announcement = await announce(writes);
          await gate;
          return announcement;
        },
      });
      const put = store.put(bucket, 'key', bodyOf('content'));
      await until(() => calls.length === 1, 'the announcement');
      await buckets.remove(bucket.name, () => assert(store.isEmpty(bucket)));
      const { name, ownerId } = bucket;
      const successor = await buckets.create({ name, ownerId, versioningEnabled: false });
      goOn();
      await rejectsWith('NoSuchBucket', put);
      assert.equal(calls[0]?.outcome, 'abandoned');
      assert.equal(await store.head(successor, 'key'), null);
      assert.deepEqual(await storedFiles(directory), []);
    }));
});

/** Each event begins where the one before ended. Returns the last order, 0 where nothing is current. */
function checkChain(events: readonly { announced: AnnouncedWrite; committed?: CommittedWrite }[]): {
  order: number;
} {
  let current: AnnouncedWrite['before'] = null;
  let order = 0;
  for (const { announced, committed } of events) {
    assert.deepEqual(announced.before, current);
    assert(committed !== undefined, 'every announced write was committed');
    assert.equal(committed.operation, announced.operation);
    assert(committed.order > order);
    order = committed.order;
    current = committed.operation === 'delete' ? null : { versionId: committed.versionId!, order };
  }
  return { order: current === null ? 0 : order };
}

/** Tags of a key that is not there at that moment. */
function ignore(): void {}
