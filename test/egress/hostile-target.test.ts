/**
 * Targets that mean harm: whatever they answer, a request ends in bounded time and memory as a value,
 * and nothing of it spoils the next one.
 */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { judge } from '../../src/model/outcome.ts';
import type { TargetClient } from '../../src/egress/target-client.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { until } from '../support/until.ts';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import {
  onEachRequest,
  startHttpTarget,
  startRawTarget,
  type TestContext,
} from '../support/scripted-target.ts';
import { ManualClock } from './manual-clock.ts';
import { costOf } from '../support/cpu-time.ts';

const SMALL = Buffer.from('small');
const UPLOAD = { key: 'key', uploadId: 'id' };
const MIB = 1024 * 1024;

type Reply = (socket: Socket) => void;

/** What a PUT comes to at a target that answers so. */
async function putFailure(t: TestContext, reply: Reply): Promise<RequestFailure> {
  const target = await startRawTarget(t, (socket) => onEachRequest(socket, () => reply(socket)));
  const client = openClient(t, { port: target.port });
  const failure = failureOf(await client.putObject('key', PLAIN, SMALL));
  assert.equal(target.sockets(), 1);
  return failure;
}

const KEPT_MAX = 64 * MIB;
/** It is read for 30 s, gigabytes of it: 50 to 60 MiB of garbage wait to be collected at the end. */
const KEPT_OF_STATUS_LINE_MAX = 128 * MIB;

/** Writes for as long as somebody reads. */
function flood(head: string, piece: string): Reply {
  const block = Buffer.from(piece.repeat(Math.ceil(65_536 / piece.length)));
  return (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(block));
    };
    socket.write(head);
    socket.on('drain', more);
    more();
  };
}

const withText = (status: string, text: string, headers = ''): Reply => {
  const body = Buffer.from(text);
  return (socket) => {
    socket.write(`HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
  };
};

describe('an answer that is hostile in form', () => {
  const line = (n: number): string => `X-Line-${n}: v\r\n`;
  const lines = Array.from({ length: 100_000 }, (_, n) => line(n)).join('');
  const cases: [name: string, reply: Reply, keptMax?: number][] = [
    ['100,000 header lines', (socket) => socket.write(`HTTP/1.1 200 OK\r\n${lines}\r\n`)],
    [
      'a header line of 1 MiB',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nA: ${'x'.repeat(MIB)}\r\n\r\n`),
    ],
    ['header lines without end', flood('HTTP/1.1 200 OK\r\n', 'A: b\r\n')],
    ['a status line without end', flood('HTTP/1.1 200 ', 'O'), KEPT_OF_STATUS_LINE_MAX],
    [
      'trailers without end',
      flood('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', 'A: b\r\n'),
    ],
    [
      'an upgrade',
      (socket) =>
        socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n',
        ),
    ],
    [
      'another protocol after a switch that nobody asked for',
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'),
    ],
    [
      'two lengths',
      (socket) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'),
    ],
    [
      'a length and chunks',
      (socket) =>
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
        ),
    ],
    [
      'a length beyond all numbers',
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\n`),
    ],
    [
      'a chunk beyond all numbers',
      (socket) =>
        socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'f'.repeat(40)}\r\n`),
    ],
    ['a status of four digits', (socket) => socket.write('HTTP/1.1 2000 OK\r\n\r\n')],
    ['interim answers without end', flood('', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n')],
    ['100 Continue without end', flood('', 'HTTP/1.1 100 Continue\r\n\r\n')],
    ['an interim answer without end', flood('HTTP/1.1 100 Continue\r\n', 'A: b\r\n')],
    ['an interim line without end', flood('HTTP/1.1 100 ', 'O')],
    ['line ends without end', flood('', '\r\n')],
    ['HTTP/2', (socket) => socket.write('\0\0\0\x04\0\0\0\0\0')],
  ];
  for (const [name, reply, keptMax = KEPT_MAX] of cases) {
    it(`is a broken connection: ${name}`, async (t) => {
      const before = process.memoryUsage().rss;
      const failure = await putFailure(t, reply);
      assert.equal(failure.stage, 'transfer');
      assert.match(failure.code ?? '', /^[A-Z0-9_]+$/);
      assert.ok(process.memoryUsage().rss - before < keptMax);
    });
  }

  const endless: [name: string, reply: Reply][] = [
    [
      'an extension of a chunk',
      flood('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1', ';a=b'),
    ],
  ];
  for (const [name, reply] of endless) {
    it(`makes no progress by ${name} without end`, async (t) => {
      const target = await startRawTarget(t, (socket) =>
        onEachRequest(socket, () => reply(socket)),
      );
      const clock = new ManualClock();
      const client = openClient(t, { port: target.port, clock });
      const failure = await failureInTime(clock, 120_000, client.putObject('key', PLAIN, SMALL));
      assert.deepEqual(failure, { stage: 'transfer', code: 'ETIMEDOUT', ambiguous: true });
    });
  }

  it('may drip while an upload is completed, though not for ever', async (t) => {
    const sockets: Socket[] = [];
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        sockets.push(socket);
      }),
    );
    const clock = new ManualClock();
    const client = openClient(t, { port: target.port, clock });
    const result = client.completeMultipartUpload(UPLOAD, [], '');
    await until(() => sockets.length === 1, 'the request');
    const drip = (): void => void (clock.nowMs() % 10_000 === 0 && sockets[0]!.write('1\r\n \r\n'));
    const failure = await failureInTime(clock, 700_000, result, drip);
    assert.deepEqual(failure, { stage: 'transfer', code: 'ETIMEDOUT', ambiguous: true });
    assert.ok(clock.nowMs() >= 600_000);
  });

  it('is one answer where interim ones come before it', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => {
        for (const status of ['102 Processing', '103 Early Hints']) {
          socket.write(`HTTP/1.1 ${status}\r\nETag: "x"\r\n\r\n`);
        }
        socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      }),
    );
    valueOf(await openClient(t, { port: target.port }).deleteObject('key'));
  });

  it('is read with names of headers that objects have by nature', async (t) => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf'];
    const headers = names.flatMap((name) => [`${name}: 1`, `${name}: 2`]).join('\r\n');
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () =>
        socket.write(
          `HTTP/1.1 200 OK\r\n${headers}\r\nx-amz-meta-__proto__: 3\r\nContent-Length: 0\r\n\r\n`,
        ),
      ),
    );
    const head = valueOf(await openClient(t, { port: target.port }).headObject('key'));
    assert.ok(head.exists);
    assert.deepEqual(Object.entries(head.userMetadata), [['__proto__', '3']]);
  });

  it('does not answer the request after it', async (t) => {
    let count = 0;
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, () => {
        count += 1;
        socket.write('HTTP/1.1 204 No Content\r\n\r\n');
        // A second answer, to nothing.
        if (count === 1) socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      }),
    );
    const client = openClient(t, { port: target.port, connections: 1 });
    valueOf(await client.deleteObject('a'));
    valueOf(await client.deleteObject('b'));
  });
});

