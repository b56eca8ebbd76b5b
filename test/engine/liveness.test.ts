/**
 * Nothing that is due waits for somebody else's write. In each case one thing is left to wait for, and
 * from then on nothing at all is written, edited or asked for.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DENIED, REFUSED_OBJECT, RESET } from './fake-target.ts';
import { MINUTE_MS, started, VirtualServer } from './virtual-server.ts';

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const UNREACHABLE = { stage: 'connect', code: 'ECONNREFUSED', ambiguous: false } as const;

/** When each request was sent, in seconds since the first one. */
function timesOf(server: VirtualServer): number[] {
  const [first = 0] = server.sentAt;
  return server.sentAt.map((at) => Math.round((at - first) / 1_000));
}

describe('a quiet server', () => {
  it('retries a refused object at each of its times until it fails', async () => {
    const server = await started();
    server.target.fail = () => REFUSED_OBJECT;
    await server.put('a');
    await server.clock.run(6 * HOUR_MS);
    const [row] = await server.outbox.pageRows(server.host.bucket, {}, null, 10);
    assert.equal(row?.attempts, timesOf(server).length);
    const times = timesOf(server);
    assert.ok(times.length >= 8, `tried at ${times.join(', ')} s`);
  });

  it('delivers an object that was refused for hours, within a second of its next try', async () => {
    const server = await started();
    server.target.fail = () => REFUSED_OBJECT;
    await server.put('a');
    await server.clock.run(400_000);
    server.target.fail = () => null;
    const [row] = await server.outbox.pageRows(server.host.bucket, {}, null, 10);
    const dueIn = (row?.nextAttemptAt ?? 0) - server.clock.nowMs();
    assert.ok(dueIn > MINUTE_MS, 'it waits for longer than a lane stays idle');
    await server.clock.run(dueIn + 1_000);
    assert.equal(server.target.objects.size, 1);
  });

  it('verifies a chain in doubt within a second of when it may', async () => {
    const server = await started();
    const fails = [RESET, null];
    server.target.fail = () => fails.shift() ?? null;
    await server.put('a');
    await server.clock.run(5_000);
    assert.equal(server.target.objects.size, 1);
    const { put: dueAt } = await server.outbox.nextDueAt(server.lane);
    assert.ok(dueAt !== null, 'a verification is queued');
    await server.clock.run(dueAt - server.clock.nowMs() + 1_000);
    assert.deepEqual(await server.outbox.nextDueAt(server.lane), { put: null, delete: null });
    assert.equal(server.target.log.at(-1), 'head');
  });

  it('is tried again for each of two requests for a retry, within a second of the later one', async () => {
    const server = await started();
    server.target.fail = () => UNREACHABLE;
    const rows = await Promise.all(['a', 'b', 'c'].map((key) => server.put(key)));
    await server.clock.run(10 * MINUTE_MS);
    const sequence = (await server.outbox.pageRows(server.host.bucket, {}, null, 1))[0]!.sequence;
    await server.outbox.retryRow(server.host.bucket, sequence, server.clock.nowMs());
    await server.clock.run(400);
    assert.equal(server.target.objects.size, 0);
    server.target.fail = () => null;
    await server.outbox.retryRow(server.host.bucket, sequence, server.clock.nowMs());
    await server.clock.run(1_000);
    assert.equal(server.target.objects.size, rows.length);
  });

  for (const [name, failure] of [
    ['that cannot be reached', UNREACHABLE],
    ['that refuses', DENIED],
    [
      'that asks to be left alone for half an hour',
      {
        stage: 'answer',
        status: 503,
        code: 'SlowDown',
        retryAfterMs: HOUR_MS / 2,
        ambiguous: false,
      },
    ],
  ] as const) {
    it(`probes a target ${name}, for a day, and delivers when it works again`, async () => {
      const server = await started();
      server.target.fail = () => failure;
      for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await server.put(key);
      await server.clock.run(DAY_MS);
      const before = server.sentAt.length;
      await server.clock.run(HOUR_MS + 1_000);
      assert.ok(server.sentAt.length > before, 'it is still probed');
      server.target.fail = () => null;
      await server.clock.run(HOUR_MS + 1_000);
      assert.equal(server.target.objects.size, 6);
    });
  }

  it('sends within two upkeeps what is due without a word while another operation is refused', async () => {
    const server = new VirtualServer();
    await server.configure({}, { replicateDeletes: true });
    // Nobody tells of commits, as where a sweep makes rows due.
    server.outbox.subscribe = () => () => undefined;
    server.engine.start();
    server.target.fail = (operation) => (operation === 'put' ? DENIED : null);
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) await server.put(key);
    await server.clock.run(DAY_MS);
    assert.equal((await server.report()).breaker, 'open');
    const { bucket } = server.host;
    const write = { bucket, key: 'old', operation: 'delete', before: null } as const;
    const [{ intent }] = await server.await(server.outbox.announce([write]));
    const committed = server.host.apply('old', 'delete', 0);
    assert.ok(committed !== null);
    await server.await(server.outbox.commit(intent, [committed]));
    await server.clock.run(2 * MINUTE_MS);
    assert.ok(server.target.log.includes('delete'));
  });

  it('goes on with a resync whose listing failed', async () => {
    const server = await started();
    for (const key of ['a', 'b']) server.host.apply(key, 'put', 0);
    let failures = 3;
    const { listCurrent } = server.hooks;
    server.hooks.listCurrent = (...args) =>
      failures-- > 0 ? Promise.reject(new Error('The disk is away.')) : listCurrent(...args);
    server.hooks.logger.warn = () => undefined;
    await server.await(
      server.outbox.startResync(server.host.bucket, server.ruleId, server.clock.nowMs()),
    );
    await server.clock.run(MINUTE_MS);
    assert.equal(server.target.objects.size, 2);
  });

  it('aborts an unfinished upload that could not be aborted at first, within two upkeeps', async () => {
    const server = await started();
    // A row that fails for good leaves its upload behind.
    let failures = 1;
    server.target.fail = (operation) => {
      if (operation === 'part') return REFUSED_OBJECT;
      return operation === 'abort' && failures-- > 0 ? UNREACHABLE : null;
    };
    await server.put('a', 1);
    const hasFailed = async (): Promise<boolean> =>
      (await server.outbox.pageRows(server.host.bucket, { state: 'failed' }, null, 1)).length > 0;
    while (!(await hasFailed())) await server.clock.run(MINUTE_MS);
    assert.equal(server.target.uploads.size, 1);
    await server.clock.run(3 * MINUTE_MS);
    assert.ok(failures < 1, 'an abort has failed');
    assert.equal(server.target.uploads.size, 0);
  });

  it('forgets a failed row after its seven days', async () => {
    const server = await started();
    server.target.fail = () => REFUSED_OBJECT;
    await server.put('a');
    await server.clock.run(8 * DAY_MS);
    assert.deepEqual(await server.outbox.pageRows(server.host.bucket, {}, null, 10), []);
  });

  it('delivers what was queued before it started, though its first look fails', async () => {
    const before = await started({ enabled: false });
    await before.put('a');
    await before.await(before.engine.close());
    await before.configure({ enabled: true });
    const server = new VirtualServer(before);
    server.hooks.logger.warn = () => undefined;
    let failures = 1;
    const lanes = server.outbox.lanes.bind(server.outbox);
    server.outbox.lanes = () =>
      failures-- > 0 ? Promise.reject(new Error('The disk is away.')) : lanes();
    server.engine.start();
    await server.clock.run(MINUTE_MS);
    assert.equal(failures < 1 && server.target.objects.size, 1);
  });

  it('delivers a row that comes just as its lane is let go', async () => {
    for (let offsetMs = 0; offsetMs < 40; offsetMs += 1) {
      const server = await started();
      await server.put('a');
      // Lanes are let go by the upkeep, once a minute.
      await server.clock.run(2 * MINUTE_MS - server.clock.monotonicMs() + 1_000 - 20 + offsetMs);
      await server.put('b');
      await server.clock.run(1_000);
      assert.equal(server.target.objects.size, 2, `${offsetMs} ms`);
    }
  });
});
