import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { createServer, type TLSSocket } from 'node:tls';
import { judge } from '../../src/model/outcome.ts';
import { failureOf, openClient, valueOf } from './open-client.ts';
import { onEachRequest, startRawTarget, type TestContext } from '../support/scripted-target.ts';
import { TLS_IDENTITY } from './tls-identity.ts';

interface TlsTarget {
  readonly port: number;
  /** The server name that each completed handshake asked for. */
  readonly names: (string | false | null)[];
}

async function startTlsTarget(t: TestContext): Promise<TlsTarget> {
  const names: (string | false | null)[] = [];
  const open = new Set<TLSSocket>();
  const server = createServer(TLS_IDENTITY, (socket) => {
    names.push(socket.servername);
    open.add(socket);
    socket.on('error', () => undefined);
    onEachRequest(socket, () => socket.write('HTTP/1.1 204 No Content\r\n\r\n'));
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, names };
}

const trusting = { scheme: 'https', certificateAuthorities: [TLS_IDENTITY.cert] } as const;
const lookup = async (): Promise<string[]> => ['127.0.0.1'];

describe('TLS', () => {
  it('asks for the host of the endpoint, and verifies it, at the checked address', async (t) => {
    const { port, names } = await startTlsTarget(t);
    for (const host of ['target.test', 'target.test.']) {
      const client = openClient(t, { ...trusting, host, port, lookup });
      valueOf(await client.deleteObject('a'));
      valueOf(await client.deleteObject('b'));
    }
    assert.deepEqual(names, ['target.test', 'target.test']);
  });

  it('verifies an address for what it is', async (t) => {
    const { port, names } = await startTlsTarget(t);
    valueOf(await openClient(t, { ...trusting, port }).deleteObject('a'));
    assert.deepEqual(names, [false]);
  });

  it('refuses a certificate for another host', async (t) => {
    const { port } = await startTlsTarget(t);
    const failure = failureOf(
      await openClient(t, { ...trusting, host: 'other.test', port, lookup }).deleteObject('a'),
    );
    assert.deepEqual(failure, {
      stage: 'tls',
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      ambiguous: false,
    });
    assert.match(judge(failure).reason, /certificate .* another host name/);
  });

  it('refuses a certificate that signed itself, also where the environment would not', async (t) => {
    const { port } = await startTlsTarget(t);
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    t.after(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    });
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    const client = openClient(t, { scheme: 'https', host: 'target.test', port, lookup });
    const failure = failureOf(await client.deleteObject('a'));
    assert.deepEqual(failure, {
      stage: 'tls',
      code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
      ambiguous: false,
    });
  });

  it('fails readably where the target does not speak it', async (t) => {
    const target = await startRawTarget(
      t,
      (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    const failure = failureOf(
      await openClient(t, { scheme: 'https', port: target.port }).deleteObject('a'),
    );
    assert.equal(failure.stage, 'tls');
    assert.match(judge(failure).reason, /TLS/);
  });
});
