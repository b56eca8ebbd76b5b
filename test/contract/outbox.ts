/**
 * What every implementation of the outbox port must do. A test file of an implementation calls
 * {@link describeOutbox}; test/store/outbox-lockstep.test.ts compares two of them on random sequences.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BucketRef } from '../../src/host.ts';
import type { ClaimOutcome, ResyncJob } from '../../src/model/ports.ts';
import { ORDER_LAST, type Claim, type Row } from '../../src/model/row.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import { BUCKET, OutboxDriver, RECREATED, RULE, TARGET } from '../support/outbox-driver.ts';

const lastError = { reason: 'It failed.' };
const complete = (upTo: number, verifyAt: number | null = null): ClaimOutcome => ({
  kind: 'complete',
  upTo,
  verifyAt,
});
const retry = (
  nextAttemptAt: number,
  fields: Partial<Extract<ClaimOutcome, { kind: 'retry' }>> = {},
): ClaimOutcome => ({
  kind: 'retry',
  nextAttemptAt,
  lastError,
  compareFirst: false,
  asResolve: false,
  upload: null,
  ...fields,
});

export function describeOutbox(name: string, open: OpenOutbox): void {
  describe(`outbox: ${name}`, () => {
    enqueueing(open);
    order(open);
    outcomes(open);
    resolveRows(open);
    rulesAndTargets(open);
    gaps(open);
    leases(open);
    intents(open);
    retries(open);
    resyncs(open);
    upkeep(open);
  });
}

function enqueueing(open: OpenOutbox): void {
  it('a committed write is a row that is due at once, and shown', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const [row] = await d.put('a', 5);
    assert(row !== undefined);
    const { sequence, ...rest } = row;
    assert(sequence > 0);
    assert.deepEqual(rest, {
      lane: d.lane(),
      ruleset: [d.incarnation(RULE)],
      key: 'a',
      operation: 'put',
      versionId: 'v5',
      order: 5,
      state: 'pending',
      attempts: 0,
      nextAttemptAt: d.now,
      lastError: null,
      createdAt: d.now,
      failedAt: null,
      compareFirst: false,
      upload: null,
    });
    assert.deepEqual(await d.outbox.pageRows(BUCKET, {}, null, 10), [row]);
    assert.deepEqual(await d.outbox.findRow(BUCKET, sequence), row);
    assert.deepEqual(await d.outbox.lanes(), [d.lane()]);
    assert.equal(await d.outbox.nextDueAt(d.lane()), d.now);
  });

  it('keys of 1,024 bytes, with NUL and of every script', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const keys = ['x'.repeat(1_024), 'nul\0nul', 'ключ/鍵/🔑', ' ', '../..'];
    for (const [index, key] of keys.entries()) await d.put(key, index);
    const claims = await d.outbox.claim(d.epoch, d.lane(), 10, d.now);
    assert.deepEqual(new Set(claims.map(({ row }) => row.key)), new Set(keys));
  });

  it('pages are newest first, by state and rule', async (t) => {
    const d = await OutboxDriver.open(t, open);
    for (let n = 0; n < 7; n++) await d.put(`k${n}`, n);
    await d.failOne();
    const keys = async (...args: [object, number | null, number]): Promise<string[]> =>
      (await d.outbox.pageRows(BUCKET, ...args)).map(({ key }) => key);
    assert.deepEqual(await keys({}, null, 3), ['k6', 'k5', 'k4']);
    const third = (await d.outbox.pageRows(BUCKET, {}, null, 3)).at(-1)!;
    assert.deepEqual(await keys({}, third.sequence, 3), ['k3', 'k2', 'k1']);
    assert.deepEqual(await keys({ state: 'failed' }, null, 9), ['k0']);
    assert.deepEqual(await keys({ state: 'pending' }, null, 1), ['k6']);
    assert.deepEqual(await keys({ ruleIncarnation: 999 }, null, 9), []);
    assert.deepEqual(await keys({ ruleIncarnation: d.incarnation(RULE) }, null, 1), ['k6']);
  });
}

function order(open: OpenOutbox): void {
  it('one row of a key at a time, in the order of the events, however they arrive', async (t) => {
    const d = await OutboxDriver.open(t, open);
    for (const n of [20, 10, 30]) await d.put('a', n);
    const seen: number[] = [];
    for (let claim = await d.claim(); claim !== undefined; claim = await d.claim()) {
      seen.push(claim.row.order);
      assert.equal(claim.laterVersionWaits, claim.row.order < 30);
      assert.deepEqual(await d.outbox.claim(d.epoch, d.lane(), 9, d.now), [], 'the chain is busy');
      assert.equal(await d.outbox.nextDueAt(d.lane()), null);
      await d.settle(claim, complete(claim.row.order));
    }
    assert.deepEqual(seen, [10, 20, 30]);
  });

  it('an earlier event that arrives while a later one is in flight goes next', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 20);
    const claim = await d.claim();
    await d.put('a', 10);
    assert.equal(await d.claim(), undefined);
    await d.settle(claim!, retry(d.now));
    assert.equal((await d.claim())?.row.order, 10);
  });

  it('the longest due go first', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, retry(d.now + 50));
    for (const key of ['b', 'c']) {
      d.world.now += 20;
      await d.put(key, 1);
    }
    d.world.now += 100;
    const claims = await d.outbox.claim(d.epoch, d.lane(), 9, d.now);
    assert.deepEqual(
      claims.map(({ row }) => row.key),
      ['b', 'c', 'a'],
    );
  });
}

function outcomes(open: OpenOutbox): void {
  it('complete removes everything up to the order, failed rows too, and nothing later', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 10);
    await d.failOne();
    for (const n of [20, 30, 40]) await d.put('a', n);
    await d.put('b', 1);
    await d.settle((await d.claim())!, complete(30));
    const left = await d.outbox.pageRows(BUCKET, {}, null, 9);
    assert.deepEqual(
      left.map(({ key, order: n }) => [key, n]),
      [
        ['b', 1],
        ['a', 40],
      ],
    );
  });

  it('complete supersedes hundreds of rows', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const writes = Array.from({ length: 700 }, (_, n) => d.write('a', n));
    await d.outbox.commit(0, writes);
    assert.equal(await d.settle((await d.claim())!, complete(650)), true);
    assert.equal((await d.claim())?.row.order, 651);
    assert.equal((await d.status()).pending, 49);
  });

  it('retry comes back when it said, with what it learned', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const upload = { uploadId: 'u', versionId: 'v1', partBytes: 8 };
    await d.settle((await d.claim())!, retry(d.now + 100, { compareFirst: true, upload }));
    assert.equal(await d.claim(), undefined);
    assert.equal(await d.outbox.nextDueAt(d.lane()), d.now + 100);
    d.world.now += 100;
    const { row } = (await d.claim())!;
    assert.deepEqual(
      [row.attempts, row.lastError, row.compareFirst, row.upload],
      [1, lastError, true, upload],
    );
  });

  it('a failed row lets later ones go on', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.put('a', 2);
    await d.failOne();
    const [failed] = await d.outbox.pageRows(BUCKET, { state: 'failed' }, null, 9);
    assert.deepEqual([failed?.order, failed?.attempts, failed?.failedAt], [1, 1, d.now]);
    assert.equal((await d.claim())?.row.order, 2);
  });

  it('release is no try', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, { kind: 'release', compareFirst: true });
    const { row } = (await d.claim())!;
    assert.deepEqual([row.attempts, row.compareFirst], [0, true]);
  });

  it('an outcome counts once', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.put('a', 2);
    const claim = (await d.claim())!;
    assert.equal(await d.settle(claim, retry(d.now)), true);
    for (const outcome of [complete(9), retry(d.now), { kind: 'fail', lastError } as const]) {
      assert.equal(await d.settle(claim, outcome), false);
    }
    assert.equal((await d.status()).pending, 2);
  });
}

function resolveRows(open: OpenOutbox): void {
  it('a claim that comes back as resolve goes behind the others of its chain', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.put('a', 2);
    await d.settle(claim, retry(d.now, { asResolve: true }));
    const next = (await d.claim())!;
    assert.deepEqual([next.row.order, next.laterVersionWaits], [2, false]);
    await d.settle(next, complete(2));
    const { row } = (await d.claim())!;
    assert.deepEqual(
      [row.operation, row.versionId, row.order, row.sequence],
      ['resolve', null, ORDER_LAST, claim.row.sequence],
    );
  });

  it('a verification waits for its time and survives merging', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const at = d.now + 60_000;
    await d.settle((await d.claim())!, complete(1, at));
    await d.settleIntent('a');
    const rows = await d.outbox.pageRows(BUCKET, {}, null, 9);
    assert.deepEqual(
      rows.map(({ operation, nextAttemptAt, compareFirst }) => [
        operation,
        nextAttemptAt,
        compareFirst,
      ]),
      [['resolve', at, true]],
    );
    await d.outbox.retryRow(BUCKET, rows[0]!.sequence, d.now);
    assert.equal(await d.claim(), undefined, 'a request may still be applied');
    d.world.now = at;
    assert.equal((await d.claim())?.row.operation, 'resolve');
  });

  it('a resolve row that is in flight is no stand-in for a new one', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settleIntent('a');
    const claim = (await d.claim())!;
    await d.settleIntent('a');
    assert.equal((await d.status()).pending, 2);
    await d.settle(claim, complete(ORDER_LAST));
    const second = (await d.claim())!;
    assert.equal(second.row.operation, 'resolve');
    await d.settleIntent('a');
    await d.settle(second, retry(d.now + 5));
    assert.equal((await d.status()).pending, 1, 'both are one again');
  });
}

function rulesAndTargets(open: OpenOutbox): void {
  it('a disabled target is a pause', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.targets([{ n: 1, enabled: false }]);
    await d.put('a', 1);
    assert.equal(await d.claim(), undefined);
    assert.equal(await d.outbox.nextDueAt(d.lane()), null);
    await d.targets([{ n: 1 }]);
    assert.equal((await d.claim())?.row.key, 'a');
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
    assert.deepEqual(await d.status(), { pending: 0, failed: 0 });
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
    assert.deepEqual(await d.status(), { pending: 0, failed: 0 });
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
    await d.settle(claim, { kind: 'fail', lastError });
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
    await d.configurations.replaceTargets(RECREATED, [], { kind: 'any' });
    assert.equal(await d.claim(), undefined);
    const lane = { bucket: RECREATED, targetId: TARGET };
    assert.deepEqual(await d.outbox.claim(d.epoch, lane, 9, d.now), []);
    for (const bucket of [BUCKET, RECREATED]) {
      assert.deepEqual(await d.outbox.pageRows(bucket, {}, null, 9), []);
      assert.equal(await d.outbox.findRow(bucket, row!.sequence), null);
    }
    assert.deepEqual(await d.outbox.accessTarget(d.lane()), { kind: 'absent' });
    assert.deepEqual(await d.put('a', 2), [], 'an event of the old bucket');
  });
}

function gaps(open: OpenOutbox): void {
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

function leases(open: OpenOutbox): void {
  it('one process at a time, until it is dead, gives it back, or lets it expire', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const other = d.fixture.asProcess('other');
    assert.equal(await other.acquireLease(), null);
    await d.outbox.releaseLease(d.epoch);
    assert.equal(await d.outbox.renewLease(d.epoch), false);
    const second = (await other.acquireLease())!;
    assert(second > d.epoch);
    d.world.now += 10_000;
    assert.equal(await other.renewLease(second), true);
    d.world.now += 10_000;
    assert.equal(await d.outbox.acquireLease(), null);
    d.world.now += 10_000;
    const third = (await d.outbox.acquireLease())!;
    assert.equal(await other.renewLease(second), false);
    d.fixture.kill('self');
    assert((await other.acquireLease())! > third);
  });

  it('whoever lost the lease is refused, and its claims are compared first', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    d.fixture.kill('self');
    const other = d.fixture.asProcess('other');
    const epoch = (await other.acquireLease())!;
    const lost = { code: 'LeaseLost' };
    await assert.rejects(d.settle(claim, complete(1)), lost);
    await assert.rejects(d.outbox.claim(d.epoch, d.lane(), 1, d.now), lost);
    await assert.rejects(d.outbox.storeUpload(d.epoch, claim, null), lost);
    await assert.rejects(d.outbox.sweep(d.epoch, d.now), lost);
    assert.deepEqual(await other.claim(epoch, d.lane(), 1, d.now), []);
    await other.recoverClaims(epoch);
    const [again] = await other.claim(epoch, d.lane(), 1, d.now);
    assert.deepEqual([again?.row.key, again?.row.compareFirst], ['a', true]);
    assert.equal(await other.settleClaim(epoch, again!, complete(1)), true);
  });

  it('a claim of an earlier epoch is recovered, not settled; one of this epoch stays', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    const epoch = (await d.outbox.acquireLease())!;
    assert.equal(await d.outbox.settleClaim(epoch, claim, complete(1)), false);
    await d.outbox.recoverClaims(epoch);
    const [again] = await d.outbox.claim(epoch, d.lane(), 1, d.now);
    await d.outbox.recoverClaims(epoch);
    assert.deepEqual(await d.outbox.claim(epoch, d.lane(), 1, d.now), []);
    assert.equal(await d.outbox.settleClaim(epoch, again!, complete(1)), true);
  });

  it('an upload is stored with the claim', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    const upload = { uploadId: 'u', versionId: 'v1', partBytes: 8 };
    await d.outbox.storeUpload(d.epoch, claim, upload);
    assert.deepEqual((await d.outbox.findRow(BUCKET, claim.row.sequence))?.upload, upload);
    await d.settle(claim, complete(1));
    await assert.rejects(d.outbox.storeUpload(d.epoch, claim, upload), { code: 'LeaseLost' });
  });
}

function intents(open: OpenOutbox): void {
  it('those of dead processes are left, and only those', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const announced = [{ bucket: BUCKET, key: 'a', operation: 'put', before: null }] as const;
    const before = { versionId: 'v1', order: 1 };
    const other = d.fixture.asProcess('other');
    await d.outbox.announce(announced);
    const id = await other.announce([{ ...announced[0], before }]);
    const finished = await other.announce(announced);
    await other.abandon(finished);
    assert.deepEqual(await d.outbox.leftIntents(d.epoch), []);
    d.fixture.kill('other');
    assert.deepEqual(await d.outbox.leftIntents(d.epoch), [
      { id, writes: [{ ...announced[0], before }] },
    ]);
    await d.outbox.settle(d.epoch, id, []);
    assert.deepEqual(await d.outbox.leftIntents(d.epoch), []);
    assert.equal((await d.status()).pending, 0);
  });
}

function retries(open: OpenOutbox): void {
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
    assert.deepEqual(await d.status(), { pending: 1, failed: 1 });
    const [failed] = await d.outbox.pageRows(BUCKET, { state: 'failed' }, null, 9);
    await d.outbox.retryRow(BUCKET, failed!.sequence, d.now);
    assert.deepEqual(await d.status(), { pending: 1, failed: 0 });
    assert.equal((await d.claim())?.row.sequence, failed!.sequence);
  });

  it('all that match, and no row in flight', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.outbox.commit(
      0,
      Array.from({ length: 600 }, (_, n) => d.write(`k${n}`, n)),
    );
    const claims = await d.outbox.claim(d.epoch, d.lane(), 600, d.now);
    for (const claim of claims.slice(0, 300)) await d.settle(claim, { kind: 'fail', lastError });
    for (const claim of claims.slice(300, 590)) await d.settle(claim, retry(d.now + 9_999));
    assert.equal(await d.outbox.retryRows(BUCKET, { state: 'failed' }, d.now), 300);
    assert.deepEqual(await d.status(), { pending: 600, failed: 0 });
    assert.equal(await d.outbox.retryRows(BUCKET, {}, d.now), 590);
    assert.equal((await d.outbox.claim(d.epoch, d.lane(), 999, d.now)).length, 590);
  });
}

function resyncs(open: OpenOutbox): void {
  const advance = (
    d: OutboxDriver,
    job: ResyncJob,
    keys: string[],
    done = false,
  ): Promise<ResyncJob | null> =>
    d.outbox.advanceResync(d.epoch, job, keys, keys.at(-1) ?? null, done, d.now);

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

  it('one that was cancelled, or whose rule is gone, enqueues nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const job = (await d.outbox.startResync(BUCKET, d.ruleId(RULE), d.now))!;
    assert.equal(await d.outbox.cancelResync(BUCKET, d.ruleId(RULE), d.now), true);
    assert.equal(await d.outbox.cancelResync(BUCKET, d.ruleId(RULE), d.now), false);
    assert.equal((await advance(d, job, ['a']))?.state, 'cancelled');
    assert.deepEqual(await d.status(), { pending: 0, failed: 0 });
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

function upkeep(open: OpenOutbox): void {
  it('failed rows go after 7 days and leave a gap, but not in the first hour', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.failOne();
    d.world.now += 8 * 86_400_000;
    await d.sweep();
    assert.equal((await d.status()).failed, 1);
    d.world.uptimeMs = 3_600_000;
    await d.sweep();
    assert.deepEqual(await d.status(), { pending: 0, failed: 0 });
    assert.equal((await d.outbox.queueStatus(BUCKET)).gaps.length, 1);
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
    await d.outbox.clampSchedules(d.epoch, d.now);
    assert.equal(await d.outbox.nextDueAt(d.lane()), d.now + 3_600_000);
  });

  it('subscribers are told of what may have made work', async (t) => {
    const d = await OutboxDriver.open(t, open);
    let told = 0;
    const stop = d.outbox.subscribe(() => (told += 1));
    const expectTold = async (what: string, work: () => Promise<unknown>): Promise<void> => {
      const before = told;
      await work();
      await new Promise(setImmediate);
      assert(told > before, what);
    };
    await expectTold('commit', () => d.put('a', 1));
    const claim: Claim | undefined = await d.claim();
    let row: Row | null = null;
    await expectTold('retry', () => d.settle(claim!, retry(d.now + 10)));
    await expectTold('asked', async () => {
      row = await d.outbox.retryRow(BUCKET, claim!.row.sequence, d.now);
    });
    assert(row !== null);
    await expectTold('configuration', () => d.targets([{ n: 1 }]));
    stop();
    const before = told;
    await d.put('a', 2);
    assert.equal(told, before);
  });
}
