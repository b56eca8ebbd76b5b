/**
 * The engine in virtual time: what is claimed ahead, synchronous rules, shutdown. One process, a target
 * that does what each test says.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LINGER_MS, type RequestFailure } from '../../src/model/delivery.ts';
import { DENIED, REFUSED_OBJECT } from './fake-target.ts';
import { due } from '../support/outbox-driver.ts';
import { change, MINUTE_MS, started, VirtualServer } from './virtual-server.ts';

const SYNCHRONOUS = { synchronous: true };
const UNREACHABLE: RequestFailure = { stage: 'connect', code: 'ECONNREFUSED', ambiguous: false };
const KEYS = ['a', 'b', 'c', 'd', 'e'];

describe('engine: delivery', () => {
  it('delivers soon, and the write does not wait', async () => {
    const server = await started();
    assert.equal(await server.put('a'), 0);
    await server.clock.run(1_000);
    assert.equal(server.target.objects.size, 1);
    const { deliveries, deliveredBytes, failures } = server.engine.counters();
    assert.deepEqual([deliveries, failures], [1, 0]);
    assert.ok(deliveredBytes > 0);
  });

  it('delivers nothing to a disabled target, and catches up', async () => {
    const server = await started({ enabled: false });
    await server.put('a');
    await server.clock.run(60 * MINUTE_MS);
    assert.deepEqual(server.target.log, []);
    await server.configure({ enabled: true });
    await server.clock.run(1_000);
    assert.deepEqual(server.target.log, ['put']);
  });

  it('says that objects arrive without their tags', async () => {
    const server = await started();
    server.target.refusesTags = true;
    await server.put('a');
    await server.clock.run(1_000);
    assert.deepEqual((await server.report()).degraded, ['tags']);
  });
});

describe('engine: rows that are claimed ahead', () => {
  /** A dozen rows, of which the first four are being sent, each for a second. */
  async function busy(): Promise<VirtualServer> {
    const server = await started();
    server.latencyMs = 1_000;
    for (let n = 0; n < 12; n++) await server.put(`key-${n}`);
    await server.clock.run(100);
    assert.ok((await claimable(server)) < 8, 'more are claimed than are sent');
    return server;
  }

  /** How many rows another claim would get: all but those that are claimed. */
  async function claimable(server: VirtualServer): Promise<number> {
    const { tenure } = server;
    const claims = await tenure.claim(server.lane, due(100, server.clock.nowMs()));
    for (const claim of claims) {
      await tenure.settleClaim(claim, { kind: 'release', doubtUntil: null });
    }
    return claims.length;
  }

  it('are not sent to a target that was disabled meanwhile, and go back', async () => {
    const server = await busy();
    await server.configure({ enabled: false });
    await server.clock.run(60_000);
    assert.equal(server.target.log.length, 4, 'what was in flight ended');
    const rows = await server.outbox.pageRows(server.host.bucket, {}, null, 100);
    assert.deepEqual(
      rows.map(({ attempts, doubtUntil }) => [attempts, doubtUntil]),
      Array.from({ length: 8 }, () => [0, null]),
    );
    await server.configure({ enabled: true });
    await server.clock.run(60_000);
    assert.equal(server.target.objects.size, 12);
    assert.equal(server.target.log.length, 12);
  });

  it('are not sent under a rule that was disabled meanwhile', async () => {
    const server = await busy();
    await server.configure({}, { enabled: false });
    await server.clock.run(60_000);
    assert.equal(server.target.log.length, 4);
    await server.configure();
    await server.clock.run(60_000);
    assert.equal(server.target.objects.size, 12);
  });

  it('go back when the target fails, but for one that probes', async () => {
    const server = await busy();
    server.target.fail = () => DENIED;
    await server.clock.run(5_000);
    assert.equal((await server.report()).breaker, 'open');
    const tried = server.target.log.length;
    assert.ok(tried < 12, `${tried} requests`);
    assert.ok((await claimable(server)) >= 8, 'what was not tried is not held');
    server.target.fail = () => null;
    await server.clock.run(10 * MINUTE_MS);
    assert.equal(server.target.objects.size, 12);
  });

  it('go back when the engine closes', async () => {
    const server = await busy();
    await server.await(server.engine.close());
    assert.equal(server.target.objects.size, 4);
    const next = server.stores.open('next').outbox;
    const tenure = (await next.acquireLease())!;
    assert.equal((await tenure.claim(server.lane, due(100, server.clock.nowMs()))).length, 8);
  });
});

