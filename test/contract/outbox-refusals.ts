/**
 * The outbox contract: an event that the target refuses holds up no newer one of its key, and is tried
 * anew when its target was saved.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LINGER_MS } from '../../src/model/delivery.ts';
import { uuid } from '../support/replication-bodies.ts';
import {
  BUCKET,
  OutboxDriver,
  RECREATED,
  RULE,
  TARGET,
  complete,
  fail,
  retry,
} from '../support/outbox-driver.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';

const HOUR_MS = 3_600_000;

export function refusals(open: OpenOutbox): void {
  overtaking(open);
  staying(open);
  savedTargets(open);
}

type Doubt = (now: number) => number | null;

/** The first version of `a` is refused, while its newer event is queued already or before that is. */
async function refuse(
  d: OutboxDriver,
  { inFlight, doubt, newer }: { inFlight: boolean; doubt: Doubt; newer: () => Promise<unknown> },
): Promise<void> {
  await d.put('a', 1);
  const claim = (await d.claim())!;
  if (inFlight) await newer();
  const doubtUntil = doubt(d.now);
  await d.settle(claim, retry(d.now + HOUR_MS, { refused: true, doubtUntil }));
  if (!inFlight) await newer();
}

async function rowsOf(d: OutboxDriver): Promise<unknown[]> {
  const rows = await d.outbox.pageRows(BUCKET, {}, null, 9);
  const shown = rows.map(({ operation, state, nextAttemptAt, doubtUntil }) => [
    operation,
    state,
    nextAttemptAt - d.now,
    doubtUntil === null ? null : doubtUntil - d.now,
  ]);
  return shown.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function overtaking(open: OpenOutbox): void {
  const look = ['resolve', 'verifying', LINGER_MS, LINGER_MS];
  for (const inFlight of [true, false]) {
    for (const newer of ['put', 'delete'] as const) {
      for (const [what, doubt, left] of [
        ['in no doubt', () => null, []],
        ['in doubt', (now: number) => now + LINGER_MS, [look]],
      ] as const) {
        const when = inFlight ? 'in flight' : 'that waits';
        it(`a newer ${newer} removes a refused put ${when}, ${what}`, async (t) => {
          const d = await OutboxDriver.open(t, open);
          await d.rules([{ n: RULE, replicateDeletes: true }]);
          const queue = (): Promise<unknown> =>
            newer === 'put' ? d.put('a', 2) : d.remove('a', 2);
          await refuse(d, { inFlight, doubt, newer: queue });
          assert.deepEqual(await rowsOf(d), [[newer, 'pending', 0, null], ...left]);
          const claim = (await d.claim())!;
          assert.deepEqual([claim.row.order, claim.row.operation], [2, newer]);
          await d.settle(claim, complete(2, null, d.now));
          assert.deepEqual(await rowsOf(d), left, 'the look is taken all the same');
        });
      }
    }

    const how = inFlight ? 'in flight' : 'that waits';
    it(`a change that nobody knows more of removes a refused put ${how}`, async (t) => {
      const d = await OutboxDriver.open(t, open);
      const doubt: Doubt = (now) => now + LINGER_MS;
      await refuse(d, { inFlight, doubt, newer: () => d.settleIntent('a') });
      // One row is both: it is due at once, and compared first.
      assert.deepEqual(await rowsOf(d), [['resolve', 'pending', 0, LINGER_MS]]);
    });
  }

  it('a doubt that is over leaves no look', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const doubtUntil = d.now + LINGER_MS;
    await d.settle((await d.claim())!, retry(d.now + HOUR_MS, { refused: true, doubtUntil }));
    d.world.now += LINGER_MS;
    await d.put('a', 2);
    assert.deepEqual(await rowsOf(d), [['put', 'pending', 0, null]]);
  });

  for (const inFlight of [true, false]) {
    const when = inFlight ? 'in flight' : 'that waits';
    it(`what removes a refused delete ${when} is for its rules too`, async (t) => {
      const d = await OutboxDriver.open(t, open);
      const deletes = 7;
      await d.rules([{ n: RULE }, { n: deletes, prefix: 'a', replicateDeletes: true }]);
      const { rules } = await d.configurations.read(BUCKET);
      const wanted = rules.map(({ incarnation }) => incarnation);
      await d.remove('a', 1);
      const claim = (await d.claim())!;
      assert.deepEqual(claim.row.ruleset, wanted.slice(1));
      // A resync of the rule without deletes queues the key.
      const resync = async (): Promise<void> => {
        const job = (await d.outbox.startResync(BUCKET, uuid(RULE), d.now))!;
        await d.tenure.advanceResync(job, ['a'], null, true, d.now);
      };
      if (inFlight) await resync();
      await d.settle(claim, retry(d.now + HOUR_MS, { refused: true }));
      if (!inFlight) await resync();
      const [row, ...others] = await d.outbox.pageRows(BUCKET, {}, null, 9);
      assert.deepEqual([row?.operation, row?.ruleset, others], ['resolve', wanted, []]);
      await d.rules([{ n: deletes, prefix: 'a', replicateDeletes: true }]);
      assert.equal((await d.claim())?.row.operation, 'resolve', 'when the other rule is gone');
    });
  }

  it('a version that is gone goes too, where a newer one waits', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.put('a', 2);
    await d.settle(claim, retry(d.now, { asResolve: true, doubtUntil: d.now + LINGER_MS }));
    assert.deepEqual(await rowsOf(d), [['put', 'pending', 0, null], look]);
  });
}

