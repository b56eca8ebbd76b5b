/** Targets that answer with an error: what is read of it, and what is let through. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { judge } from '../../src/model/outcome.ts';
import { until } from '../support/until.ts';
import { failureOf, openClient, PLAIN, type ClientSettings } from './open-client.ts';
import { errorXml, startHttpTarget, startRawTarget } from '../support/scripted-target.ts';

const SMALL = Buffer.from('small');
const LARGE = Buffer.alloc(8 * 1024 * 1024, 7);

describe('an answer that is an error', () => {
  const NOW_MS = Date.UTC(2026, 0, 1);
  type Answer = (response: ServerResponse) => void;
  const reply =
    (status: number, body = '', headers: Record<string, string> = {}): Answer =>
    (response) =>
      void response.writeHead(status, headers).end(body);

  async function putFailure(
    t: Parameters<typeof openClient>[0],
    answer: Answer,
    settings: Partial<ClientSettings> = {},
  ) {
    const target = await startHttpTarget(t, (_request, response) => answer(response));
    const client = openClient(t, { port: target.port, wallClockMs: () => NOW_MS, ...settings });
    return failureOf(await client.putObject('key', PLAIN, SMALL));
  }

  const cases: [name: string, answer: Answer, failure: Record<string, unknown>][] = [
    [
      'a code and an id',
      reply(403, errorXml('AccessDenied')),
      { status: 403, code: 'AccessDenied', requestId: 'REQ1', ambiguous: false },
    ],
    [
      'the id of the header',
      reply(403, errorXml('AccessDenied'), { 'x-amz-request-id': 'REQ2' }),
      { status: 403, code: 'AccessDenied', requestId: 'REQ2', ambiguous: false },
    ],
    [
      'no XML',
      reply(502, '<html><Code>AccessDenied</Code></html>'),
      { status: 502, ambiguous: true },
    ],
    ['nothing', reply(400), { status: 400, ambiguous: false }],
    [
      'a code that is none',
      reply(400, errorXml('../../etc')),
      { status: 400, requestId: 'REQ1', ambiguous: false },
    ],
    [
      'a code that is too long',
      reply(400, errorXml('A'.repeat(65))),
      { status: 400, requestId: 'REQ1', ambiguous: false },
    ],
    [
      'an id that is not printable',
      reply(400, '', { 'x-amz-request-id': 'a\tb\xff' }),
      { status: 400, requestId: 'ab', ambiguous: false },
    ],
    [
      'an internal error',
      reply(500, errorXml('InternalError')),
      { status: 500, code: 'InternalError', requestId: 'REQ1', ambiguous: true },
    ],
    ['a bad gateway', reply(502), { status: 502, ambiguous: true }],
    ['a gateway that waited in vain', reply(504), { status: 504, ambiguous: true }],
    [
      'overload',
      reply(503, errorXml('SlowDown')),
      { status: 503, code: 'SlowDown', requestId: 'REQ1', ambiguous: false },
    ],
    ['no implementation', reply(501), { status: 501, ambiguous: false }],
    ['a full disk', reply(507), { status: 507, ambiguous: false }],
    [
      'seconds to wait',
      reply(503, '', { 'retry-after': '120' }),
      { status: 503, retryAfterMs: 120_000, ambiguous: false },
    ],
    [
      'a date to wait for',
      reply(429, '', { 'retry-after': new Date(NOW_MS + 90_000).toUTCString() }),
      { status: 429, retryAfterMs: 90_000, ambiguous: false },
    ],
    [
      'a date that has passed',
      reply(503, '', { 'retry-after': new Date(NOW_MS - 90_000).toUTCString() }),
      { status: 503, retryAfterMs: 0, ambiguous: false },
    ],
    [
      'nonsense to wait for',
      reply(503, '', { 'retry-after': '-1' }),
      { status: 503, ambiguous: false },
    ],
  ];
  for (const [name, answer, failure] of cases) {
    it(`is read with ${name}`, async (t) => {
      assert.deepEqual(await putFailure(t, answer), { stage: 'answer', ...failure });
    });
  }

  it('is read to 64 KiB, and its connection given up', async (t) => {
    let closed = 0;
    const target = await startHttpTarget(t, (_request, response) => {
      const blanks = Buffer.alloc(256 * 1024, ' ');
      // Without an end: who reads on reads for ever.
      const fill = (): void => {
        while (response.write(blanks));
      };
      response.on('drain', fill).on('error', () => undefined);
      response.on('close', () => (closed += 1));
      response.writeHead(503).write(errorXml('SlowDown'));
      fill();
    });
    const client = openClient(t, { port: target.port, connections: 1 });
    for (const round of [1, 2]) {
      assert.equal(failureOf(await client.putObject('key', PLAIN, SMALL)).code, 'SlowDown');
      await until(() => closed === round, 'the end of the connection');
    }
    assert.equal(target.sockets(), 2);
  });

  it('is quoted from public addresses only', async (t) => {
    const answer = reply(418, errorXml('Teapot'));
    assert.equal((await putFailure(t, answer)).message, undefined);
    const fromPublic = await putFailure(t, answer, { exemptKinds: [], allow: ['127.0.0.1/32'] });
    assert.equal(fromPublic.message, 'Their words.');
  });

  it('is quoted in 200 printable characters', async (t) => {
    const body = errorXml('Teapot').replace(
      'Their words.',
      ` &lt;b&gt;\u0007&#x41;&#99999999;\u202e${'😀'.repeat(300)}`,
    );
    const { message = '' } = await putFailure(t, reply(418, body), { allow: ['127.0.0.1/32'] });
    assert.equal([...message].length, 200);
    assert.ok(message.startsWith('<b> A&#99999999; 😀'), message);
  });

  const regions: [name: string, message: string | undefined, answer: Answer][] = [
    [
      'in the document',
      'The target expects the region eu-west-1.',
      reply(400, errorXml('AuthorizationHeaderMalformed', '<Region>eu-west-1</Region>')),
    ],
    [
      'in a header',
      'The target expects the region eu-west-1.',
      reply(400, '', { 'x-amz-bucket-region': 'eu-west-1' }),
    ],
    [
      'in the header of a redirect',
      'The target expects the region eu-west-1.',
      reply(301, errorXml('PermanentRedirect'), { 'x-amz-bucket-region': 'eu-west-1' }),
    ],
    [
      'that is ours',
      undefined,
      reply(400, errorXml('AuthorizationHeaderMalformed', '<Region>us-east-1</Region>')),
    ],
    [
      'that is none',
      undefined,
      reply(400, errorXml('AuthorizationHeaderMalformed', '<Region>&lt;script&gt;</Region>')),
    ],
    ['that is missing', undefined, reply(400, errorXml('AuthorizationHeaderMalformed'))],
  ];
  for (const [name, message, answer] of regions) {
    it(`names a region ${name}, in our words`, async (t) => {
      const failure = await putFailure(t, answer, { allow: ['127.0.0.1/32'] });
      assert.equal(failure.message, message);
      if (message !== undefined) assert.ok(judge(failure).reason.includes(message));
    });
  }

  it('may come before the body was sent', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      socket.once('data', () => socket.write(`HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n`)),
    );
    const failure = failureOf(
      await openClient(t, { port: target.port }).putObject('key', PLAIN, LARGE),
    );
    assert.deepEqual(failure, { stage: 'answer', status: 500, ambiguous: false });
  });

  it('is not a success because the body had not been sent', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')),
    );
    const failure = failureOf(
      await openClient(t, { port: target.port }).putObject('key', PLAIN, LARGE),
    );
    assert.deepEqual(failure, { stage: 'unproven', status: 200, ambiguous: true });
  });
});
