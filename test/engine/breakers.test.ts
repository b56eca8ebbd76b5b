/**
 * The engine in virtual time: when the breakers of a lane open, how they are probed, what closes them, and
 * what the lane says meanwhile.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { HEALTHY } from '../../src/model/lane-report.ts';
import { StoredTenure } from '../../src/store/tenure.ts';
import { DENIED, REFUSED_OBJECT } from './fake-target.ts';
import { change, MINUTE_MS, started, VirtualServer } from './virtual-server.ts';

const UNREACHABLE: RequestFailure = { stage: 'connect', code: 'ECONNREFUSED', ambiguous: false };
const BROKEN: RequestFailure = { stage: 'answer', status: 500, ambiguous: false };
const KEYS = ['a', 'b', 'c', 'd', 'e'];

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

  it('says what fails, and since it works again nothing more', async (t) => {
    const server = await started();
    const { mock } = t.mock.method(StoredTenure.prototype, 'storeReport');
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
      mock.calls.map(({ arguments: [, , report] }) => report.breaker),
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
