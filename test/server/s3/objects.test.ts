import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { failsWith, OTHER, sendRaw, startS3Server, type S3Server } from './s3-server.ts';
import { signedHead } from './signed-request.ts';

let server: S3Server;
let s3: ReturnType<S3Server['client']>;

before(async () => {
  server = await startS3Server();
  s3 = server.client();
  await s3.send(new CreateBucketCommand({ Bucket: 'plain' }));
  await s3.send(new CreateBucketCommand({ Bucket: 'versioned' }));
  await s3.send(
    new PutBucketVersioningCommand({
      Bucket: 'versioned',
      VersioningConfiguration: { Status: 'Enabled' },
    }),
  );
});
after(async () => {
  assert.deepEqual(server.failures, []);
  await server.stop();
});

async function put(Key: string, Body: string | Buffer = Key, Bucket = 'plain') {
  return await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
}

async function get(Key: string, options: object = {}, Bucket = 'plain') {
  const answer = await s3.send(new GetObjectCommand({ Bucket, Key, ...options }));
  return { ...answer, bytes: Buffer.from((await answer.Body?.transformToByteArray()) ?? []) };
}

describe('PutObject and GetObject', () => {
  for (const size of [0, 1, 65_536, 65_537, 3 * 1024 * 1024]) {
    it(`keep ${size} bytes as they are`, async () => {
      const body = randomBytes(size);
      const { ETag } = await put(`size-${size}`, body);
      assert.equal(ETag, `"${createHash('md5').update(body).digest('hex')}"`);
      const answer = await get(`size-${size}`);
      assert.ok(answer.bytes.equals(body));
      assert.equal(answer.ContentLength, size);
      assert.equal(answer.ETag, ETag);
    });
  }

  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    it(`verify and return ${algorithm}`, async () => {
      const input = { Bucket: 'plain', Key: algorithm, Body: 'abc', ChecksumAlgorithm: algorithm };
      const answer = await s3.send(new PutObjectCommand(input));
      const name = `Checksum${algorithm}` as const;
      assert.ok(answer[name]);
      const read = await get(algorithm, { ChecksumMode: 'ENABLED' });
      assert.equal(read[name], answer[name]);
    });
  }

  it('stream a body of unknown chunks with a trailing checksum', async () => {
    const pieces = Array.from({ length: 50 }, (_, index) => randomBytes(index * 1000));
    const body = Buffer.concat(pieces);
    const input = {
      Bucket: 'plain',
      Key: 'streamed',
      Body: Readable.from(pieces),
      ContentLength: body.length,
    };
    await s3.send(new PutObjectCommand(input));
    const answer = await get('streamed');
    assert.ok(answer.bytes.equals(body));
    assert.equal(answer.ContentEncoding, undefined);
  });

  it('keep system headers, user metadata and tags', async () => {
    const headers = {
      ContentType: 'text/plain; charset=utf-8',
      CacheControl: 'no-cache',
      ContentDisposition: 'attachment; filename="a b.txt"',
      ContentEncoding: 'gzip',
      ContentLanguage: 'de',
    };
    const Metadata = { 'some-name': 'some value', __proto: 'x' };
    await s3.send(
      new PutObjectCommand({
        Bucket: 'plain',
        Key: 'described',
        Body: 'x',
        ...headers,
        Expires: new Date('2030-01-01T00:00:00Z'),
        Metadata,
        Tagging: 'a=1&b%20c=%2B',
      }),
    );
    const head = await s3.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'described' }));
    for (const [name, value] of Object.entries(headers)) {
      assert.equal(head[name as keyof typeof headers], value);
    }
    assert.equal(head.ExpiresString, 'Tue, 01 Jan 2030 00:00:00 GMT');
    assert.deepEqual(head.Metadata, Metadata);
    assert.equal((await get('described')).TagCount, 2);
    const tags = await s3.send(new GetObjectTaggingCommand({ Bucket: 'plain', Key: 'described' }));
    assert.deepEqual(tags.TagSet, [
      { Key: 'a', Value: '1' },
      { Key: 'b c', Value: '+' },
    ]);
  });

  it('answer without type as binary, and override headers where asked', async () => {
    await s3.send(
      new PutObjectCommand({ Bucket: 'plain', Key: 'typed', Body: 'x', ContentType: 'a/b' }),
    );
    const answer = await get('typed', {
      ResponseContentType: 'c/d',
      ResponseCacheControl: 'private',
    });
    assert.deepEqual([answer.ContentType, answer.CacheControl], ['c/d', 'private']);
    const bad = get('typed', { ResponseContentDisposition: '日本' });
    await failsWith(bad, 'InvalidArgument', 400);
  });

  it('serve ranges', async () => {
    await put('range', '0123456789');
    const part = await get('range', { Range: 'bytes=2-4' });
    assert.deepEqual(
      [part.bytes.toString(), part.ContentRange, part.$metadata.httpStatusCode],
      ['234', 'bytes 2-4/10', 206],
    );
    assert.equal((await get('range', { Range: 'bytes=-3' })).bytes.toString(), '789');
    const head = await s3.send(
      new HeadObjectCommand({ Bucket: 'plain', Key: 'range', Range: 'bytes=8-' }),
    );
    assert.equal(head.ContentLength, 2);
    await failsWith(get('range', { Range: 'bytes=10-' }), 'InvalidRange', 416);
  });

  it('honour conditions of reads', async () => {
    const { ETag } = await put('conditional');
    await get('conditional', { IfMatch: ETag });
    await failsWith(get('conditional', { IfMatch: '"x"' }), 'PreconditionFailed', 412);
    const error: unknown = await get('conditional', { IfNoneMatch: ETag }).catch(
      (thrown: unknown) => thrown,
    );
    assert.equal(
      (error as { $metadata: { httpStatusCode: number } }).$metadata.httpStatusCode,
      304,
    );
  });

  it('honour conditions of writes', async () => {
    const write = (conditions: object): Promise<unknown> =>
      s3.send(new PutObjectCommand({ Bucket: 'plain', Key: 'once', Body: 'x', ...conditions }));
    await failsWith(write({ IfMatch: '"x"' }), 'NoSuchKey', 404);
    await write({ IfNoneMatch: '*' });
    await failsWith(write({ IfNoneMatch: '*' }), 'PreconditionFailed', 412);
    await failsWith(write({ IfMatch: '"x"' }), 'PreconditionFailed', 412);
  });

  it('refuse what does not match its digest and keep what was there', async () => {
    await put('digest', 'before');
    const write = (options: object): Promise<unknown> =>
      s3.send(new PutObjectCommand({ Bucket: 'plain', Key: 'digest', Body: 'after', ...options }));
    const otherMd5 = createHash('md5').update('other').digest('base64');
    await failsWith(write({ ContentMD5: otherMd5 }), 'BadDigest', 400);
    await failsWith(write({ ContentMD5: 'nonsense' }), 'InvalidDigest', 400);
    await failsWith(write({ ChecksumCRC32: 'AAAAAA==' }), 'BadDigest', 400);
    assert.equal((await get('digest')).bytes.toString(), 'before');
  });

  it('refuse what would be ignored otherwise', async () => {
    const options: object[] = [
      { ACL: 'public-read' },
      { StorageClass: 'GLACIER' },
      { ServerSideEncryption: 'AES256' },
      { GrantRead: 'id="x"' },
      { ObjectLockLegalHoldStatus: 'ON' },
      { WebsiteRedirectLocation: '/x' },
    ];
    for (const option of options) {
      const input = { Bucket: 'plain', Key: 'refused', Body: 'x', ...option };
      await failsWith(s3.send(new PutObjectCommand(input)), 'NotImplemented', 501);
    }
  });

  it('tell a missing key, version and bucket apart, and another user’s bucket', async () => {
    await failsWith(get('missing'), 'NoSuchKey', 404);
    await failsWith(get('x', {}, 'missing-bucket'), 'NoSuchBucket', 404);
    await put('mine');
    const other = server.client(OTHER);
    const input = { Bucket: 'plain', Key: 'mine' };
    for (const call of [
      () => other.send(new GetObjectCommand(input)),
      () => other.send(new PutObjectCommand({ ...input, Body: 'x' })),
      () => other.send(new DeleteObjectCommand(input)),
    ]) {
      await failsWith(call(), 'AccessDenied', 403);
    }
    const head = s3.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'missing' }));
    await failsWith(head, 'NotFound', 404);
  });

  it('know keys that paths and URLs would change', async () => {
    const keys = [
      '../up',
      './here',
      'a//b',
      '/',
      'a/../../b',
      '%2e%2e',
      'a+b c',
      'ü/😀',
      'x?y#z',
      '\u0001\r\n',
      'nul\0',
    ];
    for (const key of keys) await put(key);
    for (const key of keys)
      assert.equal((await get(key)).bytes.toString(), key, JSON.stringify(key));
    const long = 'é'.repeat(512);
    await put(long, 'x');
    assert.equal((await get(long)).bytes.toString(), 'x');
    await failsWith(put(`${long}a`, 'x'), 'KeyTooLongError', 400);
  });

  it('report the replication status of what was announced as replicating', async () => {
    const status = async (): Promise<unknown> =>
      (await s3.send(new HeadObjectCommand({ Bucket: 'plain', Key: 'replicated' })))
        .ReplicationStatus;
    await put('replicated');
    assert.equal(await status(), undefined);
    server.plugin.replicationStatus = 'PENDING';
    assert.equal(await status(), undefined, 'it was written before a rule covered it');
    await put('replicated');
    assert.equal(await status(), 'PENDING');
    assert.equal((await get('replicated')).ReplicationStatus, 'PENDING');
    server.plugin.replicationStatus = null;
    assert.equal(await status(), 'COMPLETED');
  });
});

