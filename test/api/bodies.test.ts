/**
 * Bodies that are not one plain JSON object: what is refused, with which code, and that nothing of
 * the body reaches the answer or the log, where parsers like to quote it.
 */
import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { OWNER } from '../support/koa-host.ts';
import { rawHead, sendRaw } from '../support/raw-http.ts';
import { targetBody, uniqueSecret } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';

const host = await startReplicationHost({ after });
const secret = uniqueSecret();
const valid = JSON.stringify({ targets: [targetBody({ secretAccessKey: secret })] });
const UTF8_BOM = '\u{feff}';

interface Case {
  readonly name: string;
  readonly body: string | Uint8Array;
  readonly headers?: Record<string, string>;
  readonly status: number;
  readonly code: string;
}

const malformed = { status: 400, code: 'MalformedJSON' } as const;
const unsupported = { status: 415, code: 'UnsupportedMediaType' } as const;
const invalid = { status: 400, code: 'InvalidRequest' } as const;
const type = (value: string) => ({ headers: { 'content-type': value } });
const encoded = (value: string) => ({ headers: { 'content-encoding': value } });

const cases: readonly Case[] = [
  { name: 'text', body: valid, ...type('text/plain'), ...unsupported },
  {
    name: 'a form',
    body: `targets=${secret}`,
    ...type('application/x-www-form-urlencoded'),
    ...unsupported,
  },
  {
    name: 'multipart',
    body: `--b\r\n\r\n${secret}\r\n--b--`,
    ...type('multipart/form-data; boundary=b'),
    ...unsupported,
  },
  { name: 'JSON API', body: valid, ...type('application/vnd.api+json'), ...unsupported },
  { name: 'a JSON patch', body: valid, ...type('application/json-patch+json'), ...unsupported },
  { name: 'a security report', body: valid, ...type('application/csp-report'), ...unsupported },
  { name: 'text/json', body: valid, ...type('text/json'), ...unsupported },
  { name: 'a malformed type', body: valid, ...type('json'), ...unsupported },
  { name: 'an empty type', body: valid, ...type(''), ...unsupported },
  { name: 'an unknown encoding', body: valid, ...encoded('zstd-of-tomorrow'), ...unsupported },
  { name: 'corrupt gzip', body: valid, ...encoded('gzip'), ...malformed },
  {
    name: 'truncated gzip',
    body: gzipSync(valid).subarray(0, 60),
    ...encoded('gzip'),
    ...malformed,
  },
  {
    name: 'gzip with a wrong checksum',
    body: withFlippedByte(gzipSync(valid), -6),
    ...encoded('gzip'),
    ...malformed,
  },
  {
    name: 'gzip of broken JSON',
    body: gzipSync(valid.slice(0, -1)),
    ...encoded('gzip'),
    ...malformed,
  },
  {
    name: 'a gzip bomb',
    body: gzipSync(Buffer.alloc(64 * 1024 * 1024, ' ')),
    ...encoded('gzip'),
    status: 413,
    code: 'EntityTooLarge',
  },
  {
    name: '1 MiB and 1 byte',
    body: valid.padEnd(1024 * 1024 + 1),
    status: 413,
    code: 'EntityTooLarge',
  },
  { name: 'an empty body', body: '', ...invalid },
  { name: 'white space', body: ' \r\n ', ...malformed },
  { name: 'UTF-16', body: Buffer.from(valid, 'utf16le'), ...malformed },
  { name: 'an array', body: `[${valid}]`, ...invalid },
  { name: 'a string', body: JSON.stringify(secret), ...malformed },
  { name: 'a number', body: '17', ...malformed },
  { name: 'null', body: 'null', ...malformed },
  { name: 'true', body: 'true', ...malformed },
  { name: 'a cut body', body: valid.slice(0, -1), ...malformed },
  { name: 'a cut string', body: valid.slice(0, valid.indexOf(secret) + 8), ...malformed },
  { name: 'a comment', body: `/**/${valid}`, ...malformed },
  { name: 'a trailing comma', body: `${valid.slice(0, -1)},}`, ...malformed },
  { name: 'single quotes', body: valid.replaceAll('"', "'"), ...malformed },
  { name: 'something behind it', body: `${valid}${valid}`, ...malformed },
  { name: 'a NUL', body: `${valid}\0`, ...malformed },
  { name: 'nesting without end', body: '{"targets":'.repeat(80_000), ...malformed },
  {
    name: 'deep nesting',
    body: `{"targets":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
    ...invalid,
  },
  {
    name: '__proto__ beside the list',
    body: valid.replace('{', '{"__proto__":{"x":1},'),
    ...malformed,
  },
  {
    name: '__proto__ in a target',
    body: valid.replace('[{', '[{"__proto__":{"enabled":true},'),
    ...malformed,
  },
  { name: '__proto__ for the list', body: `{"__proto__":${valid}}`, ...malformed },
  { name: 'constructor.prototype', body: `{"constructor":{"prototype":${valid}}}`, ...invalid },
];

describe('bodies', () => {
  afterEach(async () => {
    assert.equal((await host.getTargets()).text, '{"targets":[]}');
    assert.equal(host.logText().includes(secret), false, 'the log holds no secret');
    assert.deepEqual(host.logs, [], 'a caller’s mistake is not worth a log line');
  });

  for (const { name, body, status, code, headers } of cases) {
    it(`${name}: ${status} ${code}`, async () => {
      const request = { body, headers: { 'content-type': 'application/json', ...headers } };
      const answer = await host.request(
        'PUT',
        '/api/v1/buckets/photos/replication/targets',
        request,
      );
      assert.deepEqual([answer.status, answer.json.code], [status, code]);
      assert.deepEqual(Object.keys(answer.json as object), ['error', 'reason', 'code', 'details']);
      assert.equal(answer.text.includes(secret), false, 'the answer holds no secret');
      assert.equal(/secret|AKIA|at .*\.ts|node_modules/.test(answer.json.reason), false);
      assert.equal(({} as Record<string, unknown>)['x'], undefined);
    });
  }
});

describe('bodies without a length', () => {
  const path = '/api/v1/buckets/photos/replication/targets';
  const headers = { Authorization: `Bearer ${OWNER}`, 'Content-Type': 'application/json' };

  it('chunks of more than 1 MiB in all: 413', async () => {
    const head = rawHead('PUT', path, { ...headers, 'Transfer-Encoding': 'chunked' });
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const answer = await sendRaw(host.url, `${head}${chunk.repeat(17)}0\r\n\r\n`);
    assert.deepEqual(
      [answer.status, (JSON.parse(answer.body) as { code: string }).code],
      [413, 'EntityTooLarge'],
    );
  });

  it('no body at all: 415, or 400 where its type is given', async () => {
    const untyped = rawHead('PUT', path, { Authorization: `Bearer ${OWNER}` });
    assert.equal((await sendRaw(host.url, untyped)).status, 415);
    assert.equal((await sendRaw(host.url, rawHead('PUT', path, headers))).status, 415);
    const empty = rawHead('PUT', path, { ...headers, 'Content-Length': '0' });
    assert.equal((await sendRaw(host.url, empty)).status, 400);
  });
});

describe('bodies that are accepted', () => {
  const accepted = {
    'valid gzip': { body: gzipSync(valid), headers: { 'content-encoding': 'gzip' } },
    'valid deflate': { body: deflateSync(valid), headers: { 'content-encoding': 'deflate' } },
    'valid brotli': { body: brotliCompressSync(valid), headers: { 'content-encoding': 'br' } },
    // RFC 8259 section 8.1 leaves it to the reader.
    'a byte order mark': { body: UTF8_BOM + valid, headers: {} },
    identity: { body: valid, headers: { 'content-encoding': 'identity' } },
    'a charset': { body: valid, headers: { 'content-type': 'application/json; charset=utf-8' } },
    'a type in capitals': { body: valid, headers: { 'content-type': 'APPLICATION/JSON' } },
    'exactly 1 MiB': { body: valid.padEnd(1024 * 1024), headers: {} },
    'white space around': { body: `\n\t ${valid}\r\n`, headers: {} },
    'a key given twice, of which the last one counts': {
      body: valid.replace('{', '{"targets":7,'),
      headers: {},
    },
  };
  for (const [name, { body, headers }] of Object.entries(accepted)) {
    it(name, async (t) => {
      t.after(() => host.putTargets([]));
      const answer = await host.putTargets([], {
        body,
        headers: { 'content-type': 'application/json', ...headers },
      });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.json.targets.length, 1);
      assert.equal(answer.text.includes(secret), false);
      assert.equal(host.logText().includes(secret), false);
    });
  }
});

function withFlippedByte(bytes: Buffer, index: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = index < 0 ? copy.length + index : index;
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}
