/**
 * Checks with the AWS CLI.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CREDENTIALS,
  REGION,
  run,
  sha256OfFile,
  SIZES,
  succeed,
  treeHashes,
  writeAwkwardTree,
  writeRandomFile,
  type Check,
  type CheckContext,
  type Output,
} from './client-suite.ts';

/** Debian's: another one may come first in the path. */
export const AWS = '/usr/bin/aws';

interface Overrides {
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
}

function environment(context: CheckContext, overrides: Overrides): Record<string, string> {
  const settings = { region: REGION, ...CREDENTIALS, ...overrides };
  return {
    // No configuration of the caller, and none of an instance.
    HOME: context.directory,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
    AWS_MAX_ATTEMPTS: '1',
    AWS_ACCESS_KEY_ID: settings.accessKeyId,
    AWS_SECRET_ACCESS_KEY: settings.secretAccessKey,
    AWS_DEFAULT_REGION: settings.region,
  };
}

async function aws(context: CheckContext, ...args: readonly string[]): Promise<string> {
  const all = ['--endpoint-url', context.endpoint, '--output', 'json', ...args];
  return await succeed(AWS, all, environment(context, {}));
}

/** One `s3api` call; the parsed answer. */
async function api(context: CheckContext, ...args: readonly string[]): Promise<Answer> {
  const text = await aws(context, 's3api', ...args);
  return (text.trim() === '' ? {} : JSON.parse(text)) as Answer;
}

async function attempt(
  context: CheckContext,
  overrides: Overrides,
  ...args: readonly string[]
): Promise<Output> {
  const all = ['--endpoint-url', context.endpoint, ...args];
  return await run(AWS, all, environment(context, overrides));
}

/** The fields of answers that the checks read. */
interface Answer {
  readonly ETag?: string;
  readonly VersionId?: string;
  readonly DeleteMarker?: boolean;
  readonly ContentType?: string;
  readonly ContentRange?: string;
  readonly CacheControl?: string;
  readonly Metadata?: Readonly<Record<string, string>>;
  readonly TagSet?: readonly unknown[];
  readonly LocationConstraint?: string;
  readonly Status?: string;
  readonly UploadId?: string;
  readonly Versions?: readonly { readonly Key: string; readonly VersionId: string }[];
  readonly DeleteMarkers?: readonly { readonly Key: string; readonly VersionId: string }[];
  readonly Contents?: readonly { readonly Key: string }[];
  readonly Deleted?: readonly unknown[];
  readonly Parts?: readonly unknown[];
}

async function makeBucket(context: CheckContext, name: string): Promise<string> {
  await aws(context, 's3', 'mb', `s3://${name}`);
  return name;
}

const buckets: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-buckets');
  assert.match(await aws(context, 's3', 'ls'), /aws-buckets/);
  await api(context, 'head-bucket', '--bucket', bucket);
  const location = await api(context, 'get-bucket-location', '--bucket', bucket);
  assert.equal(location.LocationConstraint, REGION);
  await aws(context, 's3', 'rb', `s3://${bucket}`);
  const gone = await attempt(context, {}, 's3api', 'head-bucket', '--bucket', bucket);
  assert.match(gone.stderr, /404/);
};

const roundTrip: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-sizes');
  for (const size of SIZES) {
    const [up, down] = [join(context.directory, 'up'), join(context.directory, 'down')];
    writeRandomFile(up, size);
    await aws(context, 's3', 'cp', '--no-progress', up, `s3://${bucket}/size ${size}`);
    await aws(context, 's3', 'cp', '--no-progress', `s3://${bucket}/size ${size}`, down);
    assert.equal(sha256OfFile(down), sha256OfFile(up), `${size} bytes`);
  }
  await aws(context, 's3', 'rb', '--force', `s3://${bucket}`);
};