describe('replicas', () => {
  async function putWith(headers: Record<string, string>, isSigned: boolean): Promise<void> {
    const path = '/versioned/replica';
    const length = { 'content-length': '1', connection: 'close' };
    const head = await signedHead(
      isSigned
        ? { method: 'PUT', path, headers, unsignedHeaders: length }
        : { method: 'PUT', path, unsignedHeaders: { ...length, ...headers } },
    );
    assert.match(await sendRaw(server.port, [head, 'x']), /^HTTP\/1.1 200 /);
  }

  it('are what a signed header says, and nothing else', async () => {
    const cases: [Record<string, string>, boolean, boolean][] = [
      [{ 'x-alarik-replica': 'true' }, true, true],
      [{ 'x-alarik-replica': 'true' }, false, false],
      [{ 'x-alarik-replica': 'false' }, true, false],
      [{}, true, false],
    ];
    for (const [headers, signed, expected] of cases) {
      await putWith(headers, signed);
      assert.equal(server.plugin.committed.at(-1)?.replica, expected, JSON.stringify(headers));
      const where = { Bucket: 'versioned', Key: 'replica' };
      const { ReplicationStatus } = await s3.send(new HeadObjectCommand(where));
      assert.equal(ReplicationStatus, expected ? 'REPLICA' : undefined);
    }
  });
});

