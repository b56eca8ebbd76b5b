import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { until } from '../../support/until.ts';
import {
  failsWith,
  filesBelow,
  OWNER,
  sendRaw,
  startS3Server,
  type S3Server,
} from './s3-server.ts';
import { signedHead, type RawRequest } from './signed-request.ts';

/** For bodies that come, a pause that no busy machine makes. */
const BODY_IDLE_MS = 2_000;
const CLOSE = { connection: 'close' };

let server: S3Server;
let filesBefore: string[];

before(async () => {
  server = await startS3Server({ bodyIdleMs: BODY_IDLE_MS });
  await server.client().send(new CreateBucketCommand({ Bucket: 'bucket' }));
});
beforeEach(() => {
  filesBefore = filesBelow(server.directory);
});
after(async () => {
  assert.deepEqual(server.failures, []);
  await server.stop();
});

/** How many files of object bodies this process has open (Linux). */
function openBodies(): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith(join(server.directory, 'objects'))).length;
}

/** The server still works, and nothing of the refused request is left. */
async function assertUnharmed(): Promise<void> {
  const s3 = server.client();
  await failsWith(s3.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'k' })), 'NoSuchKey', 404);
  const files = (): string[] => filesBelow(server.directory);
  // What a broken request left is removed after its connection has ended.
  await until(() => isDeepStrictEqual(files(), filesBefore), 'nothing to be left').catch(() =>
    assert.deepEqual(files(), filesBefore),
  );
}

async function send(
  request: RawRequest,
  body: (string | Uint8Array)[] = [],
  halfClose = false,
): Promise<string> {
  const head = await signedHead({
    ...request,
    unsignedHeaders: { ...CLOSE, ...request.unsignedHeaders },
  });
  return await sendRaw(server.port, [head, ...body], { halfClose });
}

function assertError(answer: string, status: number, code: string): void {
  assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), answer);
  assert.ok(answer.includes(`<Code>${code}</Code>`), answer);
}

