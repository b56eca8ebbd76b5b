/** The outbox contract: what lanes show, and when they are wanted to try anew. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { HEALTHY, type LaneReport } from '../../src/model/lane-report.ts';
import type { RowFilter } from '../../src/model/queue.ts';
import type { LaneRef } from '../../src/model/row.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { BUCKET, OutboxDriver, RECREATED, RULE, TARGET } from '../support/outbox-driver.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import { uuid } from '../support/replication-bodies.ts';

const LANE: LaneRef = { bucket: BUCKET, targetId: TARGET };

/** Within it, requests for a retry count once. */
const SECOND_MS = 1_000;

const OPEN: LaneReport = {
  breaker: 'open',
  retryAt: 1_700_000_005_000,
  connecting: true,
  lastError: { reason: 'The target refuses.', status: 403, code: 'AccessDenied', requestId: 'r1' },
  degraded: ['tags', 'deletes'],
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

  it('very many lanes with rows are all listed, each once', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const refs: LaneRef[] = [];
    for (let n = 0; n < 100; n++) {
      const bucket = { id: `bucket-${n}`, name: `name-${n}` };
      await d.configurations.replaceTargets(bucket, [targetDraft(1)], ANY);
      const rules = [ruleDraft(1), ruleDraft(2, { prefix: 'b' })];
      await d.configurations.replaceRules(bucket, rules, ANY);
      // Under another set of rules each.
      for (const key of ['a', 'b']) {
        const write = { ...d.write(key, n + 1), bucket };
        const announced = { bucket, key, operation: 'put', before: null } as const;
        const { intent } = await d.outbox.announce([announced]);
        await d.outbox.commit(intent, [write]);
      }
      refs.push({ bucket, targetId: TARGET });
    }
    let othersWent = false;
    const listed = d.outbox.lanes();
    setImmediate(() => (othersWent = true));
    assert.deepEqual(await listed, refs);
    assert.ok(othersWent, 'it takes more than one turn of the event loop');
    assert.deepEqual(await d.outbox.lanes(refs[70]?.bucket), [refs[70]]);
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
    await save(true, [{ n: 1, region: 'elsewhere', newSecret: 'another' }]);
    await save(false, [{ n: 1, region: 'elsewhere', newSecret: 'another' }]);
    const exempt = { region: 'elsewhere', newSecret: null, exemptKinds: ['private'] };
    await save(true, [{ n: 1, ...exempt }]);
    await save(false, [{ n: 1, ...exempt }]);
    await save(true, [{ n: 1, ...exempt, exemptKinds: [] }]);
    await save(false, [{ n: 1, region: 'elsewhere', newSecret: null }, { n: 2 }]);
    await d.rules([{ n: RULE, prefix: 'x' }]);
    assert.equal(await markOf(d), mark, 'rules are no matter of the target');
  });

  it('a report that was made under another mark is late', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const old = await markOf(d);
    await d.targets([{ n: 1, region: 'elsewhere' }]);
    await d.tenure.storeReport(LANE, old, OPEN);
    assert.deepEqual(await d.outbox.laneReport(LANE), HEALTHY);
    await say(d, OPEN);
    assert.deepEqual(await d.outbox.laneReport(LANE), OPEN);
  });

  it('a retry of one row is asked of its lane, in flight or not', async (t) => {
    const { d, marks } = await twoLanes(t, open);
    const [row] = await d.put('a', 1);
    await say(d, OPEN);
    const before = await marks();
    await d.outbox.retryRow(BUCKET, row!.sequence, d.now);
    const first = await marks();
    assert.deepEqual(changed(before, first), [true, false]);
    assert.deepEqual(await d.outbox.laneReport(LANE), { ...OPEN, degraded: [] });
    await d.claim();
    d.world.now += SECOND_MS;
    await d.outbox.retryRow(BUCKET, row!.sequence, d.now);
    const second = await marks();
    assert.deepEqual(changed(first, second), [true, false]);
    d.world.now += SECOND_MS;
    await d.outbox.retryRow(BUCKET, 12_345, d.now);
    await d.outbox.retryRow(RECREATED, row!.sequence, d.now);
    assert.deepEqual(await marks(), second);
  });

  it('a retry of many is asked of every lane that it covers, also without rows', async (t) => {
    const { d, marks } = await twoLanes(t, open);
    const none = [false, false];
    const both = [true, true];
    const expectMarks = async (filter: RowFilter, expected: unknown): Promise<void> => {
      d.world.now += SECOND_MS;
      const before = await marks();
      assert.equal(await d.outbox.retryRows(BUCKET, filter, d.now), 0);
      assert.deepEqual(changed(before, await marks()), expected);
    };
    await expectMarks({ state: 'failed' }, both);
    await expectMarks({}, both);
    await expectMarks({ ruleIncarnation: d.incarnation(RULE) }, [true, false]);
    await expectMarks({ state: 'pending', ruleIncarnation: d.incarnation(6) }, [false, true]);
    await expectMarks({ ruleIncarnation: 999 }, none);
    d.world.now += SECOND_MS;
    const before = await marks();
    assert.equal(await d.outbox.retryRows(RECREATED, {}, d.now), 0);
    assert.deepEqual(await marks(), before);
  });

  it('each request sets a mark of its own, however soon after the one before', async (t) => {
    const { d, marks } = await twoLanes(t, open);
    await d.outbox.retryRows(BUCKET, {}, d.now);
    const before = await marks();
    await d.outbox.retryRows(BUCKET, {}, d.now);
    assert.deepEqual(changed(before, await marks()), [true, true]);
  });

  it('a resync is asked of its lane too', async (t) => {
    const { d, marks } = await twoLanes(t, open);
    const before = await marks();
    await d.outbox.startResync(BUCKET, d.ruleId(6), d.now);
    const started = await marks();
    assert.deepEqual(changed(before, started), [false, true]);
    assert.equal(await d.outbox.startResync(BUCKET, d.ruleId(6), d.now), null);
    assert.deepEqual(await marks(), started);
  });

  it('goes with its target, and with its bucket', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await say(d, OPEN);
    await d.targets([]);
    await d.tenure.storeReport(LANE, 0, OPEN);
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

/** Rule 6 is of target 2. */
async function twoLanes(t: Parameters<OpenOutbox>[0], open: OpenOutbox) {
  const d = await OutboxDriver.open(t, open);
  await d.targets([{ n: 1, newSecret: null }, { n: 2 }]);
  await d.rules([{ n: RULE }, { n: 6, targetId: uuid(2), prefix: 'b' }]);
  const marks = (): Promise<number[]> =>
    Promise.all([TARGET, uuid(2)].map((targetId) => markOf(d, { bucket: BUCKET, targetId })));
  return { d, marks };
}

function changed(before: readonly number[], after: readonly number[]): boolean[] {
  return after.map((mark, index) => mark !== before[index]);
}

async function say(d: OutboxDriver, report: LaneReport): Promise<void> {
  await d.tenure.storeReport(LANE, await markOf(d), report);
}

async function markOf({ outbox }: OutboxDriver, lane: LaneRef = LANE): Promise<number> {
  const access = await outbox.accessTarget(lane);
  assert(access.kind === 'usable');
  return access.retryMark;
}
