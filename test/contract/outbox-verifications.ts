/** The outbox contract: a request that may be applied late is looked after, whatever becomes of its row. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LINGER_MS } from '../../src/model/delivery.ts';
import { ORDER_LAST } from '../../src/model/row.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import { BUCKET, OutboxDriver, RULE, complete, fail, retry } from '../support/outbox-driver.ts';

const HOUR_MS = 3_600_000;
const LOOK = ['resolve', 'verifying', LINGER_MS, LINGER_MS];

export function verifications(open: OpenOutbox): void {
  doubts(open);
  looks(open);
  rulesThatGo(open);
}

/** What is queued and shown: operation, state, milliseconds until it is due and until its doubt is over. */
async function queued(d: OutboxDriver): Promise<unknown[]> {
  return (await d.outbox.pageRows(BUCKET, {}, null, 9)).map((row) => [
    row.operation,
    row.state,
    row.nextAttemptAt - d.now,
    row.doubtUntil === null ? null : row.doubtUntil - d.now,
  ]);
}

/** The first row under the rule that matches, tried, and answered by nobody knows what. */
async function leaveInDoubt(d: OutboxDriver, asResolve = false): Promise<void> {
  await d.put('a', 1);
  const fields = { doubtUntil: d.now + LINGER_MS, asResolve };
  await d.settle((await d.claim())!, retry(d.now + HOUR_MS, fields));
}

async function deliver(d: OutboxDriver, order: number): Promise<void> {
  await d.put('a', order);
  const claim = (await d.claim())!;
  assert.equal(claim.row.order, order);
  await d.settle(claim, complete(order, null, d.now));
}

/** A key whose only row verifies. */
async function leaveLook(d: OutboxDriver): Promise<void> {
  await d.put('a', 1);
  await d.leaveInDoubt(d.now + LINGER_MS);
  await d.settle((await d.claim())!, complete(1, null, d.now));
  assert.deepEqual(await queued(d), [LOOK]);
}

function doubts(open: OpenOutbox): void {
  for (const [sinceDoubtMs, left] of [
    [-1, ['verifying']],
    [0, []],
    [1, []],
  ] as const) {
    it(`what was sent ${sinceDoubtMs} ms after the doubt was over`, async (t) => {
      const d = await OutboxDriver.open(t, open);
      await d.put('a', 1);
      const doubtUntil = d.now + 1_000;
      await d.leaveInDoubt(doubtUntil);
      const claim = (await d.claim())!;
      d.world.now += 5_000;
      await d.settle(claim, complete(1, null, doubtUntil + sinceDoubtMs));
      const states = (await d.outbox.pageRows(BUCKET, {}, null, 9)).map(({ state }) => state);
      assert.deepEqual(states, left);
    });
  }

  it('a doubt by a clock that ran ahead lasts for two hours at most', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.leaveInDoubt(d.now + 90 * 24 * HOUR_MS);
    const claim = (await d.claim())!;
    assert.equal(claim.row.doubtUntil, d.now + 2 * HOUR_MS);
    await d.settle(claim, complete(1, null, d.now));
    d.world.now += 2 * HOUR_MS;
    assert.equal((await d.claim())?.row.state, 'verifying');
  });

  it('a failed row in doubt that is superseded leaves a look at the key', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail(d.now + LINGER_MS));
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [LOOK]);
  });

  it('one that was in no doubt, or no longer, leaves nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail());
    await deliver(d, 2);
    assert.deepEqual(await queued(d), []);
    await d.put('a', 3);
    await d.settle((await d.claim())!, fail(d.now + LINGER_MS));
    d.world.now += LINGER_MS;
    await deliver(d, 4);
    assert.deepEqual(await queued(d), []);
  });

  it('hundreds in doubt leave one look, when the longest doubt is over', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 0);
    await d.settle((await d.claim())!, fail(d.now + LINGER_MS));
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail(d.now + LINGER_MS / 2));
    await d.outbox.commit(
      0,
      Array.from({ length: 600 }, (_, n) => d.write('a', n + 2)),
    );
    await d.settle((await d.claim())!, complete(601, null, d.now));
    assert.deepEqual(await queued(d), [LOOK]);
  });
}

