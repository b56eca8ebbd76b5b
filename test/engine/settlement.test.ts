import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settleLeftIntents } from '../../src/engine/settlement.ts';
import type { AnnouncedWrite, Bucket, ObjectHead } from '../../src/host.ts';
import { BUCKET, head, marker } from './fixtures.ts';

const LIVE: Bucket = { ...BUCKET, ownerId: 'owner', versioning: 'Enabled' };

async function settled(
  before: AnnouncedWrite['before'],
  current: ObjectHead | null,
  bucket: Bucket | null = LIVE,
): Promise<number> {
  const write: AnnouncedWrite = { bucket: BUCKET, key: 'key', operation: 'put', before };
  let left = [{ id: 3, writes: [write] }];
  let changedWrites: readonly AnnouncedWrite[] = [];
  const outbox = {
    leftIntents: async () => left,
    settle: async (epoch: number, id: number, changed: readonly AnnouncedWrite[]) => {
      assert.deepEqual([epoch, id], [9, 3]);
      left = [];
      changedWrites = changed;
    },
  };
  const host = { findBucket: async () => bucket, headCurrent: async () => current };
  await settleLeftIntents(outbox, host, 9, () => true);
  assert.deepEqual(left, []);
  return changedWrites.length;
}

describe('settlement of announcements that nobody finished', () => {
  const before = { versionId: 'v5', order: 5 };
  const cases: readonly (readonly [
    string,
    AnnouncedWrite['before'],
    ObjectHead | null,
    changed: boolean,
  ])[] = [
    ['the key shows what it showed', before, head(), false],
    ['there was nothing and is nothing', null, null, false],
    ['another version is current', before, head({ versionId: 'v6', order: 6 }), true],
    ['the version has other tags', before, head({ order: 6 }), true],
    ['there was nothing and is something', null, head(), true],
    ['there was something and is nothing', before, null, true],
    ['there was something and is a marker', before, marker({ order: 6 }), true],
    // A version may have come and gone in between: the marker may be newer than `before`.
    ['there was nothing and is a marker', null, marker(), true],
  ];
  for (const [name, was, current, changed] of cases) {
    it(`${changed ? 'queues' : 'leaves'} a key: ${name}`, async () => {
      assert.equal(await settled(was, current), changed ? 1 : 0);
    });
  }

  it('forgets announcements of buckets that are gone', async () => {
    assert.equal(await settled(null, head(), null), 0);
    assert.equal(await settled(null, head(), { ...LIVE, id: 'bucket-2' }), 0);
  });
});