const metadata: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-metadata');
  const [up, down] = [join(context.directory, 'up'), join(context.directory, 'down')];
  writeFileSync(up, '0123456789');
  const object = ['--bucket', bucket, '--key', 'a key'];
  await api(
    context,
    'put-object',
    ...object,
    '--body',
    up,
    '--content-type',
    'text/x-test',
    '--cache-control',
    'max-age=5',
    '--metadata',
    'one=1,two=zwei',
    '--tagging',
    'a=1&b=x%20y',
  );
  const head = await api(context, 'head-object', ...object);
  assert.deepEqual([head.ContentType, head.CacheControl], ['text/x-test', 'max-age=5']);
  assert.deepEqual(head.Metadata, { one: '1', two: 'zwei' });
  const part = await api(context, 'get-object', ...object, '--range', 'bytes=3-5', down);
  assert.deepEqual([part.ContentRange, readFileSync(down, 'utf8')], ['bytes 3-5/10', '345']);
  await aws(context, 's3', 'cp', `s3://${bucket}/a key`, `s3://${bucket}/copy`);
  const copy = await api(context, 'head-object', '--bucket', bucket, '--key', 'copy');
  assert.deepEqual(copy.Metadata, head.Metadata);
  await aws(context, 's3', 'mv', `s3://${bucket}/copy`, `s3://${bucket}/moved/deep`);
  assert.match(await aws(context, 's3', 'ls', '--recursive', `s3://${bucket}`), /moved\/deep/);
  const unchanged = await attempt(
    context,
    {},
    's3api',
    'get-object',
    ...object,
    '--if-none-match',
    head.ETag ?? '',
    down,
  );
  assert.match(unchanged.stderr, /304/);
};

const tags: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-tags');
  const object = ['--bucket', bucket, '--key', 'k'];
  await api(context, 'put-object', ...object, '--tagging', 'first=1');
  const TagSet = [{ Key: 'second <&>', Value: 'zwei' }];
  await api(context, 'put-object-tagging', ...object, '--tagging', JSON.stringify({ TagSet }));
  assert.deepEqual((await api(context, 'get-object-tagging', ...object)).TagSet, TagSet);
  await api(context, 'delete-object-tagging', ...object);
  assert.deepEqual((await api(context, 'get-object-tagging', ...object)).TagSet, []);
};

const tree: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-tree');
  const [up, down] = [join(context.directory, 'up'), join(context.directory, 'down')];
  mkdirSync(up);
  writeAwkwardTree(up, 500);
  await aws(context, 's3', 'sync', '--no-progress', up, `s3://${bucket}/tree`);
  await aws(context, 's3', 'sync', '--no-progress', `s3://${bucket}/tree`, down);
  assert.deepEqual(treeHashes(down), treeHashes(up));
  const again = await aws(context, 's3', 'sync', '--no-progress', up, `s3://${bucket}/tree`);
  assert.equal(again.trim(), '', 'a second sync copied something');
  const listed = await api(context, 'list-objects-v2', '--bucket', bucket, '--page-size', '7');
  const keys = Object.keys(treeHashes(up)).map((path) => Buffer.from(`tree/${path}`));
  assert.deepEqual(
    listed.Contents?.map(({ Key }) => Key),
    keys.sort((one, other) => Buffer.compare(one, other)).map((key) => key.toString()),
  );
  await aws(context, 's3', 'rm', '--recursive', `s3://${bucket}`);
  assert.equal((await api(context, 'list-objects-v2', '--bucket', bucket)).Contents, undefined);
};

const versions: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-versions');
  const [up, down] = [join(context.directory, 'up'), join(context.directory, 'down')];
  const status = ['--versioning-configuration', 'Status=Enabled'];
  await api(context, 'put-bucket-versioning', '--bucket', bucket, ...status);
  assert.equal((await api(context, 'get-bucket-versioning', '--bucket', bucket)).Status, 'Enabled');
  const object = ['--bucket', bucket, '--key', 'doc'];
  const put = async (text: string): Promise<Answer> => {
    writeFileSync(up, text);
    return await api(context, 'put-object', ...object, '--body', up);
  };
  const first = await put('one');
  await put('two');
  const marker = await api(context, 'delete-object', ...object);
  assert.equal(marker.DeleteMarker, true);
  const gone = await attempt(context, {}, 's3api', 'get-object', ...object, down);
  assert.match(gone.stderr, /NoSuchKey/);
  await api(context, 'get-object', ...object, '--version-id', first.VersionId ?? '', down);
  assert.equal(readFileSync(down, 'utf8'), 'one');
  const all = await api(context, 'list-object-versions', '--bucket', bucket, '--page-size', '1');
  assert.deepEqual([all.Versions?.length, all.DeleteMarkers?.length], [2, 1]);
  await api(context, 'delete-object', ...object, '--version-id', marker.VersionId ?? '');
  await api(context, 'get-object', ...object, down);
  assert.equal(readFileSync(down, 'utf8'), 'two');
};

