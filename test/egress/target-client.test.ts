/** What goes over the wire when all is well, and what is made of the answers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { createSigner, EMPTY_SHA256, type Header } from '../../src/egress/sigv4.ts';
import { until } from '../support/until.ts';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import {
  errorXml,
  startHttpTarget,
  startRawTarget,
  onEachRequest,
  type ReceivedRequest,
} from '../support/scripted-target.ts';

const BODY = Buffer.from('Welcome to Amazon S3.');
const MD5 = createHash('md5').update(BODY).digest('hex');
const ok = (_request: ReceivedRequest, response: ServerResponse): void =>
  void response.writeHead(200, { etag: `"${MD5}"` }).end();
/** With the ETag of what was sent. */
const stored = ({ body }: ReceivedRequest, response: ServerResponse): void =>
  void response.writeHead(200, { etag: createHash('md5').update(body).digest('hex') }).end();

/** Recomputes the signature of what arrived, from the bytes that arrived. */
function verifySignature(request: ReceivedRequest): readonly string[] {
  const names = /SignedHeaders=([^,]+)/.exec(request.headers.authorization!)![1]!.split(';');
  const [path = '', query = ''] = request.url.split('?', 2);
  const headers = names.map((name): Header => [name, String(request.headers[name])]);
  const expected = createSigner({
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'secret',
    region: 'us-east-1',
  }).sign({
    method: request.method,
    path,
    query,
    headers,
    payloadHash: createHash('sha256').update(request.body).digest('hex'),
    amzDate: String(request.headers['x-amz-date']),
  });
  assert.equal(request.headers.authorization, expected);
  return names;
}

