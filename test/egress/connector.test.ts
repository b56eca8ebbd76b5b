/** The guard counts in sockets that listeners accepted; that a request fails proves nothing by itself. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { failureOf, openClient, valueOf, type ClientSettings } from './open-client.ts';
import {
  startHttpTarget,
  startRawTarget,
  type ScriptedTarget,
  type TestContext,
} from '../support/scripted-target.ts';
import { ManualClock } from './manual-clock.ts';

/** Listeners on both loopback addresses at one port, and how many sockets they accepted. */
async function startBothLoopbacks(t: TestContext): Promise<{ port: number; sockets(): number }> {
  const v4 = await startHttpTarget(t, (_request, response) => response.end());
  const server = createServer((socket) => socket.destroy());
  let accepted = 0;
  server.on('connection', () => (accepted += 1));
  await new Promise<void>((resolve) =>
    server.listen({ port: v4.port, host: '::1', ipv6Only: true }, resolve),
  );
  t.after(() => void server.close());
  return { port: v4.port, sockets: () => v4.sockets() + accepted };
}

async function refusal(t: TestContext, settings: ClientSettings): Promise<unknown> {
  return failureOf(await openClient(t, settings).headObject('key'));
}

const REFUSED = { stage: 'refused-address', ambiguous: false };