function looks(open: OpenOutbox): void {
  it('a verification waits for its time, also when a retry is asked for', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    const [row] = await d.outbox.pageRows(BUCKET, {}, null, 9);
    await d.outbox.retryRow(BUCKET, row!.sequence, d.now);
    await d.outbox.retryRows(BUCKET, { state: 'verifying' }, d.now);
    assert.deepEqual(await queued(d), [LOOK], 'a request may still be applied');
    assert.equal(await d.claim(), undefined);
    d.world.now += LINGER_MS;
    const claim = (await d.claim())!;
    assert.deepEqual([claim.row.operation, claim.row.state], ['resolve', 'verifying']);
    await d.settle(claim, complete(ORDER_LAST - 1, null, d.now));
    assert.deepEqual(await queued(d), []);
  });

  it('a look that could not be taken stays one', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    d.world.now += LINGER_MS;
    await d.settle((await d.claim())!, retry(d.now + 1_000));
    assert.deepEqual(await queued(d), [['resolve', 'verifying', 1_000, null]]);
    const [row] = await d.outbox.pageRows(BUCKET, {}, null, 9);
    const again = await d.outbox.retryRow(BUCKET, row!.sequence, d.now);
    assert.deepEqual(again?.state, 'verifying');
    assert.equal((await d.claim())?.row.sequence, row!.sequence, 'no doubt is left to wait for');
  });

  it('a verification is not counted as pending, and ages nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    assert.deepEqual(await d.status(), { pending: 0, verifying: 1, failed: 0 });
    assert.deepEqual((await d.outbox.queueStatus(BUCKET)).oldest, []);
    const totals = { pending: 0, verifying: 1, failed: 0, oldestPendingAt: null };
    assert.deepEqual(await d.outbox.queueTotals(), totals);
    assert.deepEqual(await d.outbox.lanes(), [d.lane()], 'there is something to wait for');
    assert.equal((await d.outbox.nextDueAt(d.lane())).put, d.now + LINGER_MS);
    d.world.now += 1_000;
    await d.put('b', 2);
    const { oldest } = await d.outbox.queueStatus(BUCKET);
    assert.deepEqual(
      oldest.map(({ createdAt }) => createdAt),
      [d.now],
    );
    assert.equal((await d.outbox.queueTotals()).oldestPendingAt, d.now);
  });

  it('verifications are found by their state, and shown as failed without their target', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    await d.put('b', 2);
    const keys = async (state: 'pending' | 'verifying' | 'failed'): Promise<string[]> =>
      (await d.outbox.pageRows(BUCKET, { state }, null, 9)).map(({ key }) => key);
    assert.deepEqual(await keys('verifying'), ['a']);
    assert.deepEqual(await keys('pending'), ['b']);
    assert.deepEqual(await keys('failed'), []);
    await d.targets([]);
    assert.deepEqual(await keys('verifying'), []);
    assert.deepEqual(await keys('failed'), ['b', 'a']);
  });

  it('a version that arrives while its key is verifying is due at once, and the look stays', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    d.world.now += 1_000;
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [
      ['resolve', 'verifying', LINGER_MS - 1_000, LINGER_MS - 1_000],
    ]);
  });

  it('a change that nobody knows more of makes work of the look, at once and as young as it', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    d.world.now += 1_000;
    await d.settleIntent('a');
    const left = LINGER_MS - 1_000;
    assert.deepEqual(await queued(d), [['resolve', 'pending', 0, left]]);
    assert.equal((await d.outbox.queueTotals()).oldestPendingAt, d.now);
    const claim = (await d.claim())!;
    assert.equal(claim.row.doubtUntil, d.now + left);
    await d.settle(claim, complete(ORDER_LAST - 1, null, d.now));
    assert.deepEqual(await queued(d), [['resolve', 'verifying', left, left]], 'and looks again');
  });

  it('a look that becomes due puts off no work that waits, and brings it no sooner', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settleIntent('a');
    await d.settle((await d.claim())!, retry(d.now + 100));
    const [resolve] = await d.outbox.pageRows(BUCKET, {}, null, 9);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail(d.now + LINGER_MS));
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [['resolve', 'pending', 100, LINGER_MS]]);
    const [merged] = await d.outbox.pageRows(BUCKET, {}, null, 9);
    assert.deepEqual(
      [merged?.sequence, merged?.attempts, merged?.createdAt],
      [resolve?.sequence, 1, resolve?.createdAt],
    );
  });

  it('work that arrives while the look is taken is due when that comes back', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    d.world.now += LINGER_MS;
    const claim = (await d.claim())!;
    await d.settleIntent('a');
    await d.settle(claim, retry(d.now + HOUR_MS, { doubtUntil: d.now + LINGER_MS }));
    assert.deepEqual(await queued(d), [['resolve', 'pending', 0, LINGER_MS]]);
    assert.equal((await d.claim())?.row.sequence, claim.row.sequence);
  });
}

