/** Targets that are silent or slow: for seconds, for minutes, for ever, in the middle of something. */
import assert from 'node:assert/strict';
import { errorAnswer } from '../support/fake-target/answer.ts';
import { dripping, reset, stall, thinking } from '../support/fake-target/reactions.ts';
import type { WildCase } from './wild-case.ts';

const MIB = 1024 * 1024;
const LARGE = Buffer.alloc(9 * MIB, 'x');
const SECOND = 1_000;

const cases: readonly WildCase[] = [
  {
    name: 'a put is answered a minute after its last byte (a buffering proxy): one request suffices',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'put' ? thinking(60 * SECOND) : undefined),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 1);
    },
  },
  {
    name: 'a put is answered 200 s after its last byte: one request suffices',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'put' ? thinking(200 * SECOND) : undefined),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 1);
    },
  },
  // minio#10785, Alluxio#14464, ceph#68980.
  ...[60, 400].map((seconds): WildCase => ({
    name: `an upload is completed after ${seconds} s: one request suffices`,
    hooks: () => ({
      whenWhole: ({ operation }) =>
        operation === 'complete' ? thinking(seconds * SECOND) : undefined,
    }),
    async play(scene) {
      await scene.put('large', LARGE);
      await scene.converged();
      assert.equal(scene.target.requestsOf('complete').length, 1);
      assert.equal(scene.target.requestsOf('create').length, 1);
    },
  })),
  {
    name: 'each part is answered after 40 s: none is sent twice',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'part' ? thinking(40 * SECOND) : undefined),
    }),
    async play(scene) {
      await scene.put('large', LARGE);
      await scene.converged();
      assert.equal(scene.target.requestsOf('part').length, 2);
    },
  },
  {
    name: 'a put is never answered: it is given up after minutes, not before, and sent again',
    hooks: () => ({
      whenWhole: ({ operation, nth }) => (operation === 'put' && nth === 1 ? stall : undefined),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      const [first, second] = scene.target.requestsOf('put', 'photo');
      const waitedS = ((second?.atMs ?? 0) - (first?.atMs ?? 0)) / SECOND;
      assert.ok(waitedS >= 280, `waited for ${Math.round(waitedS)} s`);
    },
  },
  {
    name: 'what was never answered arrives a minute after the next version: the next one wins',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1 ? thinking(330 * SECOND) : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'first');
      await scene.until(
        () => scene.target.requestsOf('put').length >= 1,
        () => 'the first version to be sent',
      );
      await scene.put('photo', 'second');
      await scene.converged();
      await scene.passSeconds(400);
      await scene.converged();
    },
  },
  {
    name: 'one key is never answered: 40 others are not held up',
    hooks: () => ({ whenWhole: ({ key }) => (key === 'silent' ? stall : undefined) }),
    async play(scene) {
      await scene.put('silent', 'bytes');
      const others = await scene.putMany(40);
      await scene.arrived(others, 60);
      scene.heal();
      await scene.arrived();
    },
  },
  {
    name: 'nothing is read of a body of 6 MiB: given up, and sent again',
    hooks: () => ({
      whenHead: ({ operation, nth }) => (operation === 'put' && nth === 1 ? stall : undefined),
    }),
    async play(scene) {
      await scene.put('photo', Buffer.alloc(6 * MIB, 'y'));
      await scene.converged();
    },
  },
  {
    name: 'answers come one byte a second: the lane goes on, and all arrive',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1 ? dripping(1, SECOND) : undefined,
    }),
    async play(scene) {
      await scene.putMany(5);
      await scene.converged();
    },
  },
  {
    name: 'an answer stands still in the middle of its head',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1
          ? ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\ncontent-le')
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
    },
  },
  {
    name: 'an upload is completed while blanks drip for five minutes, as AWS does',
    hooks: () => ({
      whenWhole: ({ operation }) =>
        operation === 'complete'
          ? async ({ socket, apply, pass }) => {
              const { body } = apply();
              socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
              for (let waitedS = 0; waitedS < 300; waitedS += 15) {
                await pass(15 * SECOND);
                socket.write('1\r\n \r\n');
              }
              const xml = String(body).replace(/^<\?xml.*\n/, '');
              socket.write(`${xml.length.toString(16)}\r\n${xml}\r\n0\r\n\r\n`);
            }
          : undefined,
    }),
    async play(scene) {
      await scene.put('large', LARGE);
      await scene.converged();
      assert.equal(scene.target.requestsOf('complete').length, 1);
    },
  },
  {
    name: 'HEAD is silent for ever: what is to be compared is sent or compared in the end',
    hooks: () => ({
      whenWhole: ({ operation, nth }) => {
        if (operation === 'head' && nth <= 1) return stall;
        return operation === 'put' && nth === 1 ? reset : undefined;
      },
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
    },
  },
  {
    name: 'the target thinks for 40 s and then says 503: no success, and no breakdown',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1
          ? thinking(40 * SECOND, errorAnswer(503, 'SlowDown'))
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 2);
    },
  },
];

export const silence: readonly WildCase[] = cases;
