/** The outbox contract: a request that may be applied late is looked after, whatever becomes of its row. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LINGER_MS } from '../../src/model/delivery.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';
import { BUCKET, OutboxDriver, RULE, complete, fail, retry } from '../support/outbox-driver.ts';

const HOUR_MS = 3_600_000;

export function verifications(open: OpenOutbox): void {
  /** What is queued and shown: operation, milliseconds until it is due, whether it is in doubt. */
  const queued = async (d: OutboxDriver): Promise<unknown[]> =>
    (await d.outbox.pageRows(BUCKET, {}, null, 9)).map((row) => [
      row.operation,
      row.nextAttemptAt - d.now,
      row.compareFirst,
    ]);
  const look = ['resolve', LINGER_MS, true];

  /** The first row under the rule that matches, tried, and answered by nobody knows what. */
  const leaveInDoubt = async (d: OutboxDriver, asResolve = false): Promise<void> => {
    await d.put('a', 1);
    const outcome = retry(d.now + HOUR_MS, { compareFirst: true, asResolve });
    await d.settle((await d.claim())!, outcome);
  };

  const deliver = async (d: OutboxDriver, order: number): Promise<void> => {
    await d.put('a', order);
    const claim = (await d.claim())!;
    assert.equal(claim.row.order, order);
    await d.settle(claim, complete(order));
  };

  it('a failed row in doubt that is superseded leaves a look at the key', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail(true));
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [look]);
  });

  it('one that was in no doubt leaves nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail());
    await deliver(d, 2);
    assert.deepEqual(await queued(d), []);
  });

  it('hundreds in doubt leave one', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 0);
    await d.settle((await d.claim())!, fail(true));
    await d.outbox.commit(
      0,
      Array.from({ length: 600 }, (_, n) => d.write('a', n + 1)),
    );
    await d.settle((await d.claim())!, complete(600));
    assert.deepEqual(await queued(d), [look]);
  });

  for (const asResolve of [false, true]) {
    const what = asResolve ? 'row for whatever is current' : 'version';
    it(`a ${what} in doubt under a disabled rule, passed by another rule’s delivery`, async (t) => {
      const d = await OutboxDriver.open(t, open);
      await leaveInDoubt(d, asResolve);
      await d.rules([{ n: RULE, enabled: false }, { n: 7 }]);
      await deliver(d, 2);
      assert.deepEqual(await queued(d), [look]);
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
        assert.deepEqual(await queued(d), [look]);
        d.world.now += LINGER_MS;
        await d.settle((await d.claim())!, complete(2));
        assert.deepEqual(await queued(d), []);
      });
    }
  }

  it('a row in flight whose rule was removed and came back, delivered in doubt', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.rules([]);
    await d.rules([{ n: RULE }]);
    await d.settle(claim, complete(1, d.now + LINGER_MS));
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [look]);
  });

  it('the same, ended without an answer', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.rules([]);
    await d.rules([{ n: RULE }]);
    await d.put('a', 2);
    await d.settle(claim, retry(d.now, { compareFirst: true }));
    const next = (await d.claim())!;
    assert.equal(next.row.order, 2);
    await d.settle(next, complete(2));
    assert.deepEqual(await queued(d), [look]);
  });

  it('a look that was tried in vain is in doubt again when its rule goes', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, complete(1, d.now + LINGER_MS));
    d.world.now += LINGER_MS;
    await d.settle((await d.claim())!, { kind: 'release', compareFirst: true });
    await d.rules([]);
    await d.sweep();
    await d.rules([{ n: RULE }]);
    await deliver(d, 2);
    assert.deepEqual(await queued(d), [look]);
  });

  it('where no rule comes back, nothing is left once no request can be applied', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await leaveInDoubt(d);
    await d.rules([]);
    await d.sweep();
    assert.equal((await d.outbox.queueTotals()).pending, 1);
    d.world.now += LINGER_MS;
    await d.sweep();
    assert.equal((await d.outbox.queueTotals()).pending, 0);
  });
}
