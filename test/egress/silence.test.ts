/** Targets that think after the last byte: how long they are let, and who is told. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Silence } from '../../src/egress/silence.ts';
import type { TargetClient } from '../../src/egress/target-client.ts';
import type { RequestOptions } from '../../src/egress/target-sending.ts';
import type { RequestResult } from '../../src/model/delivery.ts';
import { until } from '../support/until.ts';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import { onEachRequest, startRawTarget, type TestContext } from '../support/scripted-target.ts';
import { ManualClock } from './manual-clock.ts';

const SMALL = Buffer.from('small');
const UPLOAD = { key: 'key', uploadId: 'id' };
const FINAL = 'HTTP/1.1 200 OK\r\nETag: "opaque"\r\nContent-Length: 0\r\n\r\n';

type Send = (client: TargetClient, options: RequestOptions) => Promise<RequestResult<unknown>>;

const put: Send = (client, options) => client.putObject('key', PLAIN, SMALL, options);
const operations: [name: string, awaits: string, send: Send][] = [
  ['putObject', 'answer', put],
  ['uploadPart', 'answer', (client, options) => client.uploadPart(UPLOAD, 1, SMALL, options)],
  ['deleteObject', 'answer', (client, options) => client.deleteObject('key', options)],
  ['headObject', 'answer', (client, options) => client.headObject('key', options)],
  ['putObjectTagging', 'answer', (client, options) => client.putObjectTagging('key', {}, options)],
  [
    'createMultipartUpload',
    'answer',
    (client, options) => client.createMultipartUpload('key', PLAIN, options),
  ],
  [
    'abortMultipartUpload',
    'answer',
    (client, options) => client.abortMultipartUpload(UPLOAD, options),
  ],
  [
    'completeMultipartUpload',
    'completion',
    (client, options) => client.completeMultipartUpload(UPLOAD, [], '', options),
  ],
];

class Watcher implements Silence {
  readonly log: string[] = [];
  readonly #grantedMs: number | null;

  constructor(grantedMs: number | null) {
    this.#grantedMs = grantedMs;
  }

  begin(request: string): number | null {
    this.log.push(`begin ${request}`);
    return this.#grantedMs;
  }

  end(ranOut: boolean): void {
    this.log.push(`end ${ranOut}`);
  }
}

/** Begins a request to a target that says nothing, and moves its clock. */
async function begin(t: TestContext, send: Send, grantedMs: number | null, signal?: AbortSignal) {
  let peer: Socket | null = null;
  const target = await startRawTarget(t, (socket) => onEachRequest(socket, () => (peer = socket)));
  const clock = new ManualClock();
  const client = openClient(t, { port: target.port, clock });
  const silence = new Watcher(grantedMs);
  const promise = send(client, { silence, ...(signal === undefined ? {} : { signal }) });
  let isDone = false;
  void promise.finally(() => (isDone = true));
  await until(() => peer !== null, 'the request');
  const advance = async (ms: number): Promise<void> => {
    for (let passedMs = 0; passedMs < ms && !isDone; passedMs += 5_000) {
      for (let turns = 0; turns < 20; turns += 1) await turn();
      clock.advance(5_000);
    }
    for (let turns = 0; turns < 20; turns += 1) await turn();
  };
  const say = async (text: string): Promise<void> => {
    peer!.write(text);
    // Until it has certainly arrived, on a clock that stands still.
    for (let turns = 0; turns < 200; turns += 1) await turn();
  };
  return { client, clock, silence, promise, advance, say, isDone: () => isDone };
}