describe('PUT', () => {
  it('carries headers, metadata and tags, and signs what must not be changed', async (t) => {
    const target = await startHttpTarget(t, ok);
    const client = openClient(t, { port: target.port, pathPrefix: '/s3/v1' });
    const object = {
      systemHeaders: {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'max-age=60',
        'content-disposition': 'attachment; filename="a  b.txt"',
        'content-encoding': 'gzip',
        'content-language': 'de',
        expires: 'Thu, 01 Dec 2044 16:00:00 GMT',
      },
      userMetadata: {
        color: 'dark  blue',
        empty: '',
        name: Buffer.from('Grüße').toString('latin1'),
      },
      tags: { 'a b': 'c&d=e', ü: '/' },
    };
    assert.deepEqual(valueOf(await client.putObject('a b/ü', object, BODY)), {
      etag: MD5,
      tags: 'done',
    });
    const [request] = target.requests;
    assert.equal(request!.method, 'PUT');
    assert.equal(request!.url, '/s3/v1/backup/a%20b/%C3%BC');
    assert.deepEqual(request!.body, BODY);
    const { headers } = request!;
    for (const [name, value] of Object.entries(object.systemHeaders))
      assert.equal(headers[name], value);
    for (const [name, value] of Object.entries(object.userMetadata)) {
      assert.equal(headers[`x-amz-meta-${name}`], value.replace('  ', ' '));
    }
    assert.equal(headers['x-amz-tagging'], 'a%20b=c%26d%3De&%C3%BC=%2F');
    assert.equal(headers['content-md5'], Buffer.from(MD5, 'hex').toString('base64'));
    assert.equal(headers['content-length'], String(BODY.length));
    assert.equal(headers['x-alarik-replica'], 'true');
    assert.equal(headers['transfer-encoding'], undefined);
    assert.equal(headers.host, `127.0.0.1:${target.port}`);
    assert.deepEqual(verifySignature(request!), [
      ...['content-md5', 'content-type', 'host', 'x-alarik-replica', 'x-amz-content-sha256'],
      ...['x-amz-date', 'x-amz-meta-color', 'x-amz-meta-empty', 'x-amz-meta-name', 'x-amz-tagging'],
    ]);
  });

  for (const size of [0, 1, 64 * 1024, 64 * 1024 + 1, 8 * 1024 * 1024]) {
    it(`sends ${size} bytes as they are`, async (t) => {
      const target = await startHttpTarget(t, stored);
      const body = Buffer.alloc(size, 'abcdefg');
      valueOf(await openClient(t, { port: target.port }).putObject('key', PLAIN, body));
      const [request] = target.requests;
      assert.ok(request!.body.equals(body));
      assert.equal(request!.headers['content-length'], String(size));
      verifySignature(request!);
    });
  }

  it('takes every key to the wire as it was signed', async (t) => {
    const target = await startHttpTarget(t, stored);
    const client = openClient(t, { port: target.port });
    const keys = [
      '..',
      '../other',
      './a/../b',
      '//',
      'a//b/',
      '\0',
      'a b',
      'a+b',
      '100%',
      '😀',
      "!'()*?#;=\\",
    ];
    for (const key of keys) valueOf(await client.putObject(key, PLAIN, BODY));
    for (const [index, request] of target.requests.entries()) {
      assert.ok(request.url.startsWith('/backup/'));
      assert.equal(decodeURIComponent(request.url.slice('/backup/'.length)), keys[index]);
      verifySignature(request);
    }
    assert.equal(target.requests.length, keys.length);
  });

  const blanks: [name: string, value: string, sent: string][] = [
    ['a tab', 'a\tb', 'a b'],
    ['tabs and blanks', 'a \t  b', 'a b'],
    ['a run of blanks', 'a   b  c', 'a b c'],
    ['outer blanks', '  a b ', 'a b'],
    ['outer tabs', '\ta\t', 'a'],
    ['nothing but blanks', ' \t ', ''],
    ['a byte that only looks like one', 'a\xa0\xa0b\xa0', 'a\xa0\xa0b\xa0'],
  ];
  for (const [name, value, sent] of blanks) {
    it(`sends a value with ${name} as it is signed`, async (t) => {
      const target = await startHttpTarget(t, ok);
      const client = openClient(t, { port: target.port });
      const systemHeaders = { 'content-type': value };
      const object = { ...PLAIN, systemHeaders, userMetadata: { a: value } };
      valueOf(await client.putObject('key', object, BODY));
      const { rawHeaders } = target.requests[0]!;
      for (const header of ['x-amz-meta-a', 'content-type']) {
        assert.equal(rawHeaders[rawHeaders.indexOf(header) + 1], sent);
      }
      verifySignature(target.requests[0]!);
    });
  }

  const unsendable: [
    name: string,
    key: string,
    object: Parameters<ReturnType<typeof openClient>['putObject']>[1],
  ][] = [
    ['a line break in a value', 'k', { ...PLAIN, userMetadata: { a: 'x\r\ny: z' } }],
    ['NUL in a value', 'k', { ...PLAIN, systemHeaders: { 'content-type': 'a\0' } }],
    ['a character beyond a byte', 'k', { ...PLAIN, userMetadata: { a: '€' } }],
    ['DEL in a value', 'k', { ...PLAIN, systemHeaders: { 'cache-control': '\x7f' } }],
    ['a blank in a name', 'k', { ...PLAIN, userMetadata: { 'a b': 'x' } }],
    ['an upper-case name', 'k', { ...PLAIN, userMetadata: { A: 'x' } }],
    ['an empty name', 'k', { ...PLAIN, userMetadata: { '': 'x' } }],
    ['half a character in a tag', 'k', { ...PLAIN, tags: { a: '\ud83d' } }],
    ['half a character in the key', '\ud83d', PLAIN],
  ];
  for (const [name, key, object] of unsendable) {
    it(`does not send ${name}`, async (t) => {
      const target = await startHttpTarget(t, ok);
      const client = openClient(t, { port: target.port });
      for (const result of [
        await client.putObject(key, object, BODY),
        await client.createMultipartUpload(key, object),
      ]) {
        assert.deepEqual(failureOf(result), { stage: 'unsendable', ambiguous: false });
      }
      assert.equal(target.sockets(), 0);
    });
  }

  const kms = { 'x-amz-server-side-encryption': 'aws:kms' };
  const other = 'a'.repeat(32);
  const etags: [name: string, fails: boolean, headers: Record<string, string>][] = [
    ['quoted MD5', false, { etag: `"${MD5}"` }],
    ['bare MD5', false, { etag: MD5 }],
    ['MD5 in upper case', false, { etag: `"${MD5.toUpperCase()}"` }],
    ['weak MD5', false, { etag: `W/"${MD5}"` }],
    ['an ETag of another kind', false, { etag: '"opaque"' }],
    ['a multipart ETag', false, { etag: `"${other}-2"` }],
    ['another MD5', true, { etag: `"${other}"` }],
    ['another MD5, bare', true, { etag: other }],
    ['another MD5 under SSE-S3', true, { etag: other, 'x-amz-server-side-encryption': 'AES256' }],
    ['another MD5 under SSE-KMS', false, { etag: other, ...kms }],
    [
      'another MD5 under DSSE-KMS',
      false,
      { etag: other, 'x-amz-server-side-encryption': 'aws:kms:dsse' },
    ],
    [
      'another MD5 under SSE-C',
      false,
      { etag: other, 'x-amz-server-side-encryption-customer-algorithm': 'AES256' },
    ],
  ];
  for (const [name, fails, headers] of etags) {
    it(`${fails ? 'does not accept' : 'accepts'} ${name}`, async (t) => {
      const target = await startHttpTarget(t, (_request, response) => {
        response.writeHead(200, { 'x-amz-request-id': 'REQ1', ...headers }).end();
      });
      const result = await openClient(t, { port: target.port }).putObject('key', PLAIN, BODY);
      if (!fails) return void valueOf(result);
      assert.deepEqual(failureOf(result), {
        stage: 'integrity',
        requestId: 'REQ1',
        ambiguous: true,
      });
    });
  }
});