function staying(open: OpenOutbox): void {
  it('a refused row that is the last keeps its tries, and its place', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const [queued] = await d.put('a', 1);
    for (let attempts = 1; attempts <= 3; attempts++) {
      await d.settle((await d.claim())!, retry(d.now, { refused: true }));
      const row = await d.outbox.findRow(BUCKET, queued!.sequence);
      assert.deepEqual([row?.attempts, row?.refused, row?.operation], [attempts, true, 'put']);
    }
    await d.settle((await d.claim())!, retry(d.now));
    const row = await d.outbox.findRow(BUCKET, queued!.sequence);
    assert.deepEqual([row?.attempts, row?.refused], [4, false], 'the last try tells');
  });

  it('an older event that comes late, and one of another key, overtake nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 10);
    const claim = (await d.claim())!;
    await d.put('a', 5);
    await d.put('b', 20);
    await d.settle(claim, retry(d.now, { refused: true }));
    assert.equal((await d.status()).pending, 3);
    const older = (await d.claim())!;
    assert.equal(older.row.order, 5);
    await d.settle(older, retry(d.now + 1, { refused: true }));
    const keys = (await d.outbox.pageRows(BUCKET, {}, null, 9)).map(({ order }) => order);
    assert.deepEqual(keys, [20, 10], 'the newer refused one is what is left of its key');
  });

  it('a refused row that waits stays where an older event comes late', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 10);
    await d.settle((await d.claim())!, retry(d.now + 1_000, { refused: true }));
    await d.put('a', 5);
    const orders = (await d.outbox.pageRows(BUCKET, {}, null, 9)).map((row) => row.order);
    assert.deepEqual(orders, [5, 10]);
  });

  it('what waits and was not refused stays', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, retry(d.now + 1_000));
    await d.put('a', 2);
    assert.equal((await d.status()).pending, 2);
  });

  it('a row that only verifies overtakes nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, fail(d.now + LINGER_MS));
    await d.put('a', 2);
    await d.settle((await d.claim())!, complete(2, null, d.now));
    assert.deepEqual(await d.status(), { pending: 0, verifying: 1, failed: 0 });
    await d.put('a', 3);
    await d.settle((await d.claim())!, retry(d.now, { refused: true }));
    assert.deepEqual(await d.status(), { pending: 1, verifying: 1, failed: 0 });
    assert.equal((await d.claim())?.row.attempts, 1);
  });

  it('a newer row of a disabled rule does not remove what another rule wants', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.rules([{ n: RULE }, { n: 7, prefix: 'a' }]);
    await d.put('a', 1);
    const claim = (await d.claim())!;
    await d.rules([{ n: RULE, enabled: false }, { n: 7, prefix: 'a', enabled: false }, { n: 8 }]);
    await d.put('a', 2);
    await d.rules([{ n: RULE }, { n: 7, prefix: 'a' }, { n: 8, enabled: false }]);
    await d.settle(claim, retry(d.now, { refused: true }));
    assert.equal((await d.status()).pending, 2);
    assert.equal((await d.claim())?.row.order, 1);
  });
}

