/** The outbox contract: the queue in numbers, and what is told of single versions. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Row } from '../../src/model/row.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import { uuid } from '../support/replication-bodies.ts';
import {
  BUCKET,
  OutboxDriver,
  RECREATED,
  RULE,
  complete,
  due,
  fail,
} from '../support/outbox-driver.ts';

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

  it('the oldest pending row is known behind any number of failed ones, whatever is retried', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const failed = 2_500;
    await d.outbox.commit(
      0,
      Array.from({ length: failed }, (_, n) => d.write(`k${n}`, n)),
    );
    const claims = await d.tenure.claim(d.lane(), due(failed, d.now));
    await Promise.all(claims.map((claim) => d.settle(claim, fail())));
    d.world.now += 60_000;
    await d.put('a', 1);
    const oldest = async (): Promise<number | null> =>
      (await d.outbox.queueTotals()).oldestPendingAt;
    for (let looks = 0; looks < 3; looks++) await oldest();
    assert.equal(await oldest(), d.now);
    const [last] = await d.outbox.pageRows(BUCKET, { state: 'failed' }, null, 1);
    await d.outbox.retryRow(BUCKET, last!.sequence, d.now);
    const seen = new Set<number | null>();
    for (let looks = 0; looks < 4; looks++) seen.add(await oldest());
    // The retried row is found in time, and none that has failed is taken for it meanwhile.
    assert.deepEqual([...seen], [d.now, last!.createdAt]);
    await d.settle((await d.claim())!, complete(1));
    await d.settle((await d.claim())!, complete(1));
    assert.equal(await oldest(), null);
  });

  it('the oldest pending row is found where the only one is a failed one that came back', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settleIntent('a');
    await d.settle((await d.claim())!, fail(d.now + 60_000));
    await d.put('b', 1);
    assert.equal((await d.outbox.queueTotals()).oldestPendingAt, d.now);
    await d.rules([]);
    await d.sweep();
    await d.rules([{ n: RULE }]);
    d.world.now += 1_000;
    await d.settleIntent('a');
    const totals = { pending: 1, verifying: 0, failed: 0, oldestPendingAt: d.now };
    assert.deepEqual(await d.outbox.queueTotals(), totals);
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
