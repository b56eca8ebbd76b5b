/** Targets that misbehave: each failure is a value that says how far the request got. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { until } from '../support/until.ts';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import { onEachRequest, startRawTarget } from '../support/scripted-target.ts';
import { ManualClock } from './manual-clock.ts';

const SMALL = Buffer.from('small');
const LARGE = Buffer.alloc(8 * 1024 * 1024, 7);

describe('a connection that breaks', () => {
  const cases: [name: string, body: Buffer, ambiguous: boolean, serve: (socket: Socket) => void][] =
    [
      [
        'before a large body was read',
        LARGE,
        false,
        (socket) => socket.once('data', () => socket.resetAndDestroy()),
      ],
      [
        'when it is opened, before a large body',
        LARGE,
        false,
        (socket) => socket.resetAndDestroy(),
      ],
      [
        'once a small body was read',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.resetAndDestroy()),
      ],
      [
        'once a large body was read',
        LARGE,
        true,
        (socket) => onEachRequest(socket, () => socket.resetAndDestroy()),
      ],
      [
        'by a plain end after the request',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.end()),
      ],
      [
        'within the status line',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.end('HTTP/1.')),
      ],
      [
        'within the headers',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.end('HTTP/1.1 200 OK\r\nETag:')),
      ],
      [
        'within the body of the answer',
        SMALL,
        true,
        (socket) =>
          onEachRequest(socket, () =>
            socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'),
          ),
      ],
      [
        'within a chunk of the answer',
        SMALL,
        true,
        (socket) =>
          onEachRequest(socket, () =>
            socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab'),
          ),
      ],
      [
        'with something that is not HTTP',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.end('SSH-2.0-OpenSSH_9.2\r\n')),
      ],
      [
        'with headers without end',
        SMALL,
        true,
        (socket) =>
          onEachRequest(socket, () =>
            socket.write(`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(40_000)}\r\n`),
          ),
      ],
    ];
  for (const [name, body, ambiguous, serve] of cases) {
    it(`${name} ${ambiguous ? 'leaves open whether the write was applied' : 'applied nothing'}`, async (t) => {
      const target = await startRawTarget(t, serve);
      const client = openClient(t, { port: target.port });
      const failure = failureOf(await client.putObject('key', PLAIN, body));
      // The kernel may report a reset as early as the connection itself.
      assert.ok(failure.stage === 'transfer' || (!ambiguous && failure.stage === 'connect'));
      assert.equal(failure.ambiguous, ambiguous);
      assert.match(failure.code ?? '', /^[A-Z0-9_]+$/);
      // Nothing was sent a second time.
      assert.equal(target.sockets(), 1);
    });
  }

  it('never leaves a read open to doubt', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => socket.resetAndDestroy()),
    );
    const client = openClient(t, { port: target.port });
    assert.equal(failureOf(await client.headObject('key')).ambiguous, false);
    assert.equal(failureOf(await client.listParts({ key: 'key', uploadId: 'u' })).ambiguous, false);
  });

  it('does not spoil the next request', async (t) => {
    let broken = false;
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => {
        if (broken) return socket.write('HTTP/1.1 204 No Content\r\n\r\n');
        broken = true;
        return socket.destroy();
      }),
    );
    const client = openClient(t, { port: target.port, connections: 1 });
    assert.equal(failureOf(await client.deleteObject('key')).stage, 'transfer');
    valueOf(await client.deleteObject('key'));
  });
});

describe('a connection that stands still', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n';
  const cases: [name: string, body: Buffer, ambiguous: boolean, serve: (socket: Socket) => void][] =
    [
      // More than the buffers of any kernel hold.
      ['and never reads', Buffer.alloc(64 * 1024 * 1024), false, (socket) => void socket.pause()],
      ['before the answer', SMALL, true, () => undefined],
      [
        'within the headers',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.write(head.slice(0, 20))),
      ],
      [
        'within the body',
        SMALL,
        true,
        (socket) => onEachRequest(socket, () => socket.write(`${head}abc`)),
      ],
    ];
  for (const [name, body, ambiguous, serve] of cases) {
    it(`${name} is given up after 30 s`, async (t) => {
      let arrived = false;
      const target = await startRawTarget(t, (socket) => {
        serve(socket);
        arrived = true;
      });
      const clock = new ManualClock();
      const client = openClient(t, { port: target.port, clock });
      const result = settled(client.putObject('key', PLAIN, body));
      await until(() => arrived, 'the connection');
      await advanceUntil(clock, () => result.done);
      assert.deepEqual(failureOf(await result.promise), {
        stage: 'transfer',
        code: 'ETIMEDOUT',
        ...(name === 'before the answer' ? { silenceMs: 30_000 } : {}),
        ambiguous,
      });
      assert.ok(clock.nowMs() >= 30_000);
    });
  }

  it('but for a byte now and then is given up too', async (t) => {
    const sockets: Socket[] = [];
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => {
        socket.write(head);
        sockets.push(socket);
      }),
    );
    const clock = new ManualClock();
    const result = settled(
      openClient(t, { port: target.port, clock }).putObject('key', PLAIN, SMALL),
    );
    await until(() => sockets.length === 1, 'the request');
    await advanceUntil(clock, () => {
      if (!result.done) sockets[0]!.write('.');
      return result.done;
    });
    assert.equal(failureOf(await result.promise).code, 'ETIMEDOUT');
  });
});

describe('a cancelled request', () => {
  it('ends at once, whether it runs, waits or has not begun', async (t) => {
    const target = await startRawTarget(t, () => undefined);
    const client = openClient(t, { port: target.port, connections: 1 });
    const abort = new AbortController();
    const { signal } = abort;
    const running = client.putObject('a', PLAIN, SMALL, { signal });
    const waiting = client.putObject('b', PLAIN, SMALL, { signal });
    await until(() => target.sockets() === 1, 'the connection');
    // Two turns of the loop more, in which the request leaves.
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    const expected = { stage: 'transfer', code: 'ABORT_ERR' };
    assert.deepEqual(failureOf(await running), { ...expected, ambiguous: true });
    assert.deepEqual(failureOf(await waiting), { ...expected, ambiguous: false });
    const late = await client.putObject('c', PLAIN, SMALL, { signal });
    assert.deepEqual(failureOf(late), { ...expected, ambiguous: false });
    assert.equal(target.sockets(), 1);
  });
});

describe('a request that was cancelled while it connected', () => {
  it('leaves a connection that the next one can use', async (t) => {
    const target = await startRawTarget(t, () => undefined);
    const client = openClient(t, { scheme: 'https', port: target.port, connections: 1 });
    for (const round of [1, 2, 3]) {
      const abort = new AbortController();
      const result = client.headObject('key', { signal: abort.signal });
      await until(() => target.sockets() === round, 'the connection');
      abort.abort();
      const expected = { stage: 'transfer', code: 'ABORT_ERR', ambiguous: false };
      assert.deepEqual(failureOf(await result), expected);
    }
  });
});

interface Settled<T> {
  done: boolean;
  readonly promise: Promise<T>;
}

function settled<T>(promise: Promise<T>): Settled<T> {
  const state = { done: false, promise };
  void promise.finally(() => (state.done = true));
  return state;
}

/** Moves the clock by five seconds at a time, with some turns of the event loop in between. */
async function advanceUntil(clock: ManualClock, condition: () => boolean): Promise<void> {
  for (let step = 0; step < 200 && !condition(); step += 1) {
    // Bytes need real time to move; a clock that runs ahead of them would see silence.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(5_000);
  }
}