describe('HEAD', () => {
  it('reads what the target has', async (t) => {
    const target = await startHttpTarget(t, (_request, response) => {
      const headers = {
        etag: '"abc-2"',
        'content-length': '12',
        'content-type': 'text/plain',
        'cache-control': 'no-cache',
        'x-amz-meta-name': Buffer.from('Grüße').toString('latin1'),
        'x-amz-tagging-count': '2',
        'x-amz-replication-status': 'REPLICA',
      };
      response.writeHead(200, headers).end();
    });
    assert.deepEqual(valueOf(await openClient(t, { port: target.port }).headObject('key')), {
      exists: true,
      etag: 'abc-2',
      size: 12,
      replica: true,
      tagCount: 2,
      systemHeaders: { 'content-type': 'text/plain', 'cache-control': 'no-cache' },
      userMetadata: { name: Buffer.from('Grüße').toString('latin1') },
    });
    verifySignature(target.requests[0]!);
    assert.equal(target.requests[0]!.headers['x-alarik-replica'], undefined);
    assert.equal(target.requests[0]!.headers['x-amz-content-sha256'], EMPTY_SHA256);
  });

  for (const [status, exists] of [
    [404, false],
    [403, null],
    [400, null],
    [500, null],
  ] as const) {
    it(`takes ${status} for ${exists === null ? 'a failure' : 'absence'}`, async (t) => {
      const target = await startHttpTarget(
        t,
        (_request, response) => void response.writeHead(status).end(),
      );
      const result = await openClient(t, { port: target.port }).headObject('key');
      if (exists !== null) return assert.deepEqual(valueOf(result), { exists });
      assert.deepEqual(failureOf(result), { stage: 'answer', status, ambiguous: false });
    });
  }

  it('survives bytes after an answer that has no body', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      onEachRequest(socket, (head) => {
        if (!head.startsWith('HEAD')) return socket.write('HTTP/1.1 204 No Content\r\n\r\n');
        return socket.write(
          'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n',
        );
      }),
    );
    const client = openClient(t, { port: target.port, connections: 1 });
    for (let round = 0; round < 5; round += 1) {
      assert.deepEqual(valueOf(await client.headObject('key')), { exists: false });
      assert.equal(valueOf(await client.deleteObject('key')), null);
    }
  });
});