describe('an answer that is hostile in what it says', () => {
  const billion = `<?xml version="1.0"?><!DOCTYPE Error [<!ENTITY a "${'x'.repeat(100)}"><!ENTITY b "&a;&a;&a;">]>`;
  const external = '<!DOCTYPE Error [<!ENTITY a SYSTEM "file:///etc/passwd">]>';
  const documents: [name: string, text: string, code: string | undefined][] = [
    ['entities of entities', `${billion}<Error><Code>&b;&b;&b;</Code></Error>`, undefined],
    ['an external entity', `${external}<Error><Code>&a;</Code></Error>`, undefined],
    ['deep nesting', `<Error>${'<a>'.repeat(20_000)}<Code>Deep</Code>`, 'Deep'],
    ['a code within a code', '<Error><Code><Code>Inner</Code></Code></Error>', undefined],
    ['many codes', `<Error>${'<Code>First</Code><Code>Other</Code>'.repeat(1_500)}`, 'First'],
    ['characters beyond Unicode', '<Error><Code>&#x110000;&#9999999;</Code></Error>', undefined],
    ['half a character', '<Error><Code>&#xD800;</Code></Error>', undefined],
    ['blanks before all of it', `${' '.repeat(60_000)}<Error><Code>Late</Code></Error>`, 'Late'],
    ['a start without an end', '<Error><Code>'.repeat(5_000), undefined],
    ['zeros', `<Error><Code>A\0B</Code></Error>${'\0'.repeat(1_000)}`, undefined],
    ['bytes that are no UTF-8', '<Error><Code>A\xff\xfe</Code></Error>', undefined],
    ['a declaration without an end', `<?xml ${'<?'.repeat(20_000)}`, undefined],
  ];
  for (const [name, text, code] of documents) {
    it(`is read for no more than a code: ${name}`, async (t) => {
      const answered = withText('400 Bad Request', text);
      const { result: failure, cpuMs } = await costOf(() => putFailure(t, answered));
      assert.deepEqual([failure.stage, failure.status, failure.code], ['answer', 400, code]);
      assert.ok(cpuMs < 5_000, `${cpuMs} ms of processor time`);
      const { reason } = judge(failure);
      assert.ok(reason.length < 400 && /^[\x20-\x7e]*$/.test(reason), reason);
    });
  }

  const waits: [value: string, ms: number | undefined][] = [
    ['99999999', 3_600_000],
    ['999999999', 3_600_000],
    ['9'.repeat(30), undefined],
    ['-1', undefined],
    ['1e9', undefined],
    ['0x10', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['Wed, 01 Jan 1800 00:00:00 GMT', 0],
    ['Wed, 01 Jan 9999 00:00:00 GMT', 3_600_000],
    ['Wed, 01 Jan 999999 00:00:00 GMT', undefined],
    ['Wed, 99 Foo 2026 99:99:99 GMT', undefined],
  ];
  for (const [value, ms] of waits) {
    it(`asks to be left alone for an hour at most: ${value}`, async (t) => {
      const reply = withText('503 Service Unavailable', '', `Retry-After: ${value}\r\n`);
      const outcome = judge(await putFailure(t, reply));
      assert.equal(outcome.kind, 'retry');
      assert.equal('afterMs' in outcome ? outcome.afterMs : undefined, ms);
    });
  }
});

describe('a hostile answer in the course of an upload', () => {
  const initiated = (id: string): string =>
    `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`;
  const part = (number: number | string, etag = 'a'.repeat(32)): string =>
    `<Part><PartNumber>${number}</PartNumber><ETag>${etag}</ETag><Size>1</Size></Part>`;
  const page = (parts: string, isTruncated = false): string =>
    `<ListPartsResult><IsTruncated>${isTruncated}</IsTruncated>${parts}</ListPartsResult>`;

  async function answering(t: TestContext, text: string, headers = {}): Promise<TargetClient> {
    const target = await startHttpTarget(t, (_request, response) =>
      response.writeHead(200, headers).end(text),
    );
    return openClient(t, { port: target.port });
  }

  for (const [name, id] of [
    ['with control characters', 'a\r\nHost: other'],
    ['with a zero', 'a\0'],
    ['with characters that are none', '&#xD800;'],
    ['that is not ASCII', 'ü'],
    ['with blanks', 'a b'],
    ['of 1 MiB', 'a'.repeat(MIB)],
    ['of 10,000 characters', 'a'.repeat(10_000)],
  ] as const) {
    it(`is no id of an upload: one ${name}`, async (t) => {
      const client = await answering(t, initiated(id));
      assert.equal(failureOf(await client.createMultipartUpload('key', PLAIN)).stage, 'unproven');
    });
  }

  it('may be an id of 1,000 characters with all signs', async (t) => {
    const uploadId = `a/+=&amp;?#%2F..${'x'.repeat(1_000)}`;
    const client = await answering(t, initiated(uploadId));
    const { uploadId: read } = valueOf(await client.createMultipartUpload('key', PLAIN));
    assert.equal(read, uploadId.replace('&amp;', '&'));
  });

  for (const number of ['0', '-1', '1.5', '10001', '9007199254740993', '1e3000', 'NaN', '']) {
    it(`is no list of parts with the number ${JSON.stringify(number)}`, async (t) => {
      const client = await answering(t, page(part(number), true));
      assert.equal(failureOf(await client.listParts(UPLOAD)).stage, 'integrity');
    });
  }

  it('holds no ETag that is none', async (t) => {
    const client = await answering(t, page(part(1, 'x'.repeat(60_000))));
    assert.deepEqual(valueOf(await client.listParts(UPLOAD)), {
      parts: [{ partNumber: 1, etag: null, size: 1 }],
      next: null,
    });
  });

  it('is not asked to keep an ETag of a part that is far too long', async (t) => {
    const client = await answering(t, '', { etag: 'x'.repeat(20_000) });
    assert.equal(failureOf(await client.uploadPart(UPLOAD, 1, SMALL)).stage, 'unproven');
  });
});

/** Moves the clock until the request has failed, which it must in so many milliseconds of it. */
async function failureInTime(
  clock: ManualClock,
  limitMs: number,
  request: Promise<RequestResult<unknown>>,
  eachStep: () => void = () => undefined,
): Promise<RequestFailure> {
  let isDone = false;
  void request.finally(() => (isDone = true));
  while (!isDone && clock.nowMs() < limitMs) {
    for (let turns = 0; turns < 20; turns++) await turn();
    eachStep();
    clock.advance(5_000);
  }
  assert.ok(isDone, `it still runs after ${limitMs} ms`);
  return failureOf(await request);
}
