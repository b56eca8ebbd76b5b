/** The outbox contract: processes and leases, and what is done to the queue beside deliveries. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LINGER_MS } from '../../src/model/delivery.ts';
import type { ResyncJob } from '../../src/model/queue.ts';
import type { Work } from '../../src/model/work.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import {
  BUCKET,
  OutboxDriver,
  RECREATED,
  RULE,
  complete,
  due,
  fail,
  retry,
} from '../support/outbox-driver.ts';

export function leases(open: OpenOutbox): void {
  it('one process at a time, until it is dead, gives it back, or lets it expire', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const other = d.fixture.asProcess('other');
    assert.equal(await other.acquireLease(), null);
    await d.tenure.release();
    assert.equal(await d.tenure.renew(), false);
    const second = (await other.acquireLease())!;
    assert(second.epoch > d.tenure.epoch);
    d.world.now += 10_000;
    assert.equal(await second.renew(), true);
    d.world.now += 10_000;
    assert.equal(await d.outbox.acquireLease(), null);
    d.world.now += 10_000;
    const third = (await d.outbox.acquireLease())!;
    assert.equal(await second.renew(), false);
    d.fixture.kill('self');
    assert((await other.acquireLease())!.epoch > third.epoch);
  });

  it('whoever lost the lease is refused, and its claims are in doubt', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    d.fixture.kill('self');
    const other = d.fixture.asProcess('other');
    const tenure = (await other.acquireLease())!;
    const lost = { code: 'LeaseLost' };
    await assert.rejects(d.settle(claim, complete(1)), lost);
    await assert.rejects(d.tenure.claim(d.lane(), due(1, d.now)), lost);
    await assert.rejects(d.tenure.storeUpload(claim, null), lost);
    await assert.rejects(d.tenure.sweep(d.now), lost);
    assert.deepEqual(await tenure.claim(d.lane(), due(1, d.now)), []);
    await tenure.recoverClaims();
    const [again] = await tenure.claim(d.lane(), due(1, d.now));
    assert.deepEqual([again?.row.key, again?.row.doubtUntil], ['a', d.now + LINGER_MS]);
    assert.equal(await tenure.settleClaim(again!, complete(1)), true);
  });

  it('a claim of an earlier epoch is recovered, not settled; one of this epoch stays', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    const tenure = (await d.outbox.acquireLease())!;
    assert.equal(await tenure.settleClaim(claim, complete(1)), false);
    await tenure.recoverClaims();
    const [again] = await tenure.claim(d.lane(), due(1, d.now));
    await tenure.recoverClaims();
    assert.deepEqual(await tenure.claim(d.lane(), due(1, d.now)), []);
    assert.equal(await tenure.settleClaim(again!, complete(1)), true);
  });

  it('hundreds of claims of a dead process are recovered', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.outbox.commit(
      0,
      Array.from({ length: 600 }, (_, n) => d.write(`k${n}`, n)),
    );
    assert.equal((await d.tenure.claim(d.lane(), due(999, d.now))).length, 600);
    const tenure = (await d.outbox.acquireLease())!;
    await tenure.recoverClaims();
    assert.equal((await tenure.claim(d.lane(), due(999, d.now))).length, 600);
  });

  it('whatever is claimed soon after the start of the operating system may have been sent before', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.put('a', 2);
    d.world.bootedForMs = LINGER_MS - 1;
    const first = (await d.claim())!;
    assert.equal(first.row.doubtUntil, d.now + 1);
    await d.settle(first, complete(1, null, d.now + 1));
    d.world.now += 1;
    d.world.bootedForMs = LINGER_MS;
    assert.equal((await d.claim())?.row.doubtUntil, null);
  });

  it('an upload is stored with the claim', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    const upload = { uploadId: 'u', versionId: 'v1', order: 1, partBytes: 8 };
    assert.equal(await d.tenure.storeUpload(claim, upload), true);
    assert.deepEqual((await d.outbox.findRow(BUCKET, claim.row.sequence))?.upload, upload);
    await d.settle(claim, complete(1));
    assert.equal(await d.tenure.storeUpload(claim, upload), false);
  });
}

export function intents(open: OpenOutbox): void {
  it('those of dead processes are left, and only those', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const announced = [{ bucket: BUCKET, key: 'a', operation: 'put', before: null }] as const;
    const before = { versionId: 'v1', order: 1 };
    const other = d.fixture.asProcess('other');
    await d.outbox.announce(announced);
    const { intent: id } = await other.announce([{ ...announced[0], before }]);
    const { intent: finished } = await other.announce(announced);
    await other.abandon(finished);
    const { intent: done } = await other.announce(announced);
    await other.commit(done, []);
    assert.deepEqual(await d.tenure.leftIntents(), []);
    d.fixture.kill('other');
    assert.deepEqual(await d.tenure.leftIntents(), [{ id, writes: [{ ...announced[0], before }] }]);
    await d.tenure.settle(id, []);
    assert.deepEqual(await d.tenure.leftIntents(), []);
    assert.equal((await d.status()).pending, 0);
  });
}

export function retries(open: OpenOutbox): void {
  it('a failed row is tried again in its place', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.failOne();
    await d.put('a', 2);
    const [failed] = await d.outbox.pageRows(BUCKET, { state: 'failed' }, null, 9);
    const row = await d.outbox.retryRow(BUCKET, failed!.sequence, d.now);
    assert.deepEqual([row?.state, row?.attempts, row?.failedAt], ['pending', 0, null]);
    assert.equal((await d.claim())?.row.order, 1);
    assert.equal(await d.outbox.retryRow(BUCKET, 12_345, d.now), null);
    assert.equal(await d.outbox.retryRow(RECREATED, failed!.sequence, d.now), null);
  });

  it('a failed resolve row takes in the one that came after it', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settleIntent('a');
    await d.failOne();
    await d.settleIntent('a');
    assert.deepEqual(await d.status(), { pending: 1, verifying: 0, failed: 1 });
    const [failed] = await d.outbox.pageRows(BUCKET, { state: 'failed' }, null, 9);
    await d.outbox.retryRow(BUCKET, failed!.sequence, d.now);
    assert.deepEqual(await d.status(), { pending: 1, verifying: 0, failed: 0 });
    assert.equal((await d.claim())?.row.sequence, failed!.sequence);
  });

  it('all that match, and no row in flight', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.outbox.commit(
      0,
      Array.from({ length: 600 }, (_, n) => d.write(`k${n}`, n)),
    );
    const claims = await d.tenure.claim(d.lane(), due(600, d.now));
    for (const claim of claims.slice(0, 300)) await d.settle(claim, fail());
    for (const claim of claims.slice(300, 590)) await d.settle(claim, retry(d.now + 9_999));
    assert.equal(await d.outbox.retryRows(BUCKET, { state: 'failed' }, d.now), 300);
    assert.deepEqual(await d.status(), { pending: 600, verifying: 0, failed: 0 });
    assert.equal(await d.outbox.retryRows(BUCKET, {}, d.now), 590);
    assert.equal((await d.tenure.claim(d.lane(), due(999, d.now))).length, 590);
  });
}

export function resyncs(open: OpenOutbox): void {
  const advance = (
    d: OutboxDriver,
    job: ResyncJob,
    keys: string[],
    done = false,
  ): Promise<ResyncJob | null> =>
    d.tenure.advanceResync(job, keys, keys.at(-1) ?? null, done, d.now);

  it('runs once at a time, counts, and ends', async (t) => {
    const d = await OutboxDriver.open(t, open);
    assert.equal(await d.outbox.readResync(BUCKET, d.ruleId(RULE)), null);
    const job = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    assert.equal(await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now), null);
    assert.deepEqual(await d.outbox.runningResyncs(), [job]);
    const moved = (await advance(d, job, ['a', 'b']))!;
    assert.deepEqual([moved.scanned, moved.enqueued, moved.cursor], [2, 2, 'b']);
    const ended = (await advance(d, moved, [], true))!;
    assert.deepEqual([ended.state, ended.cursor, ended.finishedAt], ['completed', 'b', d.now]);
    assert.deepEqual(await d.outbox.runningResyncs(), []);
    const rows = await d.outbox.pageRows(BUCKET, {}, null, 9);
    assert.deepEqual(
      rows.map(({ key, operation }) => [key, operation]),
      [
        ['b', 'resolve'],
        ['a', 'resolve'],
      ],
    );
  });

  it('clears the gap of before, not one of meanwhile', async (t) => {
    const d = await OutboxDriver.open(t, open);
    d.world.isDiskLow = true;
    await d.put('a', 1);
    d.world.isDiskLow = false;
    const first = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    await advance(d, first, ['a'], true);
    assert.deepEqual((await d.outbox.queueStatus(BUCKET)).gaps, []);
    const second = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    d.world.isDiskLow = true;
    await d.put('a', 2);
    await advance(d, second, [], true);
    assert.equal((await d.outbox.queueStatus(BUCKET)).gaps.length, 1);
  });

  it('does not clear the gap of a delete: no listing shows what is gone', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.rules([{ n: RULE, replicateDeletes: true }]);
    d.world.isDiskLow = true;
    await d.remove('a', 1);
    d.world.isDiskLow = false;
    const job = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    assert.equal((await advance(d, job, [], true))?.state, 'completed');
    assert.equal((await d.outbox.queueStatus(BUCKET)).gaps.length, 1);
  });

  it('one that was cancelled, or whose rule is gone, enqueues nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const job = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    assert.equal(await d.outbox.cancelResync(BUCKET, d.ruleId(RULE), d.now), true);
    assert.equal(await d.outbox.cancelResync(BUCKET, d.ruleId(RULE), d.now), false);
    assert.equal((await advance(d, job, ['a']))?.state, 'cancelled');
    assert.deepEqual(await d.status(), { pending: 0, verifying: 0, failed: 0 });
    const again = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    assert.equal(await advance(d, job, ['a']), null, 'an earlier run');
    await d.rules([]);
    assert.equal(await advance(d, again, ['a']), null);
    assert.deepEqual(await d.outbox.runningResyncs(), []);
    assert.deepEqual(await d.outbox.pageRows(BUCKET, {}, null, 9), []);
  });

  it('a new rule that asks for what exists starts one by itself', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.rules([{ n: RULE }, { n: 8, replicateExisting: true }]);
    const [job] = await d.outbox.runningResyncs();
    assert.equal(job?.ruleId, d.ruleId(8));
    await d.rules([{ n: RULE }, { n: 8, replicateExisting: true, prefix: 'x' }]);
    assert.deepEqual(await d.outbox.runningResyncs(), [job]);
  });
}

export function upkeep(open: OpenOutbox): void {
  it('failed rows go after 7 days and leave a gap, but not in the first hour', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.failOne();
    d.world.now += 8 * 86_400_000;
    await d.sweep();
    assert.equal((await d.status()).failed, 1, 'in the first hour');
    d.world.uptimeMs = 3_600_000;
    d.world.now -= 86_400_000 + 1;
    await d.sweep();
    assert.equal((await d.status()).failed, 1, 'before their time');
    d.world.now += 1;
    await d.sweep();
    assert.deepEqual(await d.status(), { pending: 0, verifying: 0, failed: 0 });
    assert.equal((await d.outbox.queueStatus(BUCKET)).gaps.length, 1);
  });

  it('a delete that expires is lost to a resync', async (t) => {
    const d = await OutboxDriver.open(t, open);
    d.world.uptimeMs = 3_600_000;
    await d.rules([{ n: RULE, replicateDeletes: true }]);
    await d.remove('a', 1);
    await d.failOne();
    d.world.now += 8 * 86_400_000;
    await d.sweep();
    const { gaps } = await d.outbox.queueStatus(BUCKET);
    assert.deepEqual(
      gaps.map(({ deleteLost }) => deleteLost),
      [true],
    );
  });

  it('a row in flight outlives its rule until the claim ends', async (t) => {
    const d = await OutboxDriver.open(t, open);
    for (let n = 0; n < 300; n++) await d.put(`k${n}`, n);
    const claim = (await d.claim())!;
    await d.rules([]);
    await d.sweep();
    assert.equal(await d.settle(claim, retry(d.now)), true);
    await d.sweep();
    assert.equal(await d.settle(claim, retry(d.now)), false);
  });

  it('schedules of a clock that ran ahead come back', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    d.world.now += 90 * 86_400_000;
    await d.settle((await d.claim())!, retry(d.now + 1_000));
    d.world.now -= 90 * 86_400_000;
    await d.tenure.clampSchedules(d.now);
    assert.equal((await d.outbox.nextDueAt(d.lane())).put, d.now + 3_600_000);
  });

  it('subscribers are told of what may have made work, and where', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const told: Work[] = [];
    const stop = d.outbox.subscribe((work) => told.push(work));
    const toldOf = async (work: () => Promise<unknown>): Promise<Work[]> => {
      told.length = 0;
      await work();
      await new Promise(setImmediate);
      return [...told];
    };
    const ofLane: Work[] = [{ kind: 'lanes', lanes: [d.lane()] }];
    const isOfBucket = (work: Work): boolean =>
      work.kind === 'bucket' && work.bucket.id === BUCKET.id && work.bucket.name === BUCKET.name;
    assert.deepEqual(await toldOf(() => d.put('a', 1)), ofLane);
    const claim = (await d.claim())!;
    assert.deepEqual(await toldOf(() => d.settle(claim, retry(d.now + 10))), []);
    const { sequence } = claim.row;
    assert.deepEqual(await toldOf(() => d.outbox.retryRow(BUCKET, sequence, d.now)), ofLane);
    const asked: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['a retry of many', () => d.outbox.retryRows(BUCKET, {}, d.now)],
      ['a configuration', () => d.targets([{ n: 1, region: 'elsewhere' }])],
    ];
    for (const [name, work] of asked) {
      const works = await toldOf(work);
      assert.ok(works.length > 0 && works.every(isOfBucket), name);
    }
    assert.deepEqual(await d.outbox.lanes(BUCKET), [d.lane()]);
    assert.deepEqual(await d.outbox.lanes({ id: 'another', name: BUCKET.name }), []);
    stop();
    assert.deepEqual(await toldOf(() => d.put('a', 2)), []);
  });
}
