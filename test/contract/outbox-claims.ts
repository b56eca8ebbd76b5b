/** The outbox contract: which due rows a claim takes, and what is told of those that are due. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ClaimRequest } from '../../src/model/queue.ts';
import { BUCKET, OutboxDriver, RULE, complete, due, retry } from '../support/outbox-driver.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';

export function claims(open: OpenOutbox): void {
  it('claims of one operation leave the rows of the other', async (t) => {
    const d = await openWithDeletes(t, open);
    await d.put('put', 1);
    await d.remove('deleted', 1);
    await d.settleIntent('resolve');
    assert.deepEqual(await keysOf(d, { operations: [] }), []);
    assert.deepEqual(await keysOf(d, { operations: ['delete'] }), ['deleted']);
    assert.deepEqual(await keysOf(d, { operations: ['put'] }), ['put', 'resolve']);
  });

  it('a put behind a delete of its key waits for it, whatever is asked for', async (t) => {
    const d = await openWithDeletes(t, open);
    await d.remove('a', 1);
    await d.put('a', 2);
    assert.deepEqual(await keysOf(d, { operations: ['put'] }), []);
    const claim = (await d.claim())!;
    assert.equal(claim.row.operation, 'delete');
    await d.settle(claim, complete(1));
    assert.deepEqual(await keysOf(d, { operations: ['put'] }), ['a']);
  });

  it('tells of each operation when its next row is due', async (t) => {
    const d = await openWithDeletes(t, open);
    assert.deepEqual(await d.outbox.nextDueAt(d.lane()), { put: null, delete: null });
    await d.remove('deleted', 1);
    await d.settle((await d.claim())!, retry(d.now + 50));
    await d.put('put', 1);
    await d.settle((await d.claim())!, retry(d.now + 30));
    const both = { put: d.now + 30, delete: d.now + 50 };
    assert.deepEqual(await d.outbox.nextDueAt(d.lane()), both);
    d.world.now += 30;
    await d.settle((await d.claim())!, complete(1));
    assert.deepEqual(await d.outbox.nextDueAt(d.lane()), { put: null, delete: both.delete });
  });

  it('a row that becomes one for whatever is current is a put', async (t) => {
    const d = await openWithDeletes(t, open);
    await d.remove('a', 1);
    await d.settle((await d.claim())!, retry(d.now, { asResolve: true }));
    assert.deepEqual(await d.outbox.nextDueAt(d.lane()), { put: d.now, delete: null });
    assert.deepEqual(await keysOf(d, { operations: ['delete'] }), []);
    assert.deepEqual(await keysOf(d, { operations: ['put'] }), ['a']);
  });

  for (const [untriedFirst, expected] of [
    [false, ['a', 'b', 'c', 'd']],
    [true, ['c', 'd', 'a', 'b']],
  ] as const) {
    it(`${untriedFirst ? 'untried' : 'the longest due'} rows come first where asked`, async (t) => {
      for (const limit of [1, 3, 9]) {
        const d = await OutboxDriver.open(t, open);
        for (const key of ['a', 'b']) {
          await d.put(key, 1);
          await d.settle((await d.claim())!, retry(d.now + 10));
        }
        d.world.now += 20;
        for (const key of ['c', 'd']) await d.put(key, 1);
        d.world.now += 1;
        assert.deepEqual(await keysOf(d, { limit, untriedFirst }), expected.slice(0, limit));
      }
    });
  }

  it('what is not due is not claimed, untried or not', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    assert.deepEqual(await keysOf(d, { now: d.now - 1, untriedFirst: true }), []);
    assert.deepEqual(await keysOf(d, { untriedFirst: true }), ['a']);
    assert.equal((await d.outbox.pageRows(BUCKET, {}, null, 9)).length, 1);
  });
}

async function openWithDeletes(t: Parameters<OpenOutbox>[0], open: OpenOutbox) {
  const d = await OutboxDriver.open(t, open);
  await d.rules([{ n: RULE, replicateDeletes: true }]);
  return d;
}

/** Claims as the request says, and tells the keys. */
async function keysOf(d: OutboxDriver, request: Partial<ClaimRequest>): Promise<string[]> {
  const claimed = await d.tenure.claim(d.lane(), { ...due(9, d.now), ...request });
  return claimed.map(({ row }) => row.key);
}
