/** What every implementation of the outbox port must do; a test file of one calls {@link describeOutbox}. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ORDER_LAST } from '../../src/model/row.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import {
  BUCKET,
  OutboxDriver,
  RULE,
  complete,
  due,
  fail,
  lastError,
  retry,
} from '../support/outbox-driver.ts';
import { gaps, rulesAndTargets } from './outbox-configuration.ts';
import { claims } from './outbox-claims.ts';
import { lanes } from './outbox-lanes.ts';
import { numbers } from './outbox-numbers.ts';
import { refusals } from './outbox-refusals.ts';
import { strays } from './outbox-strays.ts';
import { verifications } from './outbox-verifications.ts';
import { intents, leases, resyncs, retries, upkeep } from './outbox-processes.ts';

export function describeOutbox(name: string, open: OpenOutbox): void {
  describe(`outbox: ${name}`, () => {
    enqueueing(open);
    order(open);
    outcomes(open);
    resolveRows(open);
    claims(open);
    refusals(open);
    verifications(open);
    rulesAndTargets(open);
    gaps(open);
    leases(open);
    intents(open);
    retries(open);
    resyncs(open);
    upkeep(open);
    numbers(open);
    lanes(open);
    strays(open);
  });
}

function enqueueing(open: OpenOutbox): void {
  it('a committed write is a row that is due at once, and shown', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const [queued] = await d.put('a', 5);
    assert(queued !== undefined);
    const { isSynchronous, ...row } = queued;
    assert.equal(isSynchronous, false);
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
      doubtUntil: null,
      refused: false,
      upload: null,
    });
    assert.deepEqual(await d.outbox.pageRows(BUCKET, {}, null, 10), [row]);
    assert.deepEqual(await d.outbox.findRow(BUCKET, sequence), row);
    assert.deepEqual(await d.outbox.lanes(), [d.lane()]);
    assert.deepEqual(await d.outbox.nextDueAt(d.lane()), { put: d.now, delete: null });
  });

  it('keys of 1,024 bytes, with NUL and of every script', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const keys = ['x'.repeat(1_024), 'nul\0nul', 'ключ/鍵/🔑', ' ', '../..'];
    for (const [index, key] of keys.entries()) await d.put(key, index);
    const claims = await d.tenure.claim(d.lane(), due(10, d.now));
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
      assert.deepEqual(await d.tenure.claim(d.lane(), due(9, d.now)), [], 'the chain is busy');
      assert.equal((await d.outbox.nextDueAt(d.lane())).put, null);
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
    const claims = await d.tenure.claim(d.lane(), due(9, d.now));
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
    const upload = { uploadId: 'u', versionId: 'v1', order: 1, partBytes: 8 };
    await d.settle(
      (await d.claim())!,
      retry(d.now + 100, { doubtUntil: d.now + 500, refused: true, upload }),
    );
    assert.equal(await d.claim(), undefined);
    assert.equal((await d.outbox.nextDueAt(d.lane())).put, d.now + 100);
    d.world.now += 100;
    const { row } = (await d.claim())!;
    assert.deepEqual(
      [row.attempts, row.lastError, row.doubtUntil, row.refused, row.upload],
      [1, lastError, d.now + 400, true, upload],
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
    await d.settle((await d.claim())!, { kind: 'release', doubtUntil: d.now + 5 });
    const { row } = (await d.claim())!;
    assert.deepEqual([row.attempts, row.doubtUntil], [0, d.now + 5]);
  });

  it('an outcome counts once', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.put('a', 2);
    const claim = (await d.claim())!;
    assert.equal(await d.settle(claim, retry(d.now)), true);
    for (const outcome of [complete(9), retry(d.now), fail()]) {
      assert.equal(await d.settle(claim, outcome), false);
    }
    assert.equal((await d.status()).pending, 2);
  });
}

function resolveRows(open: OpenOutbox): void {
  it('a claim that comes back as resolve keeps its row, behind versions that come later', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.settle(claim, retry(d.now, { asResolve: true }));
    await d.put('a', 2);
    const next = (await d.claim())!;
    assert.deepEqual([next.row.order, next.laterVersionWaits], [2, false]);
    await d.settle(next, complete(2));
    const { row } = (await d.claim())!;
    assert.deepEqual(
      [row.operation, row.versionId, row.order, row.sequence, row.attempts],
      ['resolve', null, ORDER_LAST, claim.row.sequence, 1],
    );
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
