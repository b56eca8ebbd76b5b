import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectTaggingCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { failsWith, OTHER, startS3Server, type S3Server } from './s3-server.ts';

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

describe('DeleteObjects', () => {
  const remove = async (Objects: object[], Quiet = false) =>
    await s3.send(
      new DeleteObjectsCommand({
        Bucket: 'plain',
        Delete: { Objects: Objects as { Key: string }[], Quiet },
      }),
    );

  it('removes many, says so, or is quiet', async () => {
    const keys = Array.from({ length: 20 }, (_, index) => ` <&many> ${index}\r\n`);
    for (const key of keys) await put(key);
    const answer = await remove(keys.slice(0, 10).map((Key) => ({ Key })));
    assert.deepEqual(
      answer.Deleted?.map(({ Key }) => Key),
      keys.slice(0, 10),
    );
    const quiet = await remove(
      keys.slice(10).map((Key) => ({ Key })),
      true,
    );
    assert.equal(quiet.Deleted, undefined);
    for (const key of keys) await failsWith(get(key), 'NoSuchKey', 404);
  });

  it('reports a key that cannot exist and removes the others', async () => {
    await put('possible');
    const answer = await remove([{ Key: 'a'.repeat(1025) }, { Key: 'possible' }]);
    assert.deepEqual(
      answer.Errors?.map(({ Code }) => Code),
      ['KeyTooLongError'],
    );
    await failsWith(get('possible'), 'NoSuchKey', 404);
  });

  it('takes 1,000 keys and not one more', async () => {
    const objects = Array.from({ length: 1001 }, (_, index) => ({ Key: `k${index}` }));
    assert.equal((await remove(objects.slice(1))).Deleted?.length, 1000);
    await failsWith(remove(objects), 'MalformedXML', 400);
  });

  it('tells the delete markers that it made', async () => {
    await put('marked', 'x', 'versioned');
    const answer = await s3.send(
      new DeleteObjectsCommand({ Bucket: 'versioned', Delete: { Objects: [{ Key: 'marked' }] } }),
    );
    assert.equal(answer.Deleted?.[0]?.DeleteMarker, true);
    assert.ok(answer.Deleted?.[0]?.DeleteMarkerVersionId);
  });
});

describe('CopyObject', () => {
  const copy = async (Key: string, CopySource: string, options: object = {}) =>
    await s3.send(new CopyObjectCommand({ Bucket: 'plain', Key, CopySource, ...options }));

  before(async () => {
    await s3.send(
      new PutObjectCommand({
        Bucket: 'plain',
        Key: 'source é+',
        Body: 'body',
        ContentType: 'a/b',
        Metadata: { a: '1' },
        Tagging: 't=1',
      }),
    );
  });
  const source = `/plain/${encodeURIComponent('source é+')}`;

  it('copies bytes, metadata and tags', async () => {
    const answer = await copy('copy', source);
    const read = await get('copy');
    assert.equal(answer.CopyObjectResult?.ETag, read.ETag);
    assert.deepEqual([read.bytes.toString(), read.ContentType, read.TagCount], ['body', 'a/b', 1]);
    assert.deepEqual(read.Metadata, { a: '1' });
  });

  it('replaces metadata and tags where told', async () => {
    await copy('copy2', source, {
      MetadataDirective: 'REPLACE',
      Metadata: { b: '2' },
      TaggingDirective: 'REPLACE',
    });
    const read = await get('copy2');
    assert.deepEqual([read.Metadata, read.TagCount], [{ b: '2' }, undefined]);
    await failsWith(copy('copy2', source, { MetadataDirective: 'MERGE' }), 'InvalidArgument', 400);
  });

  it('onto itself needs a change', async () => {
    await copy('self', source);
    await failsWith(copy('self', '/plain/self'), 'InvalidRequest', 400);
    await copy('self', '/plain/self', { MetadataDirective: 'REPLACE' });
  });

  it('copies a version', async () => {
    const { VersionId } = await put('v', 'old', 'versioned');
    await put('v', 'new', 'versioned');
    const answer = await copy('from-version', `/versioned/v?versionId=${VersionId}`);
    assert.equal(answer.CopySourceVersionId, VersionId);
    assert.equal((await get('from-version')).bytes.toString(), 'old');
  });

  it('refuses a missing, foreign or malformed source and conditions that do not hold', async () => {
    await failsWith(copy('x', '/plain/missing'), 'NoSuchKey', 404);
    await failsWith(copy('x', '/missing-bucket/k'), 'NoSuchBucket', 404);
    await failsWith(copy('x', 'nothing'), 'InvalidArgument', 400);
    const other = server.client(OTHER);
    await other.send(new CreateBucketCommand({ Bucket: 'others' }));
    const foreign = new CopyObjectCommand({ Bucket: 'others', Key: 'x', CopySource: source });
    await failsWith(other.send(foreign), 'AccessDenied', 403);
    const stale = copy('x', source, { CopySourceIfMatch: '"x"' });
    await failsWith(stale, 'PreconditionFailed', 412);
  });
});

describe('tagging', () => {
  it('puts, gets and deletes', async () => {
    const input = { Bucket: 'plain', Key: 'tagged' };
    await put('tagged');
    const TagSet = [{ Key: 'a', Value: '<&>' }];
    await s3.send(new PutObjectTaggingCommand({ ...input, Tagging: { TagSet } }));
    assert.deepEqual((await s3.send(new GetObjectTaggingCommand(input))).TagSet, TagSet);
    const eleven = Array.from({ length: 11 }, (_, index) => ({ Key: `k${index}`, Value: '' }));
    const tooMany = new PutObjectTaggingCommand({ ...input, Tagging: { TagSet: eleven } });
    await failsWith(s3.send(tooMany), 'InvalidTag', 400);
    await s3.send(new DeleteObjectTaggingCommand(input));
    assert.deepEqual((await s3.send(new GetObjectTaggingCommand(input))).TagSet, []);
    const missing = new GetObjectTaggingCommand({ ...input, Key: 'missing' });
    await failsWith(s3.send(missing), 'NoSuchKey', 404);
  });
});