const put = (headers: Record<string, string>, payloadHash?: string): RawRequest => ({
  method: 'PUT',
  path: '/bucket/k',
  headers,
  ...(payloadHash !== undefined && { payloadHash }),
});
const chunked = (length: string, mode = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'): RawRequest => ({
  ...put({ 'x-amz-decoded-content-length': length, 'x-amz-trailer': 'x-amz-checksum-crc32' }, mode),
  unsignedHeaders: { 'transfer-encoding': 'chunked' },
});
const httpChunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('bodies that are not what they claim', () => {
  // prettier-ignore
  const cases: [string, number, string, RawRequest, string[]][] = [
    ['no length', 411, 'MissingContentLength', { ...put({}), unsignedHeaders: { 'transfer-encoding': 'chunked' } }, ['1\r\na\r\n0\r\n\r\n']],
    ['more than 5 GiB', 400, 'EntityTooLarge', { ...put({}), unsignedHeaders: { 'content-length': '5368709121' } }, []],
    ['another hash', 400, 'XAmzContentSHA256Mismatch', { ...put({}, sha256('a')), unsignedHeaders: { 'content-length': '1' } }, ['b']],
    ['a hash that is none', 400, 'InvalidArgument', { ...put({}, 'nonsense'), unsignedHeaders: { 'content-length': '1' } }, ['b']],
    ['a streaming mode that is not known', 501, 'NotImplemented', { ...put({}, 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD'), unsignedHeaders: { 'content-length': '1' } }, ['b']],
    ['a body that stalls', 400, 'RequestTimeout', { ...put({}), unsignedHeaders: { 'content-length': '10' } }, ['a']],
    ['no decoded length', 411, 'MissingContentLength', { ...put({}, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'), unsignedHeaders: { 'content-length': '5' } }, ['0\r\n\r\n']],
    ['bad chunk framing', 400, 'InvalidRequest', chunked('1'), [httpChunk('z\r\na\r\n0\r\n\r\n'), '0\r\n\r\n']],
    ['a chunk without end', 400, 'IncompleteBody', chunked('1'), [httpChunk('1\r\na\r\n'), '0\r\n\r\n']],
    ['fewer bytes than decoded', 400, 'IncompleteBody', chunked('2'), [httpChunk('1\r\na\r\n0\r\nx-amz-checksum-crc32:6Le+Qw==\r\n\r\n'), '0\r\n\r\n']],
    ['more bytes than decoded', 400, 'IncompleteBody', chunked('1'), [httpChunk('2\r\nab\r\n0\r\n\r\n'), '0\r\n\r\n']],
    ['a wrong trailing checksum', 400, 'BadDigest', chunked('1'), [httpChunk('1\r\na\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n'), '0\r\n\r\n']],
    ['no trailing checksum', 400, 'BadDigest', chunked('1'), [httpChunk('1\r\na\r\n0\r\n\r\n'), '0\r\n\r\n']],
    ['a chunk signature where none is made', 400, 'InvalidRequest', chunked('1'), [httpChunk(`1;chunk-signature=${'0'.repeat(64)}\r\na\r\n0\r\n\r\n`), '0\r\n\r\n']],
    ['a wrong chunk signature', 403, 'SignatureDoesNotMatch', chunked('1', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'), [httpChunk(`1;chunk-signature=${'0'.repeat(64)}\r\na\r\n`), '0\r\n\r\n']],
    ['a trailer that is no checksum', 400, 'InvalidRequest', { ...put({ 'x-amz-decoded-content-length': '0', 'x-amz-trailer': 'x-amz-acl' }, 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'), unsignedHeaders: { 'content-length': '5' } }, ['0\r\n\r\n']],
  ];
  for (const [name, status, code, request, body] of cases) {
    it(`${name}: ${code}`, async () => {
      assertError(await send(request, body), status, code);
      await assertUnharmed();
    });
  }

  it('a client that leaves in the middle changes nothing', async () => {
    const request = { ...put({}), unsignedHeaders: { 'content-length': '1000000' } };
    await send(request, [Buffer.alloc(500_000)], true);
    await assertUnharmed();
  });

  it('a good trailing checksum is accepted', async () => {
    const request = { ...chunked('1'), path: '/bucket/good' };
    const answer = await send(request, [
      httpChunk('1\r\na\r\n0\r\nx-amz-checksum-crc32:6Le+Qw==\r\n\r\n'),
      '0\r\n\r\n',
    ]);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    assert.match(answer, /x-amz-checksum-crc32: 6Le\+Qw==/);
  });
});

describe('refused uploads', () => {
  it('are answered although the body is still coming', async () => {
    const request = { ...put({}), path: '/missing-bucket/k' };
    const length = 8 * 1024 * 1024;
    const answer = await send({ ...request, unsignedHeaders: { 'content-length': `${length}` } }, [
      Buffer.alloc(length),
    ]);
    assertError(answer, 404, 'NoSuchBucket');
    assert.match(answer, /\r\nconnection: close\r\n/i);
  });

  it('do not reset a client that sends to the end before it reads', async () => {
    const length = 4 * 1024 * 1024;
    const head = await signedHead({
      ...put({}),
      path: '/missing-bucket/k',
      unsignedHeaders: { 'content-length': `${length}` },
    });
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    const errors: Error[] = [];
    socket.on('error', (error) => errors.push(error));
    socket.write(head);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assertError(answer.toString('latin1'), 404, 'NoSuchBucket');
    const ended = once(socket, 'end');
    for (let sent = 0; sent < length; sent += length / 4) {
      await new Promise((resolve) => socket.write(Buffer.alloc(length / 4), resolve));
    }
    await ended;
    assert.deepEqual(errors, []);
    socket.destroy();
  });

  it('are answered before the body where the client waits for 100', async () => {
    const head = await signedHead({
      ...put({}),
      path: '/missing-bucket/k',
      unsignedHeaders: { 'content-length': '5', expect: '100-continue' },
    });
    assertError(await sendRaw(server.port, [head]), 404, 'NoSuchBucket');
  });

  it('are not refused: the client is asked for the body once', async () => {
    const head = await signedHead({
      ...put({}),
      path: '/bucket/expected',
      unsignedHeaders: { ...CLOSE, 'content-length': '5', expect: '100-continue' },
    });
    const socket = connect(server.port, '127.0.0.1');
    socket.setEncoding('latin1');
    let received = '';
    socket.on('data', (text: string) => (received += text));
    socket.write(head);
    await once(socket, 'data');
    assert.equal(received, 'HTTP/1.1 100 Continue\r\n\r\n');
    socket.write('hello');
    await once(socket, 'close');
    assert.match(received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  });
});

describe('paths and heads', () => {
  it('never lead out of the data directory', async () => {
    const outside = filesBelow(dirname(server.directory)).filter((name) =>
      name.includes('escaped'),
    );
    assert.deepEqual(outside, []);
    for (const path of [
      '/bucket/../../escaped',
      '/bucket/%2e%2e/%2e%2e/escaped',
      '/bucket//etc/escaped',
    ]) {
      const answer = await send(
        { method: 'PUT', path, unsignedHeaders: { 'content-length': '1' } },
        ['x'],
      );
      // The signer encodes "%" once more; what counts is that no path is ever followed.
      assert.match(answer, /^HTTP\/1\.1 (200|403) /, answer);
    }
    const after = filesBelow(dirname(server.directory)).filter((name) => name.includes('escaped'));
    assert.deepEqual(after, []);
  });

  it('of a bucket that is a path are no bucket', async () => {
    for (const path of ['/../k', '/./k', '/%2e%2e/k']) {
      const answer = await send({ path });
      assert.match(answer, /<Code>(NoSuchBucket|SignatureDoesNotMatch)<\/Code>/, answer);
    }
    const traversal = await send({
      method: 'PUT',
      path: '/..',
      unsignedHeaders: { 'content-length': '0' },
    });
    assertError(traversal, 400, 'InvalidBucketName');
  });

  // prettier-ignore
  const heads: [string, number, string, string][] = [
    ['a target that is not UTF-8', 400, 'InvalidURI', 'GET /bucket/%ff HTTP/1.1\r\nHost: h\r\n'],
    ['an absolute target', 400, 'InvalidURI', 'GET http://h/bucket HTTP/1.1\r\nHost: h\r\n'],
    ['no credentials', 403, 'AccessDenied', 'GET / HTTP/1.1\r\nHost: h\r\n'],
    ['a presigned URL', 501, 'NotImplemented', 'GET /b/k?X-Amz-Signature=0 HTTP/1.1\r\nHost: h\r\n'],
    ['headers of 100 kB', 400, 'RequestHeaderSectionTooLarge', `GET / HTTP/1.1\r\nHost: h\r\nx: ${'a'.repeat(100_000)}\r\n`],
    ['no HTTP', 400, 'InvalidRequest', 'hello\r\n'],
    ['two lengths', 400, 'InvalidRequest', 'PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n'],
    ['a length that is no number', 400, 'InvalidRequest', 'PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n'],
  ];
  for (const [name, status, code, head] of heads) {
    it(`${name}: ${code}`, async () => {
      assertError(await sendRaw(server.port, [`${head}Connection: close\r\n\r\n`]), status, code);
      await assertUnharmed();
    });
  }

  it('errors carry a request id in header and body, and HEAD has no body', async () => {
    const answer = await send({ path: '/missing-bucket' });
    const id = /\r\nx-amz-request-id: (\w{16})\r\n/.exec(answer)?.[1];
    assert.ok(
      answer.endsWith(`<Resource>/missing-bucket</Resource><RequestId>${id}</RequestId></Error>`),
      answer,
    );
    const head = await send({ method: 'HEAD', path: '/missing-bucket' });
    assert.match(head, /^HTTP\/1\.1 404 [^]*\r\n\r\n$/);
  });
});

describe('documents', () => {
  const post = async (body: string, path = '/bucket'): Promise<string> =>
    await send(
      {
        method: 'POST',
        path,
        query: { delete: '' },
        payloadHash: sha256(body),
        unsignedHeaders: { 'content-length': `${Buffer.byteLength(body)}` },
      },
      [body],
    );

  it('with entities are refused, whatever they name', async () => {
    const passwd = readFileSync('/etc/passwd', 'latin1').split('\n')[0]!;
    const external = await post(
      '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
    );
    assertError(external, 400, 'MalformedXML');
    assert.ok(!external.includes(passwd));
    const laughs = Array.from(
      { length: 30 },
      (_, i) => `<!ENTITY l${i + 1} "&l${i};&l${i};">`,
    ).join('');
    assertError(await post(`<!DOCTYPE d [${laughs}]><Delete/>`), 400, 'MalformedXML');
  });

  it('that are too large, empty or not signed as they are, are refused', async () => {
    assertError(await post(' '.repeat(5 * 1024 * 1024)), 400, 'EntityTooLarge');
    assertError(await post(''), 400, 'MalformedXML');
    const answer = await send(
      {
        method: 'POST',
        path: '/bucket',
        query: { delete: '' },
        payloadHash: sha256('other'),
        unsignedHeaders: { 'content-length': '9' },
      },
      ['<Delete/>'],
    );
    assertError(answer, 400, 'XAmzContentSHA256Mismatch');
  });
});

describe('downloads', () => {
  it('that the client leaves do not hold the file open', async () => {
    const s3 = server.client();
    const input = { Bucket: 'bucket', Key: 'large' };
    await s3.send(new PutObjectCommand({ ...input, Body: Buffer.alloc(32 * 1024 * 1024) }));
    const head = await signedHead({ path: '/bucket/large' });
    const socket = connect(server.port, '127.0.0.1');
    socket.write(head);
    await once(socket, 'data');
    socket.destroy();
    await until(() => openBodies() === 0, 'all bodies to be closed');
  });

  it('know nothing of another secret', async () => {
    const stranger = server.client({ ...OWNER, secretAccessKey: 'x' });
    const call = stranger.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'large' }));
    await failsWith(call, 'SignatureDoesNotMatch', 403);
  });
});