describe('DELETE', () => {
  it('says that it has no body', async (t) => {
    const target = await startHttpTarget(
      t,
      (_request, response) => void response.writeHead(204).end(),
    );
    const client = openClient(t, { port: target.port });
    assert.equal(valueOf(await client.deleteObject('key')), null);
    valueOf(await client.abortMultipartUpload({ key: 'key', uploadId: 'a/b+c' }));
    for (const { rawHeaders } of target.requests) {
      const lengths = rawHeaders.filter((name) => name.toLowerCase() === 'content-length');
      assert.deepEqual(lengths, ['content-length']);
      assert.equal(rawHeaders[rawHeaders.indexOf('content-length') + 1], '0');
    }
    assert.equal(target.requests[1]!.url, '/backup/key?uploadId=a%2Fb%2Bc');
    for (const request of target.requests) verifySignature(request);
  });

  const answers: [status: number, body: string, done: boolean][] = [
    [200, '', true],
    [204, '', true],
    [404, errorXml('NoSuchKey'), true],
    [404, errorXml('NoSuchBucket'), false],
    [404, '<html>Not Found</html>', false],
    [403, errorXml('NoSuchKey'), false],
  ];
  for (const [status, body, done] of answers) {
    it(`is ${done ? 'done' : 'not done'} at ${status} ${body.replaceAll(/.*<Code>|<\/Code>.*|\n/gs, '')}`, async (t) => {
      const target = await startHttpTarget(t, (_request, response) => {
        response.writeHead(status).end(status === 204 ? undefined : body);
      });
      const result = await openClient(t, { port: target.port }).deleteObject('key');
      if (done) assert.equal(valueOf(result), null);
      else assert.equal(failureOf(result).status, status);
    });
  }
});

describe('connections', () => {
  it('are kept and used again, and are as many as was asked for', async (t) => {
    const held: ServerResponse[] = [];
    const target = await startHttpTarget(t, (_request, response) => {
      held.push(response.setHeader('etag', MD5));
      if (held.length === 3) for (const each of held) each.end();
      if (held.length > 3) response.end();
    });
    const client = openClient(t, { port: target.port, connections: 3 });
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, index) => client.putObject(`key${index}`, PLAIN, BODY)),
    );
    for (const result of results) valueOf(result);
    assert.equal(target.requests.length, 10);
    assert.equal(target.sockets(), 3);
  });

  it('that the target closed meanwhile are replaced', async (t) => {
    let closed = 0;
    const target = await startRawTarget(t, (socket) => {
      socket.on('close', () => (closed += 1));
      onEachRequest(socket, () => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
    });
    const client = openClient(t, { port: target.port, connections: 1 });
    for (let round = 1; round <= 20; round += 1) {
      valueOf(await client.deleteObject('key'));
      await until(() => closed === round, 'the end of the connection');
    }
    assert.equal(target.sockets(), 20);
  });

  it('finish what runs when the client closes, and take nothing more', async (t) => {
    const held: ServerResponse[] = [];
    const target = await startHttpTarget(t, (_request, response) => held.push(response));
    const client = openClient(t, { port: target.port, connections: 1 });
    const running = client.deleteObject('a');
    const waiting = client.deleteObject('b');
    await until(() => held.length === 1, 'the first request');
    const closed = client.close();
    assert.equal(failureOf(await waiting).code, 'ABORT_ERR');
    held[0]!.writeHead(204).end();
    valueOf(await running);
    await closed;
    assert.equal(failureOf(await client.deleteObject('c')).code, 'ABORT_ERR');
    assert.equal(target.requests.length, 1);
  });
});
