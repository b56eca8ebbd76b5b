/**
 * One owner with 2,000 targets that fail, and another tenant beside it, on the store in LMDB. What is
 * counted is work: calls for the lanes of the crowd, and operations of the store. The kind is known from
 * elsewhere: minio#21041 (CPU days after everything was replicated), seaweedfs#3553 (plain requests hang
 * while replication goes on).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createEngineClock } from '../../src/engine/clock.ts';
import { Engine } from '../../src/engine/engine.ts';
import type { Bucket } from '../../src/host.ts';
import type { RequestFailure } from '../../src/model/delivery.ts';
import type { LaneRef } from '../../src/model/row.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { ManyBucketsHost } from '../support/many-buckets-host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { FakeTarget } from './fake-target.ts';

const CROWD = 2_000;
const PUTS = 100;
/** Beside two busy processes, medians of some milliseconds differ. */
const FACTOR_MAX = 5;
const SLACK_MS = 5;

/** Opens the breaker at once, for an hour: nothing is due before. */
const BUSY: RequestFailure = {
  stage: 'answer',
  status: 503,
  code: 'SlowDown',
  retryAfterMs: 3_600_000,
  ambiguous: false,
};

async function startServer(t: TestContext, crowd: number) {
  const tables = await openTables(temporaryDirectory(t));
  const keyring = new Keyring([randomBytes(32)]);
  const store = createStore({ tables, keyring, feedIntervalMs: 20 });
  const { configurations, outbox } = store;
  const host = new ManyBucketsHost();
  const good = new FakeTarget();
  const busy = new FakeTarget();
  busy.fail = () => BUSY;

  const save = async (bucket: Bucket, region = 'us-east-1'): Promise<void> => {
    await configurations.replaceTargets(bucket, [targetDraft(1, { region })], ANY);
    await configurations.replaceRules(bucket, [ruleDraft(1)], ANY);
  };
  const commit = async (bucket: Bucket, key: string): Promise<void> => {
    const write = { bucket, key, operation: 'put', before: null } as const;
    const { intent } = await outbox.announce([write]);
    const { versionId, order } = host.put(bucket, key, 10);
    await outbox.commit(intent, [{ ...write, versionId, order, replica: false }]);
  };
  const tenant = host.addBucket('tenant', 'tenant');
  await save(tenant);
  const buckets = Array.from({ length: crowd }, (_, n) => host.addBucket(`crowd-${n}`, 'crowd'));
  await Promise.all(buckets.map((bucket) => save(bucket).then(() => commit(bucket, 'key'))));

  const callsForCrowd: string[] = [];
  const count = <Port extends object>(port: Port, name: keyof Port & string): void => {
    const original = port[name] as (lane: LaneRef, ...args: unknown[]) => unknown;
    Object.assign(port, {
      [name]: (lane: LaneRef, ...args: unknown[]) => {
        if (lane.bucket.name !== 'tenant') callsForCrowd.push(`${name} ${lane.bucket.name}`);
        return original.call(port, lane, ...args);
      },
    });
  };
  count(outbox, 'nextDueAt');
  count(outbox, 'accessTarget');
  const acquire = outbox.acquireLease.bind(outbox);
  outbox.acquireLease = async () => {
    const tenure = await acquire();
    if (tenure !== null) count(tenure, 'claim');
    return tenure;
  };
  const engine = new Engine({
    host: Object.assign(host, {
      logger: { debug: () => {}, info: () => {}, warn: () => {}, error: console.error },
    }),
    outbox,
    configurations,
    clock: createEngineClock({ nowMs: Date.now }),
    random: () => 0.5,
    diskState: () => 'ok',
    connectTarget: (_access, { bucket }) => (bucket.name === 'tenant' ? good : busy),
  });
  t.after(async () => {
    await engine.close();
    await store.close();
  });
  engine.start();
  await until(() => engine.counters().openBreakers === crowd, 'all of them to have failed');
  await until(() => engine.counters().inFlight === 0, 'their outcomes');
  let calls = -1;
  await until(async () => {
    const before = calls;
    await sleep(1_000);
    calls = callsForCrowd.length;
    return calls === before;
  }, 'the end of what a start looks through');

  let puts = 0;
  /** Milliseconds that the tenant's client waits for a put. */
  const put = async (): Promise<number> => {
    const key = `key-${(puts += 1)}`;
    const begun = performance.now();
    const write = { bucket: tenant, key, operation: 'put', before: null } as const;
    const announced = await engine.announce([write]);
    const { versionId, order } = host.put(tenant, key, 10);
    await announced.committed([{ ...write, versionId, order, replica: false }]);
    return performance.now() - begun;
  };
  return {
    tables,
    outbox,
    engine,
    good,
    put,
    saveTenant: (region: string) => save(tenant, region),
    callsForCrowd,
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** Operations of all tables that `work` takes. */
async function operationsOf(
  tables: Awaited<ReturnType<typeof openTables>>,
  work: () => Promise<unknown>,
): Promise<number> {
  let operations = 0;
  const databases = Object.values(tables).filter(
    (table: unknown): table is Record<string, (...args: unknown[]) => unknown> =>
      typeof table === 'object' && table !== null && 'range' in table && 'keys' in table,
  );
  const restore = databases.map((table) => {
    const names = ['get', 'range', 'keys'].filter((name) => name in table);
    const originals = names.map((name) => [name, table[name]] as const);
    for (const [name, original] of originals) {
      table[name] = (...args) => {
        operations += 1;
        return original?.apply(table, args);
      };
    }
    return () => names.forEach((name) => delete table[name]);
  });
  await work();
  for (const undo of restore) undo();
  return operations;
}

describe('2,000 failing targets of one owner', () => {
  it('cost nothing while nothing is due, and another tenant’s puts take as long as without', async (t) => {
    const crowded = await startServer(t, CROWD);
    const control = await startServer(t, 0);
    const calls = crowded.callsForCrowd.splice(0).length;
    assert.ok(calls >= CROWD, 'calls are counted');
    const times: Record<'crowded' | 'control', number[]> = { crowded: [], control: [] };
    for (let n = 0; n < PUTS; n++) {
      times.crowded.push(await crowded.put());
      times.control.push(await control.put());
    }
    await crowded.saveTenant('elsewhere');
    await crowded.put();
    await until(() => crowded.good.objects.size === PUTS + 1, 'the tenant’s objects');
    assert.equal(crowded.engine.counters().openBreakers, CROWD);
    // Once a minute, what is due is compared with what the lanes wait for, some lanes at a time.
    const looks = crowded.callsForCrowd;
    assert.ok(
      looks.every((call) => call.startsWith('nextDueAt')) && new Set(looks).size === looks.length,
      `${looks.length} calls for lanes that wait for an hour`,
    );
    const [ours, theirs] = [median(times.crowded), median(times.control)];
    assert.ok(ours <= FACTOR_MAX * theirs + SLACK_MS, `${ours} ms, and ${theirs} ms without`);

    const scrape = (server: typeof crowded): Promise<number> =>
      operationsOf(server.tables, async () => {
        server.engine.counters();
        await server.outbox.queueTotals();
      });
    const isSettled = async (server: typeof crowded, left: number): Promise<boolean> =>
      (await server.outbox.queueTotals()).pending === left;
    await until(() => isSettled(crowded, CROWD), 'the outcomes of the tenant’s objects');
    await until(() => isSettled(control, 0), 'those of the control');
    const [few, many] = [await scrape(control), await scrape(crowded)];
    assert.ok(many > 0 && many <= few + 2, `${many} operations of the store, and ${few} without`);
  });

  it('are looked through a few at a time', async (t) => {
    const server = await startServer(t, CROWD);
    const calls = server.callsForCrowd;
    calls.length = 0;
    const perTurn: number[] = [];
    let isOver = false;
    let seen = 0;
    const countTurn = (): void => {
      perTurn.push(calls.length - seen);
      seen = calls.length;
      if (!isOver) setImmediate(countTurn);
    };
    countTurn();
    server.engine.wake();
    await until(() => new Set(calls).size === 2 * CROWD, 'all of them to have been looked at');
    isOver = true;
    const most = Math.max(...perTurn);
    assert.ok(most < CROWD / 10, `${most} calls in one turn of the event loop`);
  });
});