describe('engine: synchronous rules', () => {
  it('lets the write wait until the target has it', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.latencyMs = 3_000;
    assert.equal(await server.put('a'), 3_000);
    assert.equal(server.target.objects.size, 1);
  });

  it('lets it wait for 20 s at most, and goes on', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.latencyMs = 25_000;
    assert.equal(await server.put('a'), 20_000);
    await server.clock.run(6_000);
    assert.equal(server.target.objects.size, 1);
  });

  it('lets it go when the delivery fails, and not wait while the breaker is open', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.target.fail = () => UNREACHABLE;
    for (const key of ['a', 'b', 'c']) assert.equal(await server.put(key), 10);
    assert.equal(await server.put('d'), 0);
  });

  it('waits for the operation that is not refused', async () => {
    const server = await started({}, { ...SYNCHRONOUS, replicateDeletes: true });
    server.target.fail = (operation) => (operation === 'put' ? DENIED : null);
    for (const key of KEYS) assert.equal(await server.put(key), 10);
    assert.equal(await server.put('f'), 0);
    assert.equal(await change(server, 'g', 'delete'), 10);
  });

  it('does not wait for a chain that backs off', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.target.fail = () => REFUSED_OBJECT;
    assert.equal(await server.put('a'), 10);
    assert.equal(await server.put('a'), 0);
    server.target.fail = () => null;
    assert.equal(await server.put('b'), 10);
  });

  it('does not wait for a disabled target', async () => {
    const server = await started({ enabled: false }, SYNCHRONOUS);
    assert.equal(await server.put('a'), 0);
  });

  it('does not wait for rules that are not synchronous', async () => {
    assert.equal(await (await started()).put('a'), 0);
  });

  it('lets 64 writes of a bucket wait, and no more', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.latencyMs = 60 * MINUTE_MS;
    let waiting = 0;
    for (let n = 0; n < 70; n++) {
      waiting += 1;
      void server.put(`key-${n}`).then(() => (waiting -= 1));
    }
    await server.clock.run(1_000);
    assert.equal(waiting, 64);
    await server.clock.run(30_000);
    assert.equal(waiting, 0);
  });

  it('looks at the row where another process delivers', async () => {
    const leader = await started({}, SYNCHRONOUS);
    const writes = new VirtualServer({ stores: leader.stores });
    const write = { bucket: leader.host.bucket, key: 'a', operation: 'put', before: null } as const;
    const announcing = writes.engine.announce([write]);
    const [announcement] = await leader.await(announcing);
    const committed = leader.host.apply('a', 'put', 0);
    assert.ok(committed !== null);
    let isDone = false;
    void announcement.committed([committed]).then(() => (isDone = true));
    await leader.clock.run(1_000);
    assert.equal(isDone, false);
    await writes.clock.run(1_000);
    assert.equal(isDone, true);
  });
});

describe('engine: closing', () => {
  it('lets what is in flight end', async () => {
    const server = await started();
    server.latencyMs = 3_500;
    await server.put('a');
    await server.clock.run(100);
    const [, tookMs] = await server.await(server.engine.close());
    assert.ok(tookMs < 4_000, `${tookMs} ms`);
    assert.equal(server.target.objects.size, 1);
    assert.deepEqual(await server.outbox.lanes(), []);
  });

  it('ends it half way through the time for closing and gives the claim back, in doubt', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.latencyMs = 60 * MINUTE_MS;
    const waiting = server.put('a');
    await server.clock.run(100);
    const [, tookMs] = await server.await(server.engine.close());
    assert.ok(tookMs >= 4_000 && tookMs < 8_000, `${tookMs} ms`);
    await waiting;
    const [row] = await server.outbox.pageRows(server.host.bucket, {}, null, 10);
    const doubtMs = (row?.doubtUntil ?? 0) - server.clock.nowMs();
    assert.ok(doubtMs > LINGER_MS - 3_000 && doubtMs <= LINGER_MS, `${doubtMs} ms`);
    assert.notEqual(await server.stores.open('next').outbox.acquireLease(), null);
  });

  it('takes no longer than its host allows', async () => {
    for (const [limitMs, leastMs] of [
      [20_000, 16_000],
      [5_000, 1_000],
      [1_000, 0],
    ] as const) {
      const server = await started();
      server.latencyMs = 60 * MINUTE_MS;
      await server.put('a');
      await server.clock.run(100);
      const [, tookMs] = await server.await(server.engine.close(limitMs));
      assert.ok(tookMs >= leastMs && tookMs < limitMs, `${tookMs} ms of ${limitMs}`);
    }
  });

  it('lets waiting writes go at once, and refuses new ones', async () => {
    const server = await started({}, SYNCHRONOUS);
    server.latencyMs = 60 * MINUTE_MS;
    const waiting = server.put('a');
    await server.clock.run(100);
    void server.engine.close();
    const [waitedMs] = await server.await(waiting);
    assert.ok(waitedMs < 200);
    await assert.rejects(server.put('b'), { code: 'ServiceUnavailable' });
    await server.await(server.engine.close());
  });

  it('is idempotent, also before it was started', async () => {
    const server = new VirtualServer();
    assert.equal(server.engine.close(), server.engine.close());
    await server.await(server.engine.close());
    server.engine.start();
    assert.equal(server.engine.leading, false);
  });
});
