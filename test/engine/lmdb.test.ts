/** The engine on the store in LMDB, in real time: what reaches a target, also across restarts. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { createEngineClock } from '../../src/engine/clock.ts';
import { Engine } from '../../src/engine/engine.ts';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore } from '../../src/store/store.ts';
import { openTables } from '../../src/store/tables.ts';
import { SimulatedHost, type Change } from '../simulation/simulated-host.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { startPeer, type AskPeer } from '../support/outbox-peer.ts';
import { uuid } from '../support/replication-bodies.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { DENIED, FakeTarget } from './fake-target.ts';

/** Opens the breaker at once, for an hour. */
const BUSY: RequestFailure = {
  stage: 'answer',
  status: 503,
  code: 'SlowDown',
  retryAfterMs: 3_600_000,
  ambiguous: false,
};

async function setUp(t: TestContext) {
  const key = randomBytes(32);
  const keyring = new Keyring([key]);
  const dataDirectory = temporaryDirectory(t);
  const tables = await openTables(dataDirectory);
  const { configurations, outbox, close } = createStore({ tables, keyring, feedIntervalMs: 20 });
  const host = new SimulatedHost();
  const target = new FakeTarget();
  const engines: Engine[] = [];
  const start = (): Engine => {
    const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: console.error };
    const { findBucket, openObject, headCurrent, listCurrent } = bound(host);
    const engine = new Engine({
      host: { logger, findBucket, openObject, headCurrent, listCurrent },
      outbox,
      configurations,
      clock: createEngineClock({ nowMs: Date.now }),
      random: () => 0.5,
      diskState: () => 'ok',
      connectTarget: () => target,
    });
    engine.start();
    engines.push(engine);
    return engine;
  };
  const { bucket } = host;
  const saveRule = (fields: Parameters<typeof ruleDraft>[1] = {}): Promise<unknown> =>
    configurations.replaceRules(bucket, [ruleDraft(1, fields)], ANY);
  await configurations.replaceTargets(bucket, [targetDraft(1)], ANY);
  t.after(async () => {
    await Promise.all(engines.map((engine) => engine.close()));
    await close();
  });
  const lane = { bucket, targetId: uuid(1) };
  const peer = (): Promise<AskPeer> => startPeer(t, dataDirectory, key);
  return { outbox, configurations, host, bucket, lane, target, start, saveRule, peer };
}

function bound(
  host: SimulatedHost,
): Pick<SimulatedHost, 'findBucket' | 'openObject' | 'headCurrent' | 'listCurrent'> {
  return {
    findBucket: (name) => host.findBucket(name),
    openObject: (ref) => host.openObject(ref),
    headCurrent: (bucket, key) => host.headCurrent(bucket, key),
    listCurrent: (bucket, prefix, after) => host.listCurrent(bucket, prefix, after),
  };
}

async function change(engine: Engine, host: SimulatedHost, key: string, what: Change) {
  const { bucket } = host;
  const operation = what === 'delete' ? 'delete' : 'put';
  const announcement = await engine.announce([{ bucket, key, operation, before: null }]);
  const committed = host.apply(key, what, 0);
  await announcement.committed(committed === null ? [] : [committed]);
}

describe('engine on LMDB', () => {
  it('delivers puts and deletes in order', async (t) => {
    const { host, target, start, saveRule } = await setUp(t);
    await saveRule({ replicateDeletes: true });
    const engine = start();
    await change(engine, host, 'kept', 'put');
    await change(engine, host, 'kept', 'put');
    await change(engine, host, 'gone', 'put');
    await change(engine, host, 'gone', 'delete');
    const { etag } = host.current('kept') ?? {};
    await until(() => target.objects.get('kept')?.etag === etag, 'the second version');
    await until(() => target.log.includes('delete') && target.objects.size === 1, 'the deletion');
  });

  it('has it at the target when a synchronous write is answered', async (t) => {
    const { host, target, start, saveRule } = await setUp(t);
    await saveRule({ synchronous: true });
    const engine = start();
    await until(() => engine.leading, 'the lease');
    await change(engine, host, 'key', 'put');
    assert.equal(target.objects.size, 1);
  });

  it('delivers after a restart what was queued before', async (t) => {
    const { outbox, lane, host, target, start, saveRule } = await setUp(t);
    await saveRule();
    const reset = { stage: 'connect', code: 'ECONNREFUSED', ambiguous: false } as const;
    target.fail = () => reset;
    const first = start();
    for (const key of ['a', 'b', 'c']) await change(first, host, key, 'put');
    await until(async () => (await outbox.laneReport(lane)).breaker === 'open', 'failures');
    await first.close();
    target.fail = () => null;
    start();
    await until(() => target.objects.size === 3, 'the deliveries');
    await until(async () => (await outbox.lanes()).length === 0, 'an empty queue');
  });

  it('copies what exists already, and none of it twice', async (t) => {
    const { outbox, bucket, host, target, start, saveRule } = await setUp(t);
    for (const key of ['a', 'b', 'c', 'd', 'e']) host.apply(key, 'put', 0);
    host.apply('deleted', 'put', 0);
    host.apply('deleted', 'delete', 0);
    host.apply('replica', 'replica', 0);
    await saveRule({ replicateExisting: true });
    start();
    await until(() => target.objects.size === 5, 'all objects');
    const job = await until(async () => {
      const read = await outbox.readResync(bucket, uuid(1));
      return read?.state === 'completed' ? read : null;
    }, 'the end of the job');
    assert.deepEqual([job.enqueued, target.log.length], [5, 5]);
  });
});

