/**
 * Interim answers (RFC 9110 section 15.2), asked for or not: proxies and gateways send 100 as soon as
 * a head has come, whether the request expects it or not.
 */
import assert from 'node:assert/strict';
import { answerBytes, errorAnswer } from '../support/fake-target/answer.ts';
import { preceded, type Reaction } from '../support/fake-target/reactions.ts';
import type { WildCase } from './wild-case.ts';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';
const LARGE = Buffer.alloc(9 * 1024 * 1024, 'x');

/** Bytes before each answer. */
const INTERIM: readonly (readonly [name: string, bytes: string])[] = [
  ['100 Continue', CONTINUE],
  ['100 Continue, three times', CONTINUE.repeat(3)],
  // xrootd#1120.
  [
    '100 without a reason, and with headers',
    'HTTP/1.1 100\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n',
  ],
  ['100 with a header of its own', 'HTTP/1.1 100 Continue\r\nserver: gateway\r\n\r\n'],
  ['102 Processing, ten times', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(10)],
  ['103 Early Hints', 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n'],
  [
    '100, then 102, then 103',
    `${CONTINUE}HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n`,
  ],
];

const beforeAnswers = INTERIM.map(([name, bytes]): WildCase => ({
  name: `${name} before every answer: all arrive, nothing is sent twice`,
  hooks: () => ({ whenWhole: () => preceded(bytes) }),
  async play(scene) {
    await scene.putMany(10);
    await scene.put('large', LARGE);
    await scene.arrived();
    await scene.remove('object-0');
    await scene.converged();
    assert.equal(scene.target.requestsOf('put').length, 10);
    assert.equal(scene.target.requestsOf('part').length, 2);
  },
}));

/** In two pieces of TCP, cut where a careless reader looks only at whole chunks. */
const inPieces: Reaction = async ({ socket, request, apply, pass }) => {
  const bytes = Buffer.concat([Buffer.from(CONTINUE), answerBytes(apply(), request.method)]);
  for (const piece of [bytes.subarray(0, 12), bytes.subarray(12, 24), bytes.subarray(24)]) {
    socket.write(piece);
    await pass(500);
  }
};

const others: readonly WildCase[] = [
  {
    name: '100 Continue as soon as the head has come, before the body',
    async play(scene) {
      scene.target.hooks = {
        whenConnected: (socket) => {
          socket.on('data', (chunk: Buffer) => {
            if (/^(?:PUT|POST) /.test(chunk.toString('latin1', 0, 5))) socket.write(CONTINUE);
          });
          return false;
        },
      };
      await scene.putMany(10);
      await scene.put('large', LARGE);
      await scene.converged();
    },
  },
  {
    name: '100 Continue and the answer, cut into pieces anywhere',
    hooks: () => ({ whenWhole: () => inPieces }),
    async play(scene) {
      await scene.putMany(10);
      await scene.converged();
      assert.equal(scene.target.requestsOf('put').length, 10);
    },
  },
  {
    name: '100 Continue, and then a refusal: the refusal is what is read',
    hooks: () => ({ whenWhole: () => preceded(CONTINUE, errorAnswer(404, 'NoSuchBucket')) }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.showsError(/bucket does not exist/);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'interim answers without end, and never a final one: given up',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1
          ? async ({ socket, pass }) => {
              while (!socket.destroyed) {
                socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(1_000));
                await pass(1_000);
              }
            }
          : undefined,
    }),
    async play(scene) {
      await scene.putMany(3);
      await scene.converged();
    },
  },
  {
    name: '101 Switching Protocols: no success',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth <= 2
          ? ({ socket }) =>
              void socket.end(
                'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
              )
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
    },
  },
];

export const interimAnswers: readonly WildCase[] = [...beforeAnswers, ...others];
