import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketAclCommand,
  GetBucketLocationCommand,
  GetBucketReplicationCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import {
  failsWith,
  OTHER,
  OWNER,
  REGION,
  sendRaw,
  startS3Server,
  type S3Server,
} from './s3-server.ts';
import { signedHead } from './signed-request.ts';

const PART_BYTES_MIN = 5 * 1024 * 1024;

let server: S3Server;
let s3: ReturnType<S3Server['client']>;

before(async () => {
  server = await startS3Server();
  s3 = server.client();
});
after(async () => {
  assert.deepEqual(server.failures, []);
  await server.stop();
});

const create = async (Bucket: string, options: object = {}) =>
  await s3.send(new CreateBucketCommand({ Bucket, ...options }));
const setVersioning = async (Bucket: string, Status: 'Enabled' | 'Suspended') =>
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
const put = async (Bucket: string, Key: string) =>
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));

describe('buckets', () => {
  it('are created, listed, found and deleted by their owner', async () => {
    await create('one');
    await failsWith(create('one'), 'BucketAlreadyOwnedByYou', 409);
    const other = server.client(OTHER);
    const again = other.send(new CreateBucketCommand({ Bucket: 'one' }));
    await failsWith(again, 'BucketAlreadyExists', 409);
    const { Buckets } = await s3.send(new ListBucketsCommand({}));
    assert.deepEqual(
      Buckets?.map(({ Name }) => Name),
      ['one'],
    );
    assert.deepEqual((await other.send(new ListBucketsCommand({}))).Buckets, []);
    const head = await s3.send(new HeadBucketCommand({ Bucket: 'one' }));
    assert.equal(head.BucketRegion, REGION);
    await failsWith(other.send(new DeleteBucketCommand({ Bucket: 'one' })), 'AccessDenied', 403);
    await put('one', 'k');
    await failsWith(s3.send(new DeleteBucketCommand({ Bucket: 'one' })), 'BucketNotEmpty', 409);
    await s3.send(new DeleteObjectCommand({ Bucket: 'one', Key: 'k' }));
    await s3.send(new DeleteBucketCommand({ Bucket: 'one' }));
    await failsWith(s3.send(new HeadBucketCommand({ Bucket: 'one' })), 'NotFound', 404);
  });

  it('have this server’s region', async () => {
    const at = (LocationConstraint: string) =>
      create('located', { CreateBucketConfiguration: { LocationConstraint } });
    await failsWith(at('eu-west-1'), 'IllegalLocationConstraintException', 400);
    await at(REGION);
    const location = await s3.send(new GetBucketLocationCommand({ Bucket: 'located' }));
    assert.equal(location.LocationConstraint, REGION);
  });

  it('refuse names that are not valid', async () => {
    for (const name of ['UPPER', 'a_b', 'a..b', '-ab', '1.2.3.4']) {
      await failsWith(create(name), 'InvalidBucketName', 400);
    }
  });

  it('enable and suspend versioning unless the plugin objects', async () => {
    await create('versions');
    const status = async (): Promise<unknown> =>
      (await s3.send(new GetBucketVersioningCommand({ Bucket: 'versions' }))).Status;
    assert.equal(await status(), undefined);
    await setVersioning('versions', 'Enabled');
    server.plugin.mayChangeVersioning = false;
    await failsWith(setVersioning('versions', 'Suspended'), 'InvalidBucketState', 409);
    assert.equal(await status(), 'Enabled');
    server.plugin.mayChangeVersioning = true;
    await setVersioning('versions', 'Suspended');
    assert.equal(await status(), 'Suspended');
    const mfa = new PutBucketVersioningCommand({
      Bucket: 'versions',
      VersioningConfiguration: { Status: 'Enabled', MFADelete: 'Enabled' },
    });
    await failsWith(s3.send(mfa), 'NotImplemented', 501);
  });

  it('hand their replication to the plugin, for their owner only', async () => {
    await create('replicated');
    const path = '/replicated';
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const head = await signedHead({
        method,
        path,
        query: { replication: '' },
        unsignedHeaders: { connection: 'close', 'content-length': '1' },
      });
      const answer = await sendRaw(server.port, [head, 'x']);
      assert.match(answer, new RegExp(`\\r\\n\\r\\n${method} replicated owner$`));
    }
    const foreign = new GetBucketReplicationCommand({ Bucket: 'replicated' });
    await failsWith(server.client(OTHER).send(foreign), 'AccessDenied', 403);
  });

  it('answer subresources that do not exist here with NotImplemented', async () => {
    await create('acl');
    await failsWith(s3.send(new GetBucketAclCommand({ Bucket: 'acl' })), 'NotImplemented', 501);
  });

  it('learn of wrong credentials', async () => {
    const list = (credentials: typeof OWNER, region = REGION) =>
      server.client(credentials, { region }).send(new ListBucketsCommand({}));
    const wrongSecret = { ...OWNER, secretAccessKey: 'wrong' };
    await failsWith(list(wrongSecret), 'SignatureDoesNotMatch', 403);
    await failsWith(list({ ...OWNER, accessKeyId: 'AKNOBODY' }), 'InvalidAccessKeyId', 403);
    const error = await failsWith(list(OWNER, 'us-west-2'), 'AuthorizationHeaderMalformed', 400);
    assert.equal((error as { Region?: string }).Region, REGION);
  });
});

