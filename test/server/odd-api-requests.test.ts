import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sendRaw } from './s3/s3-server.ts';
import { logIn, startServer, type ServerProcess } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'];
const segments = [
  '%00',
  'a%00b',
  '%ff',
  '%c0%80',
  '%ed%a0%80',
  '%',
  '%zz',
  '%2F',
  '..',
  '%2e%2e',
  '',
  '%F0%9F%98%80',
  '%EF%BF%BF',
  'a'.repeat(5_000),
  '-1',
  '9'.repeat(40),
  '__proto__',
  'constructor',
  '\xff',
];
const paths = ['/api', '/api/v1/buckets', '/api/v1/users', '/livez', '/readyz', '/metrics'];

describe('an odd request to the JSON API', () => {
  const dataDirectory = temporaryDirectory({ after });
  let server: ServerProcess;
  let token: string;
  before(async () => {
    server = await startServer({ dataDirectory });
    token = await logIn(server.url);
  });
  after(() => server.stop());

  async function statusOf(
    requestLine: string,
    headers: readonly string[],
    body = '',
  ): Promise<number> {
    const lines = [requestLine, 'Host: x', 'Connection: close', ...headers, '', body];
    const answer = await sendRaw(server.port, [Buffer.from(lines.join('\r\n'), 'latin1')]);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  }

  /** 501 is what S3 answers to a path of its own without a signature's operation. */
  function assertOwnFault(status: number, what: string): void {
    assert.ok((status >= 200 && status < 500) || status === 501, `${what}: ${status}`);
    assert.doesNotMatch(server.stderr(), /"level":50/, what);
  }

  for (const segment of segments) {
    it(`is never the server's own fault: the segment ${JSON.stringify(segment.slice(0, 20))}`, async () => {
      const authorization = `Authorization: Bearer ${token}`;
      for (const path of paths) {
        for (const target of [`${path}/${segment}`, `${path}/${segment}/versioning`]) {
          for (const method of METHODS) {
            const status = await statusOf(`${method} ${target} HTTP/1.1`, [authorization]);
            assertOwnFault(status, `${method} ${target.slice(0, 60)}`);
          }
        }
        const status = await statusOf(`GET ${path}?${segment}=${segment} HTTP/1.1`, [
          authorization,
        ]);
        assertOwnFault(status, `GET ${path}?${segment.slice(0, 20)}`);
      }
    });
  }

  const oddHeaders = [
    'Authorization: Bearer',
    'Authorization: Bearer \xff',
    `Authorization: Bearer ${'a.'.repeat(3_000)}`,
    'Authorization: Bearer eyJhbGciOiJub25lIn0..',
    'Content-Type: \xff',
    'Content-Type: application/json; charset=nonsense',
    'Content-Type: application/json; charset=utf-7',
    'Content-Encoding: nonsense',
    'Content-Encoding: gzip',
    'Content-Encoding: br',
    'X-Forwarded-For: \xff, %00, 999.9.9.9',
    `X-Forwarded-For: ${'1.2.3.4, '.repeat(1_000)}`,
    'X-Request-Id: \xff',
    'Expect: nonsense',
    'If-Match: \xff',
    'Accept: \xff',
    'Accept-Encoding: \xff;q=-1',
    'Host: ',
  ];
  const bodies = [
    '',
    '{',
    '[]',
    'null',
    '{"username":1}',
    '{"username":"\\u0000","password":"\\ud800"}',
  ];
  for (const header of oddHeaders) {
    it(`is never the server's own fault: ${JSON.stringify(header.slice(0, 50))}`, async () => {
      for (const body of bodies) {
        for (const path of ['/api/v1/users/login', '/api/v1/buckets', '/api/v1/users/accessKeys']) {
          const headers = [
            ...(header.startsWith('Content-Type') ? [] : ['Content-Type: application/json']),
            `Content-Length: ${body.length}`,
            header,
          ];
          assertOwnFault(await statusOf(`POST ${path} HTTP/1.1`, headers, body), `${path} ${body}`);
        }
      }
    });
  }

  it('is never the server’s own fault: names of buckets that none can have', async () => {
    const headers = [`Authorization: Bearer ${token}`, 'Content-Type: application/json'];
    for (const name of [
      '\0',
      'a\0b',
      '',
      '\ud800',
      'é',
      'a'.repeat(5_000),
      '__proto__',
      -1,
      null,
    ]) {
      const body = JSON.stringify({ name });
      const length = `Content-Length: ${Buffer.byteLength(body, 'latin1')}`;
      const status = await statusOf('POST /api/v1/buckets HTTP/1.1', [...headers, length], body);
      assert.equal(status, 400, JSON.stringify(name));
    }
  });
});
