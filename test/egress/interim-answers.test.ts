/**
 * Interim answers that nobody asked for, in every cut, over real sockets. Origins: proxies that ask for
 * `100 Continue` on the other side (dotnet/corefx#31413), and several of them in a row (WCF).
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { skipInterimAnswers } from '../../src/egress/interim-answers.ts';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import { onEachRequest, startRawTarget } from '../support/scripted-target.ts';
import { TLS_IDENTITY } from './tls-identity.ts';

const SMALL = Buffer.from('small');
const ETAG = 'eb5c1399a871211c7e7ed732d15e3a8b';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const FINAL = `HTTP/1.1 200 OK\r\nETag: "${ETAG}"\r\nContent-Length: 0\r\n\r\n`;

const texts: [name: string, text: string][] = [
  ['none', FINAL],
  ['100 Continue', CONTINUE + FINAL],
  ['several in a row', CONTINUE.repeat(5) + FINAL],
  ['100 with headers', `HTTP/1.1 100 Continue\r\nServer: nginx\r\nETag: "x"\r\n\r\n${FINAL}`],
  ['100 without a reason', `HTTP/1.1 100\r\n\r\n${FINAL}`],
  ['100 of HTTP/1.0', `HTTP/1.0 100 Continue\r\n\r\n${FINAL}`],
  ['100 with bare line feeds', `HTTP/1.1 100 Continue\nA: b\n\n${FINAL}`],
  [
    '100 between 102 and 103',
    `HTTP/1.1 102 Processing\r\n\r\n${CONTINUE}HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${FINAL}`,
  ],
  ['100 and a line end', `${CONTINUE}\r\n${FINAL}`],
  [
    'an answer that quotes one',
    `${CONTINUE}HTTP/1.1 200 OK\r\nETag: "${ETAG}"\r\nX-Was: HTTP/1.1 100 \r\nContent-Length: 0\r\n\r\n`,
  ],
];

/** Byte by byte, each in a chunk of its own. */
async function drip(socket: Socket, text: string): Promise<void> {
  for (const byte of Buffer.from(text)) {
    socket.write(Buffer.from([byte]));
    await turn();
  }
}

describe('interim answers', () => {
  for (const [name, text] of texts) {
    for (const [how, send] of [
      ['at once', (socket: Socket) => void socket.write(text)],
      ['byte by byte', (socket: Socket) => void drip(socket, text)],
    ] as const) {
      it(`are skipped: ${name}, ${how}, on a connection that is used again`, async (t) => {
        const target = await startRawTarget(t, (socket) => {
          socket.setNoDelay(true);
          onEachRequest(socket, () => send(socket));
        });
        const client = openClient(t, { port: target.port, connections: 1 });
        for (let round = 0; round < 3; round += 1) {
          assert.equal(valueOf(await client.putObject('key', PLAIN, SMALL)).etag, ETAG);
        }
        assert.equal(target.sockets(), 1);
      });
    }
  }

  it('are skipped before the body has left', async (t) => {
    const target = await startRawTarget(t, (socket) => {
      socket.once('data', () => socket.write(CONTINUE));
      onEachRequest(socket, () => socket.write(FINAL.replace(ETAG, 'opaque')));
    });
    const client = openClient(t, { port: target.port });
    const large = Buffer.alloc(4 * 1024 * 1024, 1);
    assert.equal(valueOf(await client.putObject('key', PLAIN, large)).etag, 'opaque');
  });

  it('are skipped before an answer of HTTP/1.0 that ends with its connection', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () =>
        socket.end(`${CONTINUE}HTTP/1.0 200 OK\r\nETag: "${ETAG}"\r\n\r\n`),
      ),
    );
    const client = openClient(t, { port: target.port, connections: 1 });
    for (let round = 0; round < 2; round += 1) {
      assert.equal(valueOf(await client.putObject('key', PLAIN, SMALL)).etag, ETAG);
    }
  });

  it('are skipped under TLS', async (t) => {
    const server = createTlsServer(TLS_IDENTITY, (socket) => {
      socket.on('error', () => undefined);
      t.after(() => void socket.destroy());
      onEachRequest(socket, () => void drip(socket, CONTINUE + CONTINUE + FINAL));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => void server.close());
    const { port } = server.address() as { port: number };
    const client = openClient(t, {
      scheme: 'https',
      port,
      connections: 1,
      certificateAuthorities: [TLS_IDENTITY.cert],
    });
    for (let round = 0; round < 2; round += 1) {
      assert.equal(valueOf(await client.putObject('key', PLAIN, SMALL)).etag, ETAG);
    }
  });

  it('are no answer where the connection ends after them', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => socket.end(CONTINUE)),
    );
    const failure = failureOf(
      await openClient(t, { port: target.port }).putObject('key', PLAIN, SMALL),
    );
    assert.deepEqual([failure.stage, failure.ambiguous], ['transfer', true]);
  });

  it('end the connection beyond 64 KiB of them', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => socket.write(CONTINUE.repeat(3_000) + FINAL)),
    );
    const failure = failureOf(
      await openClient(t, { port: target.port }).putObject('key', PLAIN, SMALL),
    );
    assert.deepEqual(failure, { stage: 'transfer', code: 'INTERIM_ANSWERS', ambiguous: true });
  });

  it('are looked for only between a request and its answer', () => {
    const chunks: Buffer[] = [];
    const socket = { read: () => chunks.shift() ?? null, destroy: () => assert.fail() };
    const gate = skipInterimAnswers(socket as unknown as Socket);
    let begun = 0;
    const pass = (text: string): string | undefined => {
      chunks.push(Buffer.from(text));
      return socket.read()?.toString();
    };
    assert.equal(pass(CONTINUE), CONTINUE);
    gate.arm(() => (begun += 1));
    assert.equal(pass(CONTINUE), undefined);
    assert.equal(begun, 0);
    assert.equal(pass('HTTP/1.1 '), undefined);
    assert.equal(pass('200 OK\r\n'), 'HTTP/1.1 200 OK\r\n');
    assert.equal(begun, 1);
    assert.equal(pass(CONTINUE), CONTINUE);
    assert.equal(begun, 1);
    // What is no HTTP is not held back.
    gate.arm(() => (begun += 1));
    assert.equal(pass('SSH'), 'SSH');
    assert.equal(begun, 2);
  });
});