function savedTargets(open: OpenOutbox): void {
  /** Of each kind one row, by its key, and where it is afterwards. */
  async function everyKind(t: Parameters<OpenOutbox>[0]): Promise<OutboxDriver> {
    const d = await OutboxDriver.open(t, open);
    await d.targets([{ n: 1, newSecret: null }, { n: 2 }]);
    await d.rules([
      { n: RULE, replicateDeletes: true },
      { n: 6, targetId: uuid(2), prefix: 'elsewhere' },
    ]);
    for (const [key, outcome] of [
      ['failed-refused', fail(null, true)],
      ['failed', fail()],
      ['waits-refused', retry(d.now + HOUR_MS, { refused: true })],
      ['waits', retry(d.now + HOUR_MS)],
    ] as const) {
      await d.put(key, 1);
      await d.settle((await d.claim())!, outcome);
    }
    await d.remove('deletion-refused', 1);
    await d.settle((await d.claim())!, retry(d.now + HOUR_MS, { refused: true }));
    await d.put('elsewhere', 1);
    await d.settle((await d.claim())!, complete(1));
    const lane = { ...d.lane(), targetId: uuid(2) };
    const request = { limit: 1, now: d.now, operations: ['put'], untriedFirst: false } as const;
    const [other] = await d.tenure.claim(lane, request);
    await d.settle(other!, fail(null, true));
    await d.put('new', 1);
    return d;
  }

  const shown = async (d: OutboxDriver): Promise<Record<string, unknown>> => {
    const rows = await d.outbox.pageRows(BUCKET, {}, null, 99);
    return Object.fromEntries(
      rows.map(({ key, state, attempts, nextAttemptAt }) => [
        key,
        [state, attempts, nextAttemptAt - d.now],
      ]),
    );
  };

  it('what a saved target refused becomes due, failed or not, and nothing else', async (t) => {
    const d = await everyKind(t);
    const before = await shown(d);
    assert.equal(await d.outbox.retryRefused(BUCKET, [], d.now), 0);
    assert.equal(await d.outbox.retryRefused(RECREATED, [TARGET], d.now), 0);
    assert.equal(await d.outbox.retryRefused(BUCKET, [uuid(3)], d.now), 0);
    assert.deepEqual(await shown(d), before);
    assert.equal(await d.outbox.retryRefused(BUCKET, [TARGET], d.now), 3);
    const isDue = ['pending', 0, 0];
    assert.deepEqual(await shown(d), {
      ...before,
      'failed-refused': isDue,
      'waits-refused': isDue,
      'deletion-refused': isDue,
    });
    assert.equal(await d.outbox.retryRefused(BUCKET, [TARGET, uuid(2)], d.now), 1);
    assert.deepEqual((await shown(d))['elsewhere'], isDue);
  });

  it('a refused row in flight stays in flight', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.put('a', 1);
    await d.settle((await d.claim())!, retry(d.now, { refused: true }));
    const claim = (await d.claim())!;
    assert.equal(await d.outbox.retryRefused(BUCKET, [TARGET], d.now - 1), 0);
    assert.equal(await d.settle(claim, complete(1)), true);
  });

  it('hundreds of them become due', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.outbox.commit(
      0,
      Array.from({ length: 600 }, (_, n) => d.write(`k${n}`, n)),
    );
    const request = { limit: 600, now: d.now, operations: ['put'], untriedFirst: false } as const;
    const claimed = await d.tenure.claim(d.lane(), request);
    for (const [n, claim] of claimed.entries()) {
      // Many wait for the same time, so that batches end between them.
      const waits = retry(d.now + (n < 350 ? 1_000 : 2_000), { refused: n % 300 !== 299 });
      await d.settle(claim, n < 590 ? waits : fail(null, true));
    }
    assert.equal(await d.outbox.retryRefused(BUCKET, [TARGET], d.now), 599);
    assert.equal((await d.tenure.claim(d.lane(), request)).length, 599);
    assert.deepEqual(await d.status(), { pending: 600, verifying: 0, failed: 0 });
  });
}