describe('listings', () => {
  const keys = [
    'a',
    'a/1',
    'a/2',
    'b+ c',
    'dir/x/1',
    'dir/x/2',
    'dir/y',
    'z <&>\r',
    'ä',
    '\uffee',
    '😀',
  ];

  before(async () => {
    await create('listed');
    for (const key of [...keys].reverse()) await put('listed', key);
  });

  it('are in UTF-8 byte order, page by page, in both versions', async () => {
    const second: (string | undefined)[] = [];
    let token: string | undefined;
    do {
      const page = await s3.send(
        new ListObjectsV2Command({
          Bucket: 'listed',
          MaxKeys: 2,
          ...(token && { ContinuationToken: token }),
        }),
      );
      second.push(...(page.Contents ?? []).map(({ Key }) => Key));
      assert.equal(page.IsTruncated, page.NextContinuationToken !== undefined);
      token = page.NextContinuationToken;
    } while (token !== undefined);
    assert.deepEqual(second, keys);

    const first: (string | undefined)[] = [];
    let Marker: string | undefined;
    do {
      const page = await s3.send(
        new ListObjectsCommand({ Bucket: 'listed', MaxKeys: 3, ...(Marker && { Marker }) }),
      );
      first.push(...(page.Contents ?? []).map(({ Key }) => Key));
      Marker = page.NextMarker;
    } while (Marker !== undefined);
    assert.deepEqual(first, keys);
  });

  it('fold common prefixes', async () => {
    const page = await s3.send(new ListObjectsV2Command({ Bucket: 'listed', Delimiter: '/' }));
    assert.deepEqual(
      page.CommonPrefixes?.map(({ Prefix }) => Prefix),
      ['a/', 'dir/'],
    );
    assert.equal(page.KeyCount, keys.length - 3);
    const inner = await s3.send(
      new ListObjectsV2Command({ Bucket: 'listed', Prefix: 'dir/', Delimiter: '/' }),
    );
    assert.deepEqual(
      inner.Contents?.map(({ Key }) => Key),
      ['dir/y'],
    );
    assert.deepEqual(
      inner.CommonPrefixes?.map(({ Prefix }) => Prefix),
      ['dir/x/'],
    );
  });

  it('encode keys where asked and tell owners where asked', async () => {
    const page = await s3.send(
      new ListObjectsV2Command({
        Bucket: 'listed',
        EncodingType: 'url',
        StartAfter: 'a/2',
        MaxKeys: 1,
        FetchOwner: true,
      }),
    );
    assert.equal(page.EncodingType, 'url');
    assert.deepEqual(
      page.Contents?.map(({ Key, Owner }) => [Key, Owner?.ID]),
      [['b%2B%20c', 'owner']],
    );
    const none = await s3.send(new ListObjectsV2Command({ Bucket: 'listed', MaxKeys: 0 }));
    assert.deepEqual([none.KeyCount, none.IsTruncated], [0, false]);
    const bad = new ListObjectsV2Command({ Bucket: 'listed', ContinuationToken: '!' });
    await failsWith(s3.send(bad), 'InvalidArgument', 400);
    const badMax = new ListObjectsV2Command({ Bucket: 'listed', MaxKeys: -1 });
    await failsWith(s3.send(badMax), 'InvalidArgument', 400);
  });

  it('show every version and delete marker, page by page', async () => {
    await create('history');
    await setVersioning('history', 'Enabled');
    for (const key of ['a', 'a', 'b', 'c/1', 'c/2']) await put('history', key);
    await s3.send(new DeleteObjectCommand({ Bucket: 'history', Key: 'a' }));
    const seen: string[] = [];
    let markers: object = {};
    for (;;) {
      const page = await s3.send(
        new ListObjectVersionsCommand({
          Bucket: 'history',
          MaxKeys: 1,
          Delimiter: '/',
          ...markers,
        }),
      );
      for (const { Key, IsLatest } of page.DeleteMarkers ?? [])
        seen.push(`marker ${Key} ${IsLatest}`);
      for (const { Key, IsLatest } of page.Versions ?? []) seen.push(`${Key} ${IsLatest}`);
      for (const { Prefix } of page.CommonPrefixes ?? []) seen.push(`prefix ${Prefix}`);
      if (page.IsTruncated !== true) break;
      markers = {
        KeyMarker: page.NextKeyMarker,
        ...(page.NextVersionIdMarker && { VersionIdMarker: page.NextVersionIdMarker }),
      };
    }
    assert.deepEqual(seen, ['marker a true', 'a false', 'a false', 'b true', 'prefix c/']);
  });
});

