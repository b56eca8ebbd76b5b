/**
 * The engine in virtual time: synchronous rules, breakers, credentials, shutdown. One process, a
 * target that does what each test says.
 */
import assert from 'node:assert/strict';
import test, { describe, it } from 'node:test';
import { LINGER_MS, type RequestFailure } from '../../src/model/delivery.ts';
import { HEALTHY } from '../../src/model/lane-report.ts';
import { DENIED, REFUSED_OBJECT } from './fake-target.ts';
import { due } from '../support/outbox-driver.ts';
import { MINUTE_MS, started, VirtualServer } from './virtual-server.ts';

const SYNCHRONOUS = { synchronous: true };
const UNREACHABLE: RequestFailure = { stage: 'connect', code: 'ECONNREFUSED', ambiguous: false };
const BROKEN: RequestFailure = { stage: 'answer', status: 500, ambiguous: false };
const KEYS = ['a', 'b', 'c', 'd', 'e'];

/** One change, and how long the host waited for `committed`. */
async function change(server: VirtualServer, key: string, operation: 'put' | 'delete') {
  const { bucket } = server.host;
  const writes = [{ bucket, key, operation, before: null }] as const;
  const [announcement] = await server.await(server.engine.announce(writes));
  const committed = server.host.apply(key, operation, 0);
  const [, waitedMs] = await server.await(
    announcement.committed(committed === null ? [] : [committed]),
  );
  return waitedMs;
}

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
    const epoch = 1;
    const claims = await server.outbox.claim(epoch, server.lane, due(100, server.clock.nowMs()));
    for (const claim of claims) {
      await server.outbox.settleClaim(epoch, claim, { kind: 'release', doubtUntil: null });
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
    const epoch = (await next.acquireLease())!;
    assert.equal((await next.claim(epoch, server.lane, due(100, server.clock.nowMs()))).length, 8);
  });
});

describe('engine: breaker', () => {
  async function broken(failure: RequestFailure): Promise<VirtualServer> {
    const server = await started();
    server.target.fail = () => failure;
    for (const key of KEYS) await server.put(key);
    await server.clock.run(30 * MINUTE_MS);
    assert.equal((await server.report()).breaker, 'open');
    assert.equal(server.engine.counters().openBreakers, 1);
    return server;
  }

  it('probes a target that refuses every 2 s at first, then ever more rarely', async () => {
    const server = await broken(DENIED);
    const { clock, sentAt } = server;
    const [first = 0] = sentAt;
    const probes = sentAt.slice(5).map((at) => at - first);
    const gaps = probes.map((at, index) => at - (probes[index - 1] ?? 0));
    assert.ok(
      gaps.slice(0, 5).every((ms) => ms >= 2_000 && ms < 2_100),
      `${gaps.join()} ms`,
    );
    assert.ok(
      gaps.every((ms) => ms >= 2_000),
      'one request at a time',
    );
    const late = probes.filter((at) => at > 10 * MINUTE_MS);
    assert.ok(late.length >= 2 && late.length < 6, `${late.length} requests in 20 minutes`);
    const { retryAt, lastError } = await server.report();
    assert.ok(retryAt !== null && retryAt > clock.nowMs());
    assert.match(lastError?.reason ?? '', /denies access/);
  });

  it('probes a target that cannot be reached each minute', async () => {
    const { target } = await broken(UNREACHABLE);
    assert.ok(target.log.length > 28 && target.log.length < 45, `${target.log.length} requests`);
  });

  it('heals at once where the credentials are corrected', async () => {
    const server = await broken(DENIED);
    server.target.fail = () => null;
    await server.clock.run(1_000);
    assert.equal(server.target.objects.size, 0);
    await server.configure({ newSecret: 'corrected' });
    // Who saves a target asks for this too: what was refused waits no longer.
    const { bucket } = server.host;
    const targetIds = [server.lane.targetId];
    await server.await(server.outbox.retryRefused(bucket, targetIds, server.clock.nowMs()));
    await server.clock.run(3_000);
    assert.equal(server.target.objects.size, 5);
    assert.deepEqual(server.secrets, ['a-secret-of-the-tests', 'corrected']);
    assert.deepEqual(await server.report(), HEALTHY);
  });

  it('heals at once where somebody asks for a retry', async () => {
    const server = await broken(DENIED);
    server.target.fail = () => null;
    await server.await(server.outbox.retryRows(server.host.bucket, {}, server.clock.nowMs()));
    await server.clock.run(500);
    assert.equal(server.target.objects.size, 5);
  });

  for (const [what, failure] of [
    ['refuses', DENIED],
    ['cannot be reached', UNREACHABLE],
  ] as const) {
    it(`tries one object where somebody asks for a retry, and stays open if it ${what} still`, async () => {
      const server = await broken(failure);
      const { bucket } = server.host;
      const tried = server.target.log.length;
      const breakers = new Set<string>();
      await server.await(server.outbox.retryRows(bucket, {}, server.clock.nowMs()));
      for (let n = 0; n < 50; n++) {
        await server.clock.run(20);
        breakers.add((await server.report()).breaker);
      }
      assert.equal(server.target.log.length, tried + 1);
      assert.ok(!breakers.has('closed'), [...breakers].join());
      assert.equal((await server.report()).breaker, 'open');
    });
  }

  it('heals where somebody mends it, and asks for a retry, while a probe is under way', async () => {
    const server = await broken(DENIED);
    const { bucket } = server.host;
    // The probe meets what was there when it began, though somebody mends that meanwhile.
    const begun = server.target.log.length;
    const retry = () => server.await(server.outbox.retryRows(bucket, {}, server.clock.nowMs()));
    server.latencyMs = 20_000;
    await retry();
    await server.clock.run(5_000);
    assert.equal((await server.report()).breaker, 'probing');
    await retry();
    await server.clock.run(16_000);
    assert.equal(server.target.log.length, begun + 1, 'it is refused, after the second request');
    server.target.fail = () => null;
    server.latencyMs = 10;
    await server.clock.run(30_000);
    assert.equal(server.target.objects.size, 5);
  });

  it('heals at its next probe otherwise', async () => {
    const server = await broken(UNREACHABLE);
    server.target.fail = () => null;
    await server.clock.run(MINUTE_MS + 5_000);
    assert.equal(server.target.objects.size, 5);
  });

  it('says what fails, and since it works again nothing more', async () => {
    const server = await started();
    const { mock } = test.mock.method(server.outbox, 'storeReport');
    for (let n = 0; n < 40; n++) await server.put(`key-${n}`);
    await server.clock.run(1_000);
    assert.equal(server.target.objects.size, 40);
    assert.equal(mock.callCount(), 0, 'a healthy lane is silent');
    server.target.fail = () => UNREACHABLE;
    for (const key of ['a', 'b', 'c']) await server.put(key);
    await server.clock.run(100);
    assert.equal((await server.report()).breaker, 'open');
    server.target.fail = () => null;
    await server.clock.run(MINUTE_MS);
    assert.deepEqual(await server.report(), HEALTHY);
    assert.deepEqual(
      mock.calls.map(({ arguments: [, , , report] }) => report.breaker),
      ['closed', 'open', 'probing', 'closed'],
    );
  });

  it('is still said to be broken after a restart, until a delivery succeeds', async () => {
    const server = await broken(DENIED);
    const report = await server.report();
    await server.await(server.engine.close());
    assert.deepEqual(await server.report(), report);
    const next = new VirtualServer(server);
    next.latencyMs = 5_000;
    next.engine.start();
    await next.clock.run(3_000);
    assert.deepEqual(await next.report(), report, 'nothing is known yet');
    await next.clock.run(MINUTE_MS);
    assert.deepEqual(await next.report(), HEALTHY);
  });

  it('lets one object fail without holding up the others', async () => {
    const server = await started();
    server.target.fail = (operation) => (operation === 'put' ? REFUSED_OBJECT : null);
    await server.put('bad');
    await server.clock.run(100);
    server.target.fail = () => null;
    await server.put('good');
    await server.clock.run(100);
    assert.deepEqual([...server.target.objects.keys()], ['good']);
    assert.equal((await server.report()).breaker, 'closed');
  });
});

