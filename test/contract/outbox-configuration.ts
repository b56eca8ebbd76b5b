/** The outbox contract: what configurations mean for the queue, and what is dropped when. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { AnnouncedWrite, BucketRef } from '../../src/host.ts';
import { targetDraft } from '../support/drafts.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import {
  BUCKET,
  OutboxDriver,
  RECREATED,
  RULE,
  TARGET,
  complete,
  due,
  fail,
  retry,
} from '../support/outbox-driver.ts';

export function rulesAndTargets(open: OpenOutbox): void {
  it('a disabled target is a pause', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.targets([{ n: 1, enabled: false }]);
    await d.put('a', 1);
    assert.equal(await d.claim(), undefined);
    assert.deepEqual(await d.outbox.nextDueAt(d.lane()), { put: null, delete: null });
    await d.targets([{ n: 1 }]);
    assert.equal((await d.claim())?.row.key, 'a');
  });

  it('an announcement says which writes the rules cover now', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.rules([
      { n: RULE, prefix: 'a/' },
      { n: 7, prefix: 'b/', enabled: false },
      { n: 8, prefix: 'c/', replicateDeletes: true },
    ]);
    const write = (key: string, operation: 'put' | 'delete'): AnnouncedWrite => ({
      bucket: BUCKET,
      key,
      operation,
      before: null,
    });
    const { replicates } = await d.outbox.announce([
      write('a/1', 'put'),
      write('a/1', 'delete'),
      write('b/1', 'put'),
      write('c/1', 'delete'),
      { ...write('a/1', 'put'), bucket: RECREATED },
    ]);
    assert.deepEqual(replicates, [true, false, false, true, false]);
  });

  it('a row says whether its write waits: under a synchronous rule whose target is enabled', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.rules([{ n: RULE }, { n: 7, prefix: 'b', synchronous: true }]);
    const waits = async (key: string): Promise<boolean[]> =>
      (await d.put(key, 1)).map(({ isSynchronous }) => isSynchronous);
    assert.deepEqual(await waits('a'), [false]);
    assert.deepEqual(await waits('b'), [true]);
    await d.targets([{ n: 1, enabled: false }]);
    assert.deepEqual(await waits('b2'), [false]);
  });

  it('rows of a disabled rule wait, and those of a removed rule are gone for good', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.rules([{ n: RULE, enabled: false }]);
    assert.equal(await d.claim(), undefined);
    assert.equal((await d.status()).pending, 1);
    await d.rules([]);
    assert.deepEqual(await d.outbox.pageRows(BUCKET, {}, null, 9), []);
    await d.rules([{ n: RULE }]);
    assert.equal(await d.claim(), undefined);
    assert.deepEqual(await d.status(), { pending: 0, verifying: 0, failed: 0 });
    await d.sweep();
    assert.deepEqual(await d.outbox.lanes(), []);
  });

  it('a row under a disabled rule does not block a later one under another', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.rules([{ n: RULE, enabled: false }, { n: 7 }]);
    await d.put('a', 2);
    const claim = (await d.claim())!;
    assert.equal(claim.row.order, 2);
    await d.settle(claim, complete(2));
    assert.deepEqual(await d.status(), { pending: 0, verifying: 0, failed: 0 });
  });

  it('also where the rule was disabled afterwards, once it was swept', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.rules([{ n: 7 }, { n: RULE }]);
    await d.put('a', 2);
    await d.rules([{ n: 7 }, { n: RULE, enabled: false }]);
    await d.sweep();
    assert.equal((await d.claim())?.row.order, 2);
  });

  it('also when a claim comes back to it', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.rules([{ n: RULE, enabled: false }, { n: 7 }]);
    await d.put('a', 2);
    await d.settle((await d.claim())!, retry(d.now));
    const claim = (await d.claim())!;
    assert.equal(claim.row.order, 2);
    await d.put('a', 3);
    await d.settle(claim, fail());
    assert.equal((await d.claim())?.row.order, 3);
  });

  it('rows of a removed target are shown, and due when it is back', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.targets([]);
    assert.equal((await d.outbox.pageRows(BUCKET, {}, null, 9)).length, 1);
    assert.equal(await d.claim(), undefined);
    assert.deepEqual(await d.outbox.accessTarget(d.lane()), { kind: 'absent' });
    await d.sweep();
    await d.targets([{ n: 1 }]);
    await d.rules([{ n: RULE }]);
    assert.equal((await d.claim())?.row.key, 'a');
    const access = await d.outbox.accessTarget(d.lane());
    assert(access.kind === 'usable');
    assert.equal(access.secretAccessKey, 'a-secret-of-the-tests');
  });

  it('a bucket that was created again inherits nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const [row] = await d.put('a', 1);
    await d.configurations.replaceTargets(RECREATED, [targetDraft(9)], { kind: 'any' });
    assert.equal(await d.claim(), undefined);
    const lane = { bucket: RECREATED, targetId: TARGET };
    assert.deepEqual(await d.tenure.claim(lane, due(9, d.now)), []);
    for (const bucket of [BUCKET, RECREATED]) {
      assert.deepEqual(await d.outbox.pageRows(bucket, {}, null, 9), []);
      assert.equal(await d.outbox.findRow(bucket, row!.sequence), null);
    }
    assert.deepEqual(await d.outbox.accessTarget(d.lane()), { kind: 'absent' });
    assert.deepEqual(await d.put('a', 2), [], 'an event of the old bucket');
  });
}

export function gaps(open: OpenOutbox): void {
  const gapOf = async (d: OutboxDriver, of: BucketRef = BUCKET): Promise<unknown[]> =>
    (await d.outbox.queueStatus(of)).gaps.map(({ gapSince, deleteLost }) => [gapSince, deleteLost]);

  it('a disabled rule notes since when it misses events', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.rules([{ n: RULE, enabled: false, replicateDeletes: true }]);
    assert.deepEqual(await gapOf(d), []);
    const since = d.now;
    assert.deepEqual(await d.put('a', 1), []);
    d.world.now += 1_000;
    assert.deepEqual(await gapOf(d), [[since, false]]);
    await d.remove('a', 2);
    assert.deepEqual(await gapOf(d), [[since, true]]);
  });

  it('the backlog limit and a nearly full disk drop events into the gap', async (t) => {
    const d = await OutboxDriver.open(t, open, { backlogMax: 3 });
    for (let n = 0; n < 3; n++) assert.equal((await d.put(`k${n}`, n)).length, 1);
    assert.deepEqual(await gapOf(d), []);
    assert.deepEqual(await d.put('k3', 3), []);
    assert.deepEqual(await gapOf(d), [[d.now, false]]);
    const other = await OutboxDriver.open(t, open);
    other.world.isDiskLow = true;
    assert.deepEqual(await other.put('a', 1), []);
    assert.deepEqual(await gapOf(other), [[other.now, false]]);
  });

  it('at the limit, a resolve row still stands for more changes of its key', async (t) => {
    const d = await OutboxDriver.open(t, open, { backlogMax: 1 });
    await d.settleIntent('a');
    await d.settleIntent('a');
    assert.deepEqual(await gapOf(d), []);
    await d.settleIntent('b');
    assert.equal((await gapOf(d)).length, 1);
  });

  it('another destination is a gap for the rules of that target', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.targets([{ n: 1, targetBucket: 'elsewhere' }]);
    assert.deepEqual(await gapOf(d), [[d.now, false]]);
  });
}
