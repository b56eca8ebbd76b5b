/** The outbox contract: the queue in numbers, and what is told of single versions. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Row } from '../../src/model/row.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import { uuid } from '../support/replication-bodies.ts';
import { BUCKET, OutboxDriver, RECREATED, RULE, complete, fail } from '../support/outbox-driver.ts';

export function numbers(open: OpenOutbox): void {
  it('totals count every bucket, and rows of removed rules until they are swept', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const empty = { pending: 0, verifying: 0, failed: 0, oldestPendingAt: null };
    assert.deepEqual(await d.outbox.queueTotals(), empty);
    await d.put('a', 1);
    await d.failOne();
    const oldestPendingAt = d.now + 5;
    for (const key of ['b', 'c']) {
      d.world.now += 5;
      await d.put(key, 1);
    }
    const queued = { pending: 2, verifying: 0, failed: 1, oldestPendingAt };
    assert.deepEqual(await d.outbox.queueTotals(), queued);
    await d.rules([]);
    assert.deepEqual(await d.outbox.queueTotals(), queued);
    await d.sweep();
    assert.deepEqual(await d.outbox.queueTotals(), empty);
  });

  it('a version is pending while a row of it is queued for any target, in flight too', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.targets([{ n: 1 }, { n: 2 }]);
    await d.rules([{ n: RULE }, { n: 6, targetId: uuid(2) }]);
    await d.put('a', 1);
    assert.equal(await stateOf(d, 'v1'), 'pending');
    const claim = (await d.claim())!;
    assert.equal(await stateOf(d, 'v1'), 'pending');
    await d.settle(claim, complete(1));
    assert.equal(await stateOf(d, 'v1'), 'pending', 'the other target');
    await d.rules([{ n: RULE }]);
    assert.equal(await stateOf(d, 'v1'), null);
  });

  it('one that was given up has failed, unless it is queued elsewhere', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail());
    assert.equal(await stateOf(d, 'v1'), 'failed');
    await d.put('a', 2);
    assert.deepEqual([await stateOf(d, 'v1'), await stateOf(d, 'v2')], ['failed', 'pending']);
    await d.settle((await d.claim())!, complete(2));
    assert.deepEqual([await stateOf(d, 'v1'), await stateOf(d, 'v2')], [null, null]);
  });

  it('nothing is known of other versions, keys and buckets', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    assert.equal(await stateOf(d, 'v2'), null);
    for (const other of [{ key: 'b' }, { bucket: RECREATED }]) {
      const version = { bucket: BUCKET, key: 'a', versionId: 'v1', ...other };
      assert.equal(await d.outbox.versionState(version), null);
    }
  });

  it('a row for whatever is current stands for every version', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settleIntent('a');
    assert.equal(await stateOf(d, 'v7'), 'pending');
    await d.failOne();
    assert.equal(await stateOf(d, 'v7'), 'failed');
  });
}

function stateOf(d: OutboxDriver, versionId: string): Promise<Row['state'] | null> {
  return d.outbox.versionState({ bucket: BUCKET, key: 'a', versionId });
}