function rulesThatGo(open: OpenOutbox): void {
  for (const asResolve of [false, true]) {
    const what = asResolve ? 'row for whatever is current' : 'version';
    it(`a ${what} in doubt under a disabled rule, passed by another rule’s delivery`, async (t) => {
      const d = await OutboxDriver.open(t, open);
      await leaveInDoubt(d, asResolve);
      await d.rules([{ n: RULE, enabled: false }, { n: 7 }]);
      await deliver(d, 2);
      assert.deepEqual(
        (await queued(d)).map((row) => (row as unknown[])[3]),
        [LINGER_MS],
      );
      d.world.now += LINGER_MS;
      assert.equal((await d.claim())?.row.operation, 'resolve');
    });

    for (const sweeps of [false, true]) {
      const when = sweeps ? 'swept' : 'not swept yet';
      it(`a ${what} in doubt of a rule that was removed and comes back, ${when}`, async (t) => {
        const d = await OutboxDriver.open(t, open);
        await leaveInDoubt(d, asResolve);
        await d.rules([]);
        if (sweeps) await d.sweep();
        await d.rules([{ n: RULE }]);
        assert.deepEqual(await queued(d), []);
        await deliver(d, 2);
        assert.equal((await queued(d)).length, 1);
        d.world.now += LINGER_MS;
        await d.settle((await d.claim())!, complete(2, null, d.now));
        assert.deepEqual(await queued(d), []);
      });
    }
  }

  it('a row in flight whose rule was removed and came back, delivered in doubt', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.leaveInDoubt(d.now + LINGER_MS);
    const claim = (await d.claim())!;
    await d.rules([]);
    await d.rules([{ n: RULE }]);
    await d.settle(claim, complete(1, null, d.now));
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [LOOK]);
  });

  it('the same, ended without an answer', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.rules([]);
    await d.rules([{ n: RULE }]);
    await d.put('a', 2);
    await d.settle(claim, retry(d.now, { doubtUntil: d.now + LINGER_MS }));
    const next = (await d.claim())!;
    assert.equal(next.row.order, 2);
    await d.settle(next, complete(2, null, d.now));
    assert.deepEqual(await queued(d), [LOOK]);
  });

  it('a look that was tried in vain is in doubt again when its rule goes', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveLook(d);
    d.world.now += LINGER_MS;
    await d.settle((await d.claim())!, { kind: 'release', doubtUntil: d.now + LINGER_MS });
    await d.rules([]);
    await d.sweep();
    await d.rules([{ n: RULE }]);
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [LOOK]);
  });

  it('where no rule comes back, nothing is left once no request can be applied', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveInDoubt(d);
    await d.rules([]);
    await d.sweep();
    assert.equal((await d.outbox.queueTotals()).verifying, 1);
    d.world.now += LINGER_MS - 1;
    await d.sweep();
    assert.equal((await d.outbox.queueTotals()).verifying, 1);
    d.world.now += 1;
    await d.sweep();
    assert.equal((await d.outbox.queueTotals()).verifying, 0);
  });
}