describe('versions', () => {
  it('are kept, read, marked as deleted and removed by id', async () => {
    const one = await put('doc', 'one', 'versioned');
    const two = await put('doc', 'two', 'versioned');
    assert.notEqual(one.VersionId, two.VersionId);
    const first = await get('doc', { VersionId: one.VersionId }, 'versioned');
    assert.deepEqual([first.bytes.toString(), first.VersionId], ['one', one.VersionId]);

    const input = { Bucket: 'versioned', Key: 'doc' };
    const marker = await s3.send(new DeleteObjectCommand(input));
    assert.equal(marker.DeleteMarker, true);
    const missing = await failsWith(get('doc', {}, 'versioned'), 'NoSuchKey', 404);
    assert.equal(missing.$response?.headers['x-amz-delete-marker'], 'true');
    const named = get('doc', { VersionId: marker.VersionId }, 'versioned');
    await failsWith(named, 'MethodNotAllowed', 405);

    const removed = await s3.send(
      new DeleteObjectCommand({ ...input, VersionId: marker.VersionId }),
    );
    assert.deepEqual([removed.DeleteMarker, removed.VersionId], [true, marker.VersionId]);
    assert.equal((await get('doc', {}, 'versioned')).bytes.toString(), 'two');
    await s3.send(new DeleteObjectCommand({ ...input, VersionId: two.VersionId }));
    assert.equal((await get('doc', {}, 'versioned')).bytes.toString(), 'one');
    await failsWith(get('doc', { VersionId: two.VersionId }, 'versioned'), 'NoSuchVersion', 404);
  });
});