describe('a target that no administrator saved', () => {
  const literals = [
    '127.0.0.1',
    '127.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.1.',
    '１２７.０.０.１',
    '0',
    '0.0.0.0',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[64:ff9b::7f00:1]',
    '[::]',
    '[::127.0.0.1]',
    'localhost',
    'LOCALHOST.',
    'bucket.localhost',
  ];
  for (const host of literals) {
    it(`opens no connection to ${host}`, async (t) => {
      const target = await startBothLoopbacks(t);
      const lookup = async (): Promise<string[]> => ['203.0.113.1'];
      assert.deepEqual(
        await refusal(t, { host, port: target.port, exemptKinds: [], lookup }),
        REFUSED,
      );
      assert.equal(target.sockets(), 0);
    });
  }

  const answers: [name: string, addresses: string[]][] = [
    ['loopback', ['127.0.0.1']],
    ['IPv6 loopback', ['::1']],
    ['mapped loopback', ['::ffff:127.0.0.1']],
    ['a public address and then loopback', ['203.0.113.1', '127.0.0.1']],
    ['loopback and then a public address', ['127.0.0.1', '203.0.113.1']],
    ['link-local with a zone', ['fe80::1%lo']],
    ['something that is no address', ['localhost']],
  ];
  for (const [name, addresses] of answers) {
    it(`opens no connection where DNS answers ${name}`, async (t) => {
      const target = await startBothLoopbacks(t);
      const lookup = async (): Promise<string[]> => addresses;
      const settings = { host: 'target.test', port: target.port, exemptKinds: [], lookup };
      assert.deepEqual(await refusal(t, settings), REFUSED);
      assert.equal(target.sockets(), 0);
    });
  }

  it('is checked anew at each connection, as DNS may change', async (t) => {
    const target = await startBothLoopbacks(t);
    const addresses = [['127.0.0.1'], ['127.0.0.2']];
    const client = openClient(t, {
      host: 'target.test',
      port: target.port,
      exemptKinds: [],
      // The first answer is public by the operator's word, the second is not.
      allow: ['127.0.0.1/32'],
      lookup: async () => addresses.shift() ?? [],
    });
    // HEAD closes its connection, so that the next request opens one.
    assert.ok((await client.headObject('key')).ok);
    assert.deepEqual(failureOf(await client.headObject('key')), REFUSED);
    assert.equal(target.sockets(), 1);
  });

  it('connects to the address that was checked, however often DNS is asked', async (t) => {
    const target = await startBothLoopbacks(t);
    let lookups = 0;
    const lookup = async (): Promise<string[]> => [(lookups += 1) === 1 ? '127.0.0.1' : '::1'];
    const settings = { host: 'target.test', port: target.port, exemptKinds: [], lookup };
    const client = openClient(t, { ...settings, allow: ['127.0.0.1/32'] });
    assert.ok((await client.headObject('key')).ok);
    assert.equal(lookups, 1);
  });

  it('is not sent elsewhere by a redirect', async (t) => {
    const inner = await startHttpTarget(t, (_request, response) => response.end());
    for (const status of [301, 302, 303, 307, 308]) {
      const target = await startHttpTarget(t, (_request, response) => {
        response.writeHead(status, { location: `http://127.0.0.1:${inner.port}/` }).end();
      });
      const result = await openClient(t, { port: target.port }).putObject(
        'key',
        { systemHeaders: {}, userMetadata: {}, tags: {} },
        Buffer.from('x'),
      );
      assert.equal(failureOf(result).status, status);
    }
    assert.equal(inner.sockets(), 0);
  });

  it('goes through no proxy that the environment names', async (t) => {
    const proxy = await startHttpTarget(t, (_request, response) => response.end());
    const target = await startHttpTarget(t, (_request, response) => response.end());
    const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'];
    const before = names.map((name) => process.env[name]);
    t.after(() => {
      for (const [index, name] of names.entries()) {
        const value = before[index];
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });
    for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`;
    valueOf(await openClient(t, { port: target.port }).headObject('key'));
    assert.deepEqual([target.sockets(), proxy.sockets()], [1, 0]);
  });
});

describe('a target that an administrator saved', () => {
  it('reaches the kinds of address that the save found', async (t) => {
    const target = await startBothLoopbacks(t);
    valueOf(await openClient(t, { port: target.port }).headObject('key'));
    assert.equal(target.sockets(), 1);
  });

  it('reaches no other kind', async (t) => {
    const target = await startBothLoopbacks(t);
    for (const kind of ['private', 'linkLocal', 'denied']) {
      const settings = { port: target.port, exemptKinds: [kind] };
      assert.deepEqual(await refusal(t, settings), REFUSED);
    }
    assert.equal(target.sockets(), 0);
  });

  it('never reaches what the operator denies', async (t) => {
    const target = await startBothLoopbacks(t);
    const settings = { port: target.port, deny: ['127.0.0.0/8'] };
    for (const exemptKinds of [['loopback'], ['loopback', 'denied']]) {
      assert.deepEqual(await refusal(t, { ...settings, exemptKinds }), REFUSED);
    }
    assert.equal(target.sockets(), 0);
  });
});

describe('connecting', () => {
  it('tries the next address where one refuses', async (t) => {
    const target = await startHttpTarget(t, (_request, response) => response.end());
    const lookup = async (): Promise<string[]> => ['127.0.0.9', '127.0.0.1'];
    valueOf(
      await openClient(t, { host: 'target.test', port: target.port, lookup }).headObject('k'),
    );
    assert.equal(target.sockets(), 1);
  });

  it('does not let an address that stalls use up the time of the others', async (t) => {
    const { target, silent } = await startWithSilentTwin(t);
    const clock = new ManualClock();
    const client = openClient(t, {
      scheme: 'https',
      host: 'target.test',
      port: target.port,
      clock,
      lookup: async () => ['127.0.0.2', '127.0.0.1'],
    });
    const result = client.headObject('key');
    await until(() => silent.sockets() === 1, 'the first address');
    clock.advance(5_000);
    await until(() => target.sockets() === 1, 'the second address');
    clock.advance(4_999);
    clock.advance(1);
    assert.deepEqual(failureOf(await result), {
      stage: 'tls',
      code: 'ETIMEDOUT',
      ambiguous: false,
    });
  });

  it('says so where the name does not resolve', async (t) => {
    const client = openClient(t, { host: 'target.test', port: 9 });
    assert.deepEqual(failureOf(await client.deleteObject('key')), {
      stage: 'resolve',
      code: 'ENOTFOUND',
      ambiguous: false,
    });
  });

  it('says so where connections are refused', async (t) => {
    const client = openClient(t, { port: 1 });
    assert.deepEqual(failureOf(await client.deleteObject('key')), {
      stage: 'connect',
      code: 'ECONNREFUSED',
      ambiguous: false,
    });
  });

  it('ends with the client', async (t) => {
    const silent = await startRawTarget(t, () => undefined);
    const client = openClient(t, { scheme: 'https', port: silent.port });
    const result = client.headObject('key');
    await until(() => silent.sockets() === 1, 'the connection');
    await client.destroy();
    assert.equal(failureOf(await result).ambiguous, false);
    assert.deepEqual(failureOf(await client.headObject('key')), {
      stage: 'transfer',
      code: 'ABORT_ERR',
      ambiguous: false,
    });
  });
});

/** Two listeners at one port, on 127.0.0.1 and 127.0.0.2, that accept and say nothing. */
async function startWithSilentTwin(
  t: TestContext,
): Promise<{ target: ScriptedTarget; silent: { sockets(): number } }> {
  const target = await startRawTarget(t, () => undefined);
  const open = new Set<{ destroy(): void }>();
  const server = createServer((socket) => open.add(socket));
  await new Promise<void>((resolve) => server.listen(target.port, '127.0.0.2', resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { target, silent: { sockets: () => open.size } };
}