const multiDelete: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-delete');
  const keys = ['plain', ' <&"> ', 'ü\n'];
  for (const key of keys) await api(context, 'put-object', '--bucket', bucket, '--key', key);
  const Objects = [...keys, 'never there'].map((Key) => ({ Key }));
  const request = ['--bucket', bucket, '--delete', JSON.stringify({ Objects })];
  const answer = await api(context, 'delete-objects', ...request);
  assert.deepEqual(answer.Deleted, Objects);
  assert.equal((await api(context, 'list-objects', '--bucket', bucket)).Contents, undefined);
};

const multipart: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-parts');
  const part = join(context.directory, 'part');
  writeRandomFile(part, 5 * 1024 * 1024);
  const object = ['--bucket', bucket, '--key', 'big'];
  const { UploadId = '' } = await api(context, 'create-multipart-upload', ...object);
  const upload = [...object, '--upload-id', UploadId];
  const sent = await api(context, 'upload-part', ...upload, '--part-number', '3', '--body', part);
  assert.equal((await api(context, 'list-parts', ...upload)).Parts?.length, 1);
  const Parts = [{ PartNumber: 3, ETag: sent.ETag }];
  const done = ['--multipart-upload', JSON.stringify({ Parts })];
  const { ETag } = await api(context, 'complete-multipart-upload', ...upload, ...done);
  assert.match(ETag ?? '', /-1"$/);
  const other = await api(context, 'create-multipart-upload', ...object);
  const aborted = [...object, '--upload-id', other.UploadId ?? ''];
  await api(context, 'abort-multipart-upload', ...aborted);
  const gone = await attempt(context, {}, 's3api', 'list-parts', ...aborted);
  assert.match(gone.stderr, /NoSuchUpload/);
};

const credentials: Check = async (context) => {
  const secret = await attempt(context, { secretAccessKey: 'wrong' }, 's3', 'ls');
  assert.match(secret.stderr, /SignatureDoesNotMatch/);
  const key = await attempt(context, { accessKeyId: 'AKNOBODY' }, 's3', 'ls');
  assert.match(key.stderr, /InvalidAccessKeyId/);
  const file = join(context.directory, 'large');
  writeRandomFile(file, 4 * 1024 * 1024);
  const upload = await attempt(context, { secretAccessKey: 'wrong' }, 's3', 'cp', file, 's3://x/k');
  assert.match(upload.stderr, /SignatureDoesNotMatch/);
};

/** For a bucket, this client reads the region from the error and tries again with that. */
const wrongRegion: Check = async (context) => {
  const bucket = await makeBucket(context, 'aws-region');
  const list = await attempt(context, { region: 'us-west-2' }, 's3api', 'list-buckets');
  assert.match(list.stderr, new RegExp(`AuthorizationHeaderMalformed.*expecting '${REGION}'`));
  const object = ['--bucket', bucket, '--key', 'k'];
  const put = await attempt(context, { region: 'us-west-2' }, 's3api', 'put-object', ...object);
  assert.equal(put.code, 0, put.stderr);
};

export const awsChecks: Readonly<Record<string, Check>> = {
  'buckets are made, listed, located and removed': buckets,
  'files of 0 bytes to 200 MiB come back as they went': roundTrip,
  'metadata, ranges, copies, moves and conditions': metadata,
  tags: tags,
  'a tree of 500 awkward names is synchronised both ways': tree,
  'versions and delete markers': versions,
  'many objects are deleted at once': multiDelete,
  'multipart uploads by hand': multipart,
  'wrong credentials are named': credentials,
  'a wrong region is corrected': wrongRegion,
};
