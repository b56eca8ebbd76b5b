/** The outbox contract: what lanes show, and when they are wanted to try anew. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HEALTHY, type LaneReport } from '../../src/model/lane-report.ts';
import type { LaneRef } from '../../src/model/row.ts';
import { ANY, targetDraft } from '../support/drafts.ts';
import { BUCKET, OutboxDriver, RECREATED, RULE, TARGET } from '../support/outbox-driver.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';

const LANE: LaneRef = { bucket: BUCKET, targetId: TARGET };

const OPEN: LaneReport = {
  breaker: 'open',
  retryAt: 1_700_000_005_000,
  lastError: { reason: 'The target refuses.', status: 403, code: 'AccessDenied', requestId: 'r1' },
  degraded: ['tags'],
};

export function lanes(open: OpenOutbox): void {
  it('a lane that never said anything is healthy', async (t) => {
    const d = await OutboxDriver.open(t, open);
    assert.deepEqual(await d.outbox.laneReport(LANE), HEALTHY);
    assert.deepEqual((await d.outbox.queueStatus(BUCKET)).lanes, [
      { targetId: TARGET, isSealed: false, report: HEALTHY },
    ]);
    assert.deepEqual((await d.outbox.queueStatus(RECREATED)).lanes, []);
  });

  it('what a lane says is shown in every process, whoever leads', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await say(d, OPEN);
    const other = d.fixture.asProcess('other');
    d.fixture.kill('self');
    await other.acquireLease();
    assert.deepEqual(await other.laneReport(LANE), OPEN);
    assert.deepEqual((await other.queueStatus(BUCKET)).lanes, [
      { targetId: TARGET, isSealed: false, report: OPEN },
    ]);
    await assert.rejects(say(d, HEALTHY), { code: 'LeaseLost' });
    assert.deepEqual(await other.laneReport(LANE), OPEN);
  });

  it('a target that is saved with other values, or enabled, is healthy again', async (t) => {
    const d = await OutboxDriver.open(t, open);
    let mark = await markOf(d);
    const save = async (isNew: boolean, ...drafts: Parameters<OutboxDriver['targets']>) => {
      await say(d, OPEN);
      await d.targets(...drafts);
      assert.deepEqual(await d.outbox.laneReport(LANE), isNew ? HEALTHY : OPEN);
      const next = await markOf(d);
      assert.equal(next !== mark, isNew);
      mark = next;
    };
    await save(true, [{ n: 1, region: 'elsewhere', newSecret: null }]);
    await save(false, [{ n: 1, region: 'elsewhere', newSecret: null }]);
    await save(false, [{ n: 1, region: 'elsewhere', newSecret: null, enabled: false }]);
    await save(true, [{ n: 1, region: 'elsewhere', newSecret: null }]);
    await save(true, [{ n: 1, region: 'elsewhere', newSecret: 'the same or another' }]);
    await save(true, [{ n: 1, region: 'elsewhere', newSecret: 'the same or another' }]);
    await save(false, [{ n: 1, region: 'elsewhere', newSecret: null }, { n: 2 }]);
    await d.rules([{ n: RULE, prefix: 'x' }]);
    assert.equal(await markOf(d), mark, 'rules are no matter of the target');
  });

  it('a report that was made under another mark is late', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const old = await markOf(d);
    await d.targets([{ n: 1, region: 'elsewhere' }]);
    await d.outbox.storeReport(d.epoch, LANE, old, OPEN);
    assert.deepEqual(await d.outbox.laneReport(LANE), HEALTHY);
    await say(d, OPEN);
    assert.deepEqual(await d.outbox.laneReport(LANE), OPEN);
  });

  it('goes with its target, and with its bucket', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await say(d, OPEN);
    await d.targets([]);
    await d.outbox.storeReport(d.epoch, LANE, 0, OPEN);
    await d.targets([{ n: 1 }]);
    assert.deepEqual(await d.outbox.laneReport(LANE), HEALTHY);
    await say(d, OPEN);
    await d.configurations.replaceTargets(RECREATED, [targetDraft(1)], ANY);
    for (const bucket of [BUCKET, RECREATED]) {
      assert.deepEqual(await d.outbox.laneReport({ ...LANE, bucket }), HEALTHY);
    }
    await d.configurations.removeBucket(RECREATED);
    await d.targets([{ n: 1 }]);
    assert.deepEqual(await d.outbox.laneReport(LANE), HEALTHY);
  });
}

async function say(d: OutboxDriver, report: LaneReport): Promise<void> {
  await d.outbox.storeReport(d.epoch, LANE, await markOf(d), report);
}

async function markOf({ outbox }: OutboxDriver, lane: LaneRef = LANE): Promise<number> {
  const access = await outbox.accessTarget(lane);
  assert(access.kind === 'usable');
  return access.retryMark;
}
