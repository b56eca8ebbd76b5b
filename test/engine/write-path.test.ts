import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WritePath } from '../../src/engine/write-path.ts';
import type { DiskState } from '../../src/engine/engine.ts';
import type { AnnouncedWrite, CommittedWrite } from '../../src/host.ts';
import type { Row } from '../../src/model/row.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { BUCKET, row } from './fixtures.ts';

const OTHER = { id: 'bucket-2', name: 'plain' };

function announced(fields: Partial<AnnouncedWrite> = {}): AnnouncedWrite {
  return { bucket: BUCKET, key: 'key', operation: 'put', before: null, ...fields };
}

function committed(fields: Partial<CommittedWrite> = {}): CommittedWrite {
  return {
    bucket: BUCKET,
    key: 'key',
    operation: 'put',
    versionId: 'v1',
    order: 1,
    replica: false,
    ...fields,
  };
}

function setUp(disk: DiskState = 'ok') {
  const log: string[] = [];
  const clock = new VirtualClock();
  const replicating = new Set([BUCKET.name]);
  /** Rules that another process saved a moment ago. */
  const unseen = new Set<string>();
  const failures: Error[] = [];
  const waited: Row[] = [];
  const path = new WritePath({
    outbox: {
      announce: async (writes) => {
        log.push(`announce ${writes.length}`);
        const replicates = writes.map(({ key }) => key.startsWith('key'));
        return { intent: 7, replicates };
      },
      commit: async (intent, writes) => {
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        log.push(`commit ${intent} ${writes.length}`);
        return [{ ...row(), isSynchronous: false }];
      },
      abandon: async (intent) => void log.push(`abandon ${intent}`),
    },
    configurations: {
      mayReplicate: (name) => replicating.has(name) && !unseen.has(name),
      mayReplicateNow: (name) => replicating.has(name),
    },
    diskState: () => disk,
    clock,
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    onEnqueued: (rows) => void log.push(`enqueued ${rows.length}`),
    waitFor: async (rows) => void waited.push(...rows),
  });
  return { path, log, clock, replicating, unseen, failures, waited };
}

describe('write path', () => {
  it('costs buckets without rules one shared promise', async () => {
    const { path, log } = setUp();
    const first = path.announce([announced({ bucket: OTHER })]);
    assert.equal(path.announce([announced({ bucket: OTHER })]), first);
    const announcement = await first;
    await announcement.committed([committed({ bucket: OTHER })]);
    await announcement.abandoned();
    assert.deepEqual(log, []);
  });

  it('announces, commits and waits', async () => {
    const { path, log, waited } = setUp();
    const announcement = await path.announce([announced(), announced({ bucket: OTHER })]);
    await announcement.committed([committed()]);
    assert.deepEqual(log, ['announce 1', 'commit 7 1', 'enqueued 1']);
    assert.equal(waited.length, 1);
  });

  it('says of each write whether a rule covers it', async () => {
    const { path } = setUp();
    const writes = [announced({ bucket: OTHER }), announced({ key: 'other' }), announced()];
    assert.deepEqual((await path.announce(writes)).replicates, [false, false, true]);
  });

  it('forgets what did not happen', async () => {
    const { path, log } = setUp();
    await (await path.announce([announced()])).abandoned();
    assert.deepEqual(log, ['announce 1', 'abandon 7']);
  });

  it('queues a write whose bucket got its first rule meanwhile', async () => {
    const { path, log, replicating } = setUp();
    const announcement = await path.announce([announced({ bucket: OTHER })]);
    replicating.add(OTHER.name);
    await announcement.committed([committed({ bucket: OTHER })]);
    assert.deepEqual(log, ['announce 1', 'commit 7 1', 'enqueued 1']);
  });

  it('queues a write whose rule another process saved just before', async () => {
    const { path, log, unseen } = setUp();
    unseen.add(BUCKET.name);
    const announcement = await path.announce([announced()]);
    assert.deepEqual(log, []);
    await announcement.committed([committed()]);
    assert.deepEqual(log, ['announce 1', 'commit 7 1', 'enqueued 1']);
  });

  for (const disk of ['low', 'critical'] as const) {
    it(`refuses puts that replicate while the disk is ${disk}, and nothing else`, async () => {
      const { path, log } = setUp(disk);
      const refused = { code: 'InsufficientStorage', status: 503 };
      await assert.rejects(path.announce([announced()]), refused);
      assert.deepEqual(log, []);
      await path.announce([announced({ operation: 'delete' })]);
      await path.announce([announced({ bucket: OTHER })]);
      assert.deepEqual(log, ['announce 1']);
    });
  }

  it('never fails a write that the host has committed, and queues it later', async () => {
    const { path, log, failures, clock } = setUp();
    const announcement = await path.announce([announced()]);
    failures.push(new Error('MDB_MAP_FULL'), new Error('MDB_MAP_FULL'));
    await announcement.committed([committed()]);
    assert.deepEqual(log, ['announce 1']);
    await clock.run(11_000);
    assert.deepEqual(log, ['announce 1', 'commit 7 1', 'enqueued 1']);
  });

  it('refuses new announcements once it closes, and lets open ones end', async () => {
    const { path, log } = setUp();
    const announcement = await path.announce([announced()]);
    path.close();
    await assert.rejects(path.announce([announced()]), { code: 'ServiceUnavailable' });
    await announcement.committed([committed()]);
    assert.equal(log.includes('commit 7 1'), true);
  });
});