describe('engine: failures in a row', () => {
  for (const [what, failure] of [
    ['cannot be reached', UNREACHABLE],
    ['fails', BROKEN],
  ] as const) {
    it(`two between successes open nothing, where a target ${what}`, async () => {
      const server = await started();
      const breakers = new Set<string>();
      let requests = 0;
      server.target.fail = () => (requests++ % 3 < 2 ? failure : null);
      for (let n = 0; n < 30; n++) {
        await server.put(`key-${n}`);
        await server.clock.run(100);
        breakers.add((await server.report()).breaker);
      }
      assert.deepEqual([...breakers], ['closed']);
      await server.clock.run(10 * MINUTE_MS);
      assert.equal(server.target.objects.size, 30);
    });

    it(`three open it, where a target ${what}`, async () => {
      const server = await started();
      server.target.fail = () => failure;
      for (const [key, expected] of [
        ['a', 'closed'],
        ['b', 'closed'],
        ['c', 'open'],
      ] as const) {
        await server.put(key);
        await server.clock.run(20);
        assert.equal((await server.report()).breaker, expected, key);
      }
    });
  }

  it('one refused object opens nothing, however often it is tried', async () => {
    const server = await started();
    server.target.fail = () => DENIED;
    await server.put('a');
    await server.clock.run(10 * MINUTE_MS);
    assert.ok(server.target.log.length > 5, `${server.target.log.length} tries`);
    assert.equal((await server.report()).breaker, 'closed');
  });

  it('five refused objects hold their operation, and no other one', async () => {
    const server = await started({}, { replicateDeletes: true });
    server.target.fail = (operation) => (operation === 'put' ? DENIED : null);
    for (const [index, key] of KEYS.entries()) {
      assert.equal((await server.report()).breaker, 'closed', `${index} refused`);
      await server.put(key);
      await server.clock.run(20);
    }
    assert.equal((await server.report()).breaker, 'open');
    for (let n = 0; n < 5; n++) await change(server, `deleted-${n}`, 'delete');
    await server.clock.run(500);
    assert.equal(server.target.log.filter((what) => what === 'delete').length, 5);
    assert.equal((await server.report()).breaker, 'open', 'a delete says nothing of puts');
  });

  it('refused deletes are said beside, and puts go on', async () => {
    const server = await started({}, { replicateDeletes: true });
    server.target.fail = (operation) => (operation === 'delete' ? DENIED : null);
    for (const key of KEYS) {
      await change(server, key, 'delete');
      await server.clock.run(20);
    }
    const { breaker, degraded } = await server.report();
    assert.deepEqual([breaker, degraded], ['closed', ['deletes']]);
    for (const key of ['f', 'g', 'h']) await server.put(key);
    await server.clock.run(100);
    assert.deepEqual([...server.target.objects.keys()], ['f', 'g', 'h']);
    server.target.fail = () => null;
    await server.clock.run(3_000);
    assert.deepEqual(await server.report(), HEALTHY);
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
    assert.equal(typeof (await server.stores.open('next').outbox.acquireLease()), 'number');
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