describe('engine on LMDB: another process of the server', () => {
  it('shows why the target fails, also after the leader has gone', async (t) => {
    const { outbox, bucket, lane, host, target, start, saveRule, peer } = await setUp(t);
    await saveRule();
    const ask = await peer();
    target.fail = () => DENIED;
    const engine = start();
    for (const key of ['a', 'b', 'c', 'd', 'e']) await change(engine, host, key, 'put');
    const isOpen = async (): Promise<boolean> => (await outbox.laneReport(lane)).breaker === 'open';
    await until(isOpen, 'five refusals');
    await engine.close();
    const [condition] = (await ask('queueStatus', bucket)).lanes;
    assert.deepEqual([condition?.isSealed, condition?.report.breaker], [false, 'open']);
    assert.match(condition?.report.lastError?.reason ?? '', /denies access/);
    target.fail = () => null;
    start();
    const isHealthy = async (): Promise<boolean> =>
      (await ask('queueStatus', bucket)).lanes[0]?.report.breaker === 'closed';
    await until(isHealthy, 'the recovery');
  });

  it('has the leader try at once what it is asked to retry', async (t) => {
    const { outbox, bucket, lane, host, target, start, saveRule, peer } = await setUp(t);
    await saveRule();
    const ask = await peer();
    target.fail = () => BUSY;
    await change(start(), host, 'key', 'put');
    const breakerOf = async (): Promise<string> => (await outbox.laneReport(lane)).breaker;
    const [task] = await until(async () => {
      const rows = await outbox.pageRows(bucket, {}, null, 1);
      return (await breakerOf()) === 'open' && (rows[0]?.attempts ?? 0) > 0 ? rows : null;
    }, 'a breaker that opens for an hour');
    const askedAt = Date.now();
    await ask('retryRow', bucket, task!.sequence, askedAt);
    await until(() => target.log.length === 2, 'the first retry');
    await until(async () => {
      const row = await outbox.findRow(bucket, task!.sequence);
      return row?.attempts === 1 && (await breakerOf()) === 'open';
    }, 'another failure');
    target.fail = () => null;
    await until(() => Date.now() >= askedAt + 1_000, 'the time until requests count again');
    assert.equal(await ask('retryRows', bucket, { state: 'failed' }, Date.now()), 0);
    await ask('retryRows', bucket, { state: 'pending' }, Date.now());
    await until(() => target.objects.size === 1, 'the delivery');
  });

  it('has the next row sent at once where there is nothing to retry', async (t) => {
    const { outbox, configurations, bucket, lane, host, target, start, saveRule, peer } =
      await setUp(t);
    await saveRule();
    const ask = await peer();
    target.fail = () => BUSY;
    const engine = start();
    await change(engine, host, 'key', 'put');
    const isOpen = async (): Promise<boolean> => (await outbox.laneReport(lane)).breaker === 'open';
    await until(isOpen, 'the failure');
    await configurations.replaceRules(bucket, [], ANY);
    await ask('retryRows', bucket, { state: 'failed' }, Date.now());
    assert.equal(target.log.length, 1);
    assert.equal(engine.counters().openBreakers, 1, 'only a success closes it');
    target.fail = () => null;
    await saveRule();
    await change(engine, host, 'another key', 'put');
    await until(() => target.objects.has('another key'), 'the delivery');
    await until(() => engine.counters().openBreakers === 0, 'a closed breaker');
  });
});
