/** Broken connections, early answers, and bytes that are no HTTP. */
import assert from 'node:assert/strict';
import {
  answerBytes,
  errorAnswer,
  htmlAnswer,
  type TargetAnswer,
} from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import {
  applied,
  closedAfterwards,
  finish,
  inHttp10,
  reset,
  type Exchange,
  type Reaction,
} from '../support/fake-target/reactions.ts';
import type { ReceivedHead } from '../support/fake-target/received-request.ts';
import type { WildCase } from './wild-case.ts';

const MIB = 1024 * 1024;
const SIX_MIB = Buffer.alloc(6 * MIB, 'x');

const isFirstPut = ({ operation, nth }: ReceivedHead): boolean => operation === 'put' && nth === 1;
const atFirst = (reaction: Reaction) => (): TargetHooks => ({
  whenWhole: (request) => (isFirstPut(request) ? reaction : undefined),
});
const always = (reaction: Reaction) => (): TargetHooks => ({ whenWhole: () => reaction });

/** Before anything of the body is read; then the connection ends as told. */
const early =
  (bytes: Buffer, how: 'fin' | 'rst' | 'open') =>
  ({ socket }: Exchange): void => {
    socket.write(bytes, () => {
      if (how === 'fin') socket.end();
      if (how === 'rst') socket.resetAndDestroy();
    });
  };

/** What the target does to the first put of each key; then it behaves. */
const FIRST_PUTS: readonly (readonly [name: string, Reaction])[] = [
  ['FIN instead of an answer', finish],
  ['RST instead of an answer', reset],
  ['it is stored, then FIN instead of an answer', applied(finish)],
  ['it is stored, then RST instead of an answer', applied(reset)],
  ['half a status line, then FIN', ({ socket }) => void socket.end('HTTP/1.1 2')],
  [
    'half a body, then FIN',
    ({ socket, apply }) => {
      apply();
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<half>');
    },
  ],
  ['the greeting of an SSH server', ({ socket }) => void socket.end('SSH-2.0-OpenSSH_9.6\r\n')],
  [
    'TLS where plain text is asked for',
    ({ socket }) => void socket.end('\x15\x03\x01\x00\x02\x02F'),
  ],
  [
    'headers of 64 KiB',
    ({ socket }) =>
      void socket.end(
        `HTTP/1.1 200 OK\r\nx-long: ${'x'.repeat(65_536)}\r\ncontent-length: 0\r\n\r\n`,
      ),
  ],
  [
    'two lengths that differ',
    ({ socket }) =>
      void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\nhello'),
  ],
  [
    'an answer twice',
    ({ socket, request, apply }) => {
      const bytes = answerBytes(apply(), request.method);
      socket.write(Buffer.concat([bytes, bytes]));
    },
  ],
  [
    'a body of 10 MiB with an error',
    ({ socket }) =>
      void socket.end(answerBytes({ status: 500, body: Buffer.alloc(10 * MIB, 'e') }, 'PUT')),
  ],
];

const broken = FIRST_PUTS.map(([name, reaction]): WildCase => ({
  name: `the first put of each of five keys: ${name}`,
  hooks: atFirst(reaction),
  async play(scene) {
    await scene.putMany(5);
    await scene.converged();
  },
}));

