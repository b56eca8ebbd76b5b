import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settleLeftIntents } from '../../src/engine/settlement.ts';
import type { AnnouncedWrite, Bucket, ObjectHead } from '../../src/host.ts';
import { BUCKET, head, marker } from './fixtures.ts';

const LIVE: Bucket = { ...BUCKET, ownerId: 'owner', versioning: 'Enabled' };

interface SettledOptions {
  readonly bucket?: Bucket | null;
  readonly operation?: AnnouncedWrite['operation'];
}

/** What is queued for the key. */
async function settled(
  before: AnnouncedWrite['before'],
  current: ObjectHead | null,
  { bucket = LIVE, operation = 'put' }: SettledOptions = {},
): Promise<readonly AnnouncedWrite['operation'][]> {
  const write: AnnouncedWrite = { bucket: BUCKET, key: 'key', operation, before };
  let left = [{ id: 3, writes: [write] }];
  let changedWrites: readonly AnnouncedWrite[] = [];
  const tenure = {
    leftIntents: async () => left,
    settle: async (id: number, changed: readonly AnnouncedWrite[]) => {
      assert.equal(id, 3);
      left = [];
      changedWrites = changed;
    },
  };
  const host = { findBucket: async () => bucket, headCurrent: async () => current };
  await settleLeftIntents(tenure, host, () => true);
  assert.deepEqual(left, []);
  return changedWrites.map((changed) => changed.operation);
}

describe('settlement of announcements that nobody finished', () => {
  const before = { versionId: 'v5', order: 5 };
  const cases: readonly (readonly [
    string,
    AnnouncedWrite['before'],
    ObjectHead | null,
    changed: AnnouncedWrite['operation'] | null,
  ])[] = [
    ['the key shows what it showed', before, head(), null],
    ['there was nothing and is nothing', null, null, null],
    ['another version is current', before, head({ versionId: 'v6', order: 6 }), 'put'],
    ['the version has other tags', before, head({ order: 6 }), 'put'],
    ['there was nothing and is something', null, head(), 'put'],
    ['there was something and is nothing', before, null, 'delete'],
    ['there was something and is a marker', before, marker({ order: 6 }), 'delete'],
    // A version may have come and gone in between: the marker may be newer than `before`.
    ['there was nothing and is a marker', null, marker(), 'delete'],
  ];
  for (const [name, was, current, changed] of cases) {
    it(`${changed === null ? 'leaves' : 'queues'} a key: ${name}`, async () => {
      assert.deepEqual(await settled(was, current), changed === null ? [] : [changed]);
    });
  }

  it('queues what became current where a version was to be removed', async () => {
    const current = head({ versionId: 'v4', order: 6 });
    assert.deepEqual(await settled(before, current, { operation: 'delete' }), ['put']);
  });

  it('forgets announcements of buckets that are gone', async () => {
    assert.deepEqual(await settled(null, head(), { bucket: null }), []);
    const bucket = { ...LIVE, id: 'bucket-2' };
    assert.deepEqual(await settled(null, head(), { bucket }), []);
  });
});