describe('silence after the last byte', () => {
  for (const [name, awaits, send] of operations) {
    it(`of ${name} is asked about once, as ${awaits}, and lasts as long as is granted`, async (t) => {
      const { silence, promise, advance, clock, isDone } = await begin(t, send, 300_000);
      await advance(290_000);
      assert.equal(isDone(), false);
      assert.deepEqual(silence.log, [`begin ${awaits}`]);
      await advance(60_000);
      const failure = failureOf(await promise);
      assert.deepEqual(
        [failure.stage, failure.code, failure.silenceMs],
        ['transfer', 'ETIMEDOUT', 300_000],
      );
      assert.equal(failure.ambiguous, name !== 'headObject');
      assert.ok(clock.nowMs() >= 300_000 && clock.nowMs() <= 320_000);
      assert.deepEqual(silence.log, [`begin ${awaits}`, 'end true']);
    });
  }

  it('ends the request after 30 s where nothing is granted', async (t) => {
    const { silence, promise, advance, clock } = await begin(t, put, null);
    await advance(60_000);
    assert.equal(failureOf(await promise).silenceMs, 30_000);
    assert.ok(clock.nowMs() <= 45_000);
    assert.deepEqual(silence.log, ['begin answer']);
  });

  it('is over when the answer comes, which succeeds', async (t) => {
    const { silence, promise, advance, say } = await begin(t, put, 300_000);
    await advance(250_000);
    await say(FINAL);
    valueOf(await promise);
    assert.deepEqual(silence.log, ['begin answer', 'end false']);
  });

  it('is over when the answer begins, and what follows may not stand still', async (t) => {
    const { silence, promise, advance, say, isDone } = await begin(t, put, 300_000);
    await advance(200_000);
    await say(FINAL.slice(0, 20));
    assert.deepEqual(silence.log, ['begin answer', 'end false']);
    await advance(20_000);
    assert.equal(isDone(), false);
    await advance(60_000);
    const failure = failureOf(await promise);
    assert.deepEqual(failure, { stage: 'transfer', code: 'ETIMEDOUT', ambiguous: true });
    assert.deepEqual(silence.log, ['begin answer', 'end false']);
  });

  it('is not broken by interim answers, however many', async (t) => {
    const { silence, promise, advance, say } = await begin(t, put, 100_000);
    for (let step = 0; step < 40; step += 1) {
      await say('HTTP/1.1 102 Processing\r\n\r\n');
      await advance(5_000);
    }
    assert.equal(failureOf(await promise).silenceMs, 100_000);
    assert.deepEqual(silence.log, ['begin answer', 'end true']);
  });

  it('is nothing that is asked about where the answer is quick', async (t) => {
    const { silence, promise, advance, say } = await begin(t, put, 300_000);
    await advance(20_000);
    await say(FINAL);
    valueOf(await promise);
    assert.deepEqual(silence.log, []);
  });

  const ends: [name: string, end: (client: TargetClient, abort: AbortController) => unknown][] = [
    ['aborted', (_client, abort) => abort.abort()],
    ['destroyed with its client', (client) => client.destroy()],
  ];
  for (const [name, end] of ends) {
    it(`is over once when the request is ${name}`, async (t) => {
      const abort = new AbortController();
      const { client, silence, promise, advance } = await begin(t, put, 300_000, abort.signal);
      await advance(100_000);
      await end(client, abort);
      assert.equal(failureOf(await promise).silenceMs, undefined);
      assert.deepEqual(silence.log, ['begin answer', 'end false']);
    });
  }

  it('is over once when the connection is reset', async (t) => {
    let peer: Socket | null = null;
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => (peer = socket)),
    );
    const clock = new ManualClock();
    const silence = new Watcher(300_000);
    const promise = put(openClient(t, { port: target.port, clock }), { silence });
    await until(() => peer !== null, 'the request');
    for (let step = 0; step < 12; step += 1) {
      for (let turns = 0; turns < 20; turns += 1) await turn();
      clock.advance(5_000);
    }
    peer!.resetAndDestroy();
    assert.equal(failureOf(await promise).stage, 'transfer');
    assert.deepEqual(silence.log, ['begin answer', 'end false']);
  });

  it('is not what a target makes that does not read the body', async (t) => {
    const target = await startRawTarget(t, (socket) => void socket.pause());
    const clock = new ManualClock();
    const silence = new Watcher(300_000);
    const large = Buffer.alloc(64 * 1024 * 1024);
    const client = openClient(t, { port: target.port, clock });
    const promise = client.putObject('key', PLAIN, large, { silence });
    let isDone = false;
    void promise.finally(() => (isDone = true));
    await until(() => target.sockets() === 1, 'the connection');
    for (let step = 0; step < 40 && !isDone; step += 1) {
      for (let turns = 0; turns < 20; turns += 1) await turn();
      clock.advance(5_000);
    }
    assert.deepEqual(failureOf(await promise), {
      stage: 'transfer',
      code: 'ETIMEDOUT',
      ambiguous: false,
    });
    assert.deepEqual(silence.log, []);
  });
});