/** Answers that come while the body is on its way. */
const earlyCases = (['fin', 'rst', 'open'] as const).flatMap((how): WildCase[] =>
  (
    [
      ['403', errorAnswer(403, 'AccessDenied'), /denies access|connection/],
      ['503', errorAnswer(503, 'SlowDown'), /fewer requests|connection/],
      ['200 with the right ETag', null, /\w \w/],
      ['413 with HTML', htmlAnswer(413, 'Too large'), /too large|connection/],
    ] as const
  ).map(([name, answer, sentence]) => ({
    name: `${name} before a body of 6 MiB is read, and the connection: ${how}`,
    hooks: () => ({
      whenHead: (head) =>
        head.operation === 'put'
          ? early(answerBytes(answer ?? claimed(head), 'PUT'), how)
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', SIX_MIB);
      await scene.until(
        async () => sentence.test(String((await scene.tasks())[0]?.lastError)),
        () => 'the failure to show',
      );
      assert.notEqual(await scene.header('photo'), 'COMPLETED');
      scene.heal();
      await scene.converged();
    },
  })),
);

/** What would be said of the body that was announced. */
function claimed({ headers }: ReceivedHead): TargetAnswer {
  const md5 = Buffer.from(headers.get('content-md5') ?? '', 'base64').toString('hex');
  return { status: 200, headers: { etag: `"${md5}"` } };
}

const answersInOtherWays: readonly (readonly [name: string, () => TargetHooks])[] = [
  ['HTTP/1.0', always(inHttp10)],
  ['FIN after each answer, unannounced', always(closedAfterwards('fin'))],
  ['RST after each answer', always(closedAfterwards('rst'))],
  [
    'connection: close with each answer',
    always(({ socket, request, apply }) => {
      const answer = apply();
      const headers = { ...answer.headers, connection: 'close' };
      socket.end(answerBytes({ ...answer, headers }, request.method));
    }),
  ],
  [
    'each answer byte by byte',
    always(({ socket, request, apply }) => {
      for (const byte of answerBytes(apply(), request.method)) socket.write(Buffer.of(byte));
    }),
  ],
  [
    'chunked, with extensions and a trailer',
    always(({ socket, request, apply }) => {
      const { status, headers = {}, body = '' } = apply();
      const text = String(body);
      if (request.method === 'HEAD' || text === '') {
        socket.write(answerBytes({ status, headers, body }, request.method));
        return;
      }
      const head = { ...headers, 'transfer-encoding': 'chunked' };
      const chunk = `${text.length.toString(16)};why=not\r\n${text}\r\n0\r\nx-trailer: yes\r\n\r\n`;
      socket.write(answerBytes({ status, headers: head, body: chunk }, request.method));
    }),
  ],
  [
    'bodies that end with the connection',
    always(({ socket, request, apply }) => {
      const { status, headers = {}, body = '' } = apply();
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      const bytes = request.method === 'HEAD' ? '' : String(body);
      socket.end(`HTTP/1.1 ${status} OK\r\n${lines.join('')}connection: close\r\n\r\n${bytes}`);
    }),
  ],
  [
    // OpenStack Swift's s3api.
    'stray bytes after errors of HEAD',
    () => ({
      whenWhole: ({ operation, key, nth }) => {
        // So that there is something to look for.
        if (operation === 'put' && key === 'object-2' && nth === 1) return finish;
        return operation === 'head'
          ? ({ socket }) => void socket.write('HTTP/1.1 404 Not Found\r\n\r\n0\r\n\r\n')
          : undefined;
      },
    }),
  ],
];

const otherWays = answersInOtherWays.map(([name, hooks]): WildCase => ({
  name: `all answers: ${name}; puts, deletes and a large object arrive`,
  hooks,
  async play(scene) {
    await scene.putMany(20);
    await scene.put('large', Buffer.alloc(9 * MIB, 'z'));
    await scene.arrived();
    await scene.remove('object-0');
    await scene.put('object-1', 'changed');
    await scene.converged();
  },
}));

const shares = (
  [
    ['30 % of requests are reset', 0.3, reset],
    ['30 % are done and then reset', 0.3, applied(reset)],
    ['10 % are answered with 500', 0.1, errorAnswer(500, 'InternalError')],
    ['10 % are done and then answered with 500', 0.1, applied(errorAnswer(500, 'InternalError'))],
    ['30 % are answered with 503', 0.3, errorAnswer(503, 'SlowDown')],
    ['20 % end with FIN', 0.2, finish],
  ] as const
).map(([name, share, reaction]): WildCase => ({
  name: `${name}: 60 objects, 10 deletes and a large object arrive`,
  hooks() {
    let seen = 0;
    // A low-discrepancy sequence: the same requests at every run, evenly spread.
    return {
      whenWhole: () => ((++seen * 0.618_034) % 1 < share ? reaction : undefined),
    };
  },
  async play(scene) {
    const keys = await scene.putMany(60);
    await scene.put('large', Buffer.alloc(17 * MIB, 'z'));
    await scene.arrived();
    await Promise.all(keys.slice(0, 10).map((key) => scene.remove(key)));
    await scene.converged();
  },
}));

const others: readonly WildCase[] = [
  {
    name: 'connections are reset as they are made, for two minutes',
    hooks: () => ({
      whenConnected: (socket) => {
        socket.resetAndDestroy();
        return true;
      },
    }),
    async play(scene) {
      await scene.putMany(5);
      await scene.showsError(/connection/i);
      await scene.passSeconds(120);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'nothing listens, for two minutes',
    async play(scene) {
      const { port } = scene.target;
      await scene.target.close();
      await scene.putMany(5);
      await scene.showsError(/refuses connections/);
      await scene.passSeconds(120);
      await scene.target.listen(port);
      await scene.converged();
    },
  },
];

export const connections: readonly WildCase[] = [
  ...broken,
  ...earlyCases,
  ...otherWays,
  ...shares,
  ...others,
];
