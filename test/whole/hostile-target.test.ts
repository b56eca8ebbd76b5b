/**
 * The whole plugin with targets that mean harm, all at once: each of their lanes waits with an error
 * that can be read, another bucket's target gets its objects all the while, and the process neither
 * grows nor falls. (node:test fails on rejections and exceptions that nobody handles.)
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Bucket } from '../../src/host.ts';
import { onEachRequest, startRawTarget } from '../support/scripted-target.ts';
import { until } from '../support/until.ts';
import { EgressSite, PUBLIC } from './egress-site.ts';

const MIB = 1024 * 1024;
const LARGE = Buffer.alloc(9 * MIB, 7);
const BLOCK = Buffer.alloc(64 * 1024, 'x');
const GIB = 1024 * MIB;
/** Proof enough for an object of the single byte `x`. */
const ETAG = 'ETag: "9dd4e461268c8034f5c8564e155c67a6"\r\n';

type Serve = (socket: Socket) => void;

/** Answers each request once it was read whole. */
const answer =
  (reply: (socket: Socket, head: string) => void): Serve =>
  (socket) =>
    onEachRequest(socket, (head) => reply(socket, head));

const text = (status: string, body: string, headers = ''): string =>
  `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

const initiated = (id: string): string =>
  text(
    '200 OK',
    `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
  );

/** A GiB, or as much of it as somebody reads. */
function pour(socket: Socket, status: string): void {
  let left = GIB;
  const more = (): void => {
    for (; left > 0 && !socket.destroyed; left -= BLOCK.length) if (!socket.write(BLOCK)) return;
  };
  socket.on('drain', more);
  socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${GIB}\r\n\r\n`);
  more();
}

const cases: readonly (readonly [name: string, lastError: RegExp, serve: Serve])[] = [
  ['pours-errors', /internal error/, answer((socket) => pour(socket, '500 Oops'))],
  [
    'pours-success',
    /without proof/,
    (socket) => void socket.once('data', () => pour(socket, '200 OK')),
  ],
  [
    'answers-early',
    /denies access/,
    // And reads no further, and keeps the connection.
    (socket) =>
      void socket.on('data', (chunk) => {
        if (chunk.toString('latin1', 0, 4) === 'POST') return socket.write(initiated('u1'));
        socket.pause();
        return socket.write(text('403 Forbidden', ''));
      }),
  ],
  [
    'upgrades',
    /connection to the target/,
    answer((socket) => socket.write('HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n')),
  ],
  ['bad-id', /without proof/, answer((socket) => socket.write(initiated('a'.repeat(9_000))))],
  [
    'fails-completed',
    /internal error/,
    answer((socket, head) => {
      if (head.includes('?uploads=')) socket.write(initiated('u1'));
      else if (head.startsWith('PUT')) socket.write(text('200 OK', ''));
      else if (head.startsWith('HEAD')) socket.write('HTTP/1.1 404 Not Found\r\n\r\n');
      else socket.write(text('200 OK', '<Error><Code>InternalError</Code></Error>'));
    }),
  ],
  [
    'waits-for-years',
    /not available/,
    answer((socket) => socket.write(text('503 X', '', 'Retry-After: 99999999\r\n'))),
  ],
  [
    'nests',
    /\(code Deep\)/,
    answer((socket) =>
      socket.write(text('418 X', `<Error>${'<a>'.repeat(20_000)}<Code>Deep</Code>`)),
    ),
  ],
  [
    'talks-ssh',
    /connection to the target/,
    (socket) => void socket.write('SSH-2.0-OpenSSH_9.2\r\n'),
  ],
  ['resets', /connection to the target/, (socket) => void socket.resetAndDestroy()],
];

describe('hostile targets', () => {
  it('hold up nobody but themselves', async (t) => {
    const site = await EgressSite.start(t);
    const healthy = await site.replicatingBucket('healthy', PUBLIC);
    const hostile: Bucket[] = [];
    for (const [name, , serve] of cases) hostile.push(await hostileBucket(t, site, name, serve));
    await site.write(healthy, 'first', 'x');
    await site.drained(healthy);
    const before = process.memoryUsage().rss;
    for (const bucket of hostile) await site.write(bucket, 'large', LARGE);
    for (const [index, [, lastError]] of cases.entries()) {
      const bucket = hostile[index]!;
      await site.tried(bucket);
      for (let round = 0; round < 3; round++) await site.tryAgain(bucket);
      await site.write(healthy, `beside-${index}`, 'x');
      await site.drained(healthy);
      assert.equal((await site.tasks(bucket)).length, 1, `nothing of ${bucket.name} was delivered`);
      const status = await site.status(bucket);
      assert.match(String(status.lastError), lastError, bucket.name);
      assert.ok(String(status.lastError).length < 400);
      if (status.retryAt !== null) {
        assert.ok(Date.parse(status.retryAt) - Date.now() <= 3_600_000, bucket.name);
      }
    }
    assert.ok(process.memoryUsage().rss - before < 256 * MIB);
    const { healthy: isHealthy } = await site.host.plugin.health();
    assert.ok(isHealthy, 'a hostile target is no ill health');
    assert.match(await site.host.plugin.metrics(), /open_breakers [1-9]/);
  });

  it('that asks to be left alone is, for an hour, and not a moment longer than somebody retries', async (t) => {
    const site = await EgressSite.start(t);
    let isMended = false;
    const bucket = await hostileBucket(t, site, 'asks', (socket) =>
      onEachRequest(socket, () => {
        const headers = 'Retry-After: Wed, 01 Jan 9999 00:00:00 GMT\r\n';
        socket.write(isMended ? text('200 OK', '', ETAG) : text('503 X', '', headers));
      }),
    );
    const hourAfterWriteMs = Date.now() + 3_600_000;
    await site.write(bucket, 'small', 'x');
    const { retryAt } = await until(async () => {
      const status = await site.status(bucket);
      return status.state === 'open' && status;
    }, 'the breaker to open');
    const retryMs = Date.parse(retryAt ?? '');
    const isAfterAnHour = retryMs >= hourAfterWriteMs && retryMs <= Date.now() + 3_600_000;
    assert.ok(isAfterAnHour, String(retryAt));
    isMended = true;
    await site.tryAgain(bucket);
    await site.drained(bucket);
  });
});

async function hostileBucket(
  t: TestContext,
  site: EgressSite,
  name: string,
  serve: Serve,
): Promise<Bucket> {
  const { port } = await startRawTarget(t, serve, PUBLIC);
  const bucket = await site.replicatingBucket(name, PUBLIC);
  const endpoint = `http://${PUBLIC}:${port}`;
  assert.equal(await site.saveTarget(bucket, PUBLIC, undefined, { endpoint }), 200);
  return bucket;
}