describe('multipart uploads', () => {
  const input = { Bucket: 'parts', Key: 'big ü' };
  const listedInput = { Bucket: 'parts', Key: 'listed' };
  before(async () => await create('parts'));

  const begin = async (options: object = {}) =>
    (await s3.send(new CreateMultipartUploadCommand({ ...input, ...options }))).UploadId!;
  const upload = async (UploadId: string, PartNumber: number, Body: Buffer) =>
    await s3.send(new UploadPartCommand({ ...input, UploadId, PartNumber, Body }));
  const complete = async (UploadId: string, Parts: object[]) =>
    await s3.send(
      new CompleteMultipartUploadCommand({ ...input, UploadId, MultipartUpload: { Parts } }),
    );

  it('put parts together in their order, with the composite ETag', async () => {
    const UploadId = await begin({ ContentType: 'a/b', Metadata: { m: '1' }, Tagging: 't=1' });
    const [one, two] = [randomBytes(PART_BYTES_MIN), randomBytes(1000)];
    const second = await upload(UploadId, 7, two);
    const first = await upload(UploadId, 2, one);
    const listed = await s3.send(new ListPartsCommand({ ...input, UploadId }));
    assert.deepEqual(
      listed.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [2, one.length],
        [7, two.length],
      ],
    );
    const Parts = [
      { PartNumber: 2, ...first },
      { PartNumber: 7, ...second },
    ];
    const wrong = [{ PartNumber: 2, ETag: '"0"' }];
    await failsWith(complete(UploadId, wrong), 'InvalidPart', 400);
    await failsWith(complete(UploadId, [...Parts].reverse()), 'InvalidPartOrder', 400);
    const { ETag } = await complete(UploadId, Parts);
    const md5 = (bytes: Buffer): Buffer => createHash('md5').update(bytes).digest();
    assert.equal(ETag, `"${md5(Buffer.concat([md5(one), md5(two)])).toString('hex')}-2"`);
    const read = await s3.send(new GetObjectCommand(input));
    assert.deepEqual([read.ContentType, read.Metadata, read.TagCount], ['a/b', { m: '1' }, 1]);
    const bytes = Buffer.from((await read.Body?.transformToByteArray()) ?? []);
    assert.ok(bytes.equals(Buffer.concat([one, two])));
    await failsWith(upload(UploadId, 1, two), 'NoSuchUpload', 404);
  });

  it('refuse parts that are too small', async () => {
    const UploadId = await begin();
    const parts = [
      await upload(UploadId, 1, randomBytes(10)),
      await upload(UploadId, 2, randomBytes(10)),
    ];
    const named = parts.map(({ ETag }, index) => ({ PartNumber: index + 1, ETag }));
    await failsWith(complete(UploadId, named), 'EntityTooSmall', 400);
    await s3.send(new AbortMultipartUploadCommand({ ...input, UploadId }));
  });

  it('are listed until they are aborted', async () => {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(listedInput));
    const list = async () => {
      const page = await s3.send(
        new ListMultipartUploadsCommand({ Bucket: 'parts', Prefix: 'listed' }),
      );
      return (page.Uploads ?? []).map((upload) => [upload.Key, upload.UploadId]);
    };
    assert.deepEqual(await list(), [['listed', UploadId]]);
    const abort = () => s3.send(new AbortMultipartUploadCommand({ ...listedInput, UploadId }));
    await abort();
    assert.deepEqual(await list(), []);
    await failsWith(abort(), 'NoSuchUpload', 404);
  });

  it('copy parts from other objects', async () => {
    await s3.send(new PutObjectCommand({ Bucket: 'parts', Key: 'source', Body: '0123456789' }));
    const UploadId = await begin();
    const copied = await s3.send(
      new UploadPartCopyCommand({
        ...input,
        UploadId,
        PartNumber: 1,
        CopySource: 'parts/source',
        CopySourceRange: 'bytes=2-5',
      }),
    );
    await complete(UploadId, [{ PartNumber: 1, ETag: copied.CopyPartResult?.ETag }]);
    const read = await s3.send(new GetObjectCommand(input));
    assert.equal(await read.Body?.transformToString(), '2345');
  });

  it('number their parts from 1 to 10,000', async () => {
    const UploadId = await begin();
    for (const number of [0, 10_001]) {
      await failsWith(upload(UploadId, number, Buffer.alloc(1)), 'InvalidArgument', 400);
    }
    await upload(UploadId, 10_000, Buffer.alloc(1));
    await s3.send(new AbortMultipartUploadCommand({ ...input, UploadId }));
  });
});
