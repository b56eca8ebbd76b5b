/**
 * Checks with rclone.
 */
import { PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
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
} from './client-suite.ts';

export const RCLONE = '/usr/bin/rclone';

/** rclone reads its remotes from the environment too; `s3:` is the server. */
function environment(
  context: CheckContext,
  overrides: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    HOME: context.directory,
    RCLONE_CONFIG: join(context.directory, 'none.conf'),
    RCLONE_RETRIES: '1',
    // Names that differ in their normal form only are different keys.
    RCLONE_NO_UNICODE_NORMALIZATION: 'true',
    RCLONE_LOW_LEVEL_RETRIES: '1',
    RCLONE_CONFIG_S3_TYPE: 's3',
    RCLONE_CONFIG_S3_PROVIDER: 'Other',
    RCLONE_CONFIG_S3_ENDPOINT: context.endpoint,
    RCLONE_CONFIG_S3_REGION: REGION,
    RCLONE_CONFIG_S3_LOCATION_CONSTRAINT: REGION,
    RCLONE_CONFIG_S3_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    RCLONE_CONFIG_S3_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    ...overrides,
  };
}

async function rclone(context: CheckContext, ...args: readonly string[]): Promise<string> {
  return await succeed(RCLONE, args, environment(context));
}

const buckets: Check = async (context) => {
  await rclone(context, 'mkdir', 's3:rclone-buckets');
  assert.match(await rclone(context, 'lsd', 's3:'), /rclone-buckets/);
  await rclone(context, 'rmdir', 's3:rclone-buckets');
  assert.doesNotMatch(await rclone(context, 'lsd', 's3:'), /rclone-buckets/);
};

const roundTrip: Check = async (context) => {
  await rclone(context, 'mkdir', 's3:rclone-sizes');
  for (const size of SIZES) {
    const [up, down] = [join(context.directory, 'up'), join(context.directory, 'down')];
    writeRandomFile(up, size);
    await rclone(context, 'copyto', up, `s3:rclone-sizes/size ${size}`);
    await rclone(context, 'copyto', `s3:rclone-sizes/size ${size}`, down);
    assert.equal(sha256OfFile(down), sha256OfFile(up), `${size} bytes`);
  }
  await rclone(context, 'purge', 's3:rclone-sizes');
};

/** Small parts and a low limit: many parts at once, and server-side copies in parts. */
const multipart: Check = async (context) => {
  await rclone(context, 'mkdir', 's3:rclone-parts');
  const file = join(context.directory, 'file');
  writeRandomFile(file, 33 * 1024 * 1024);
  const parts = ['--s3-upload-cutoff', '5M', '--s3-chunk-size', '5M', '--s3-copy-cutoff', '10M'];
  await rclone(context, 'copyto', ...parts, file, 's3:rclone-parts/one');
  await rclone(context, 'copyto', ...parts, 's3:rclone-parts/one', 's3:rclone-parts/two');
  const down = join(context.directory, 'down');
  await rclone(context, 'copyto', 's3:rclone-parts/two', down);
  assert.equal(sha256OfFile(down), sha256OfFile(file));
};

const tree: Check = async (context) => {
  const [up, down] = [join(context.directory, 'up'), join(context.directory, 'down')];
  mkdirSync(up);
  writeAwkwardTree(up, 500);
  await rclone(context, 'sync', up, 's3:rclone-tree/a b');
  await rclone(context, 'check', '--download', up, 's3:rclone-tree/a b');
  await rclone(context, 'sync', '--fast-list', 's3:rclone-tree/a b', down);
  assert.deepEqual(treeHashes(down), treeHashes(up));
  await rclone(context, 'sync', 's3:rclone-tree/a b', 's3:rclone-tree/copy');
  await rclone(context, 'check', up, 's3:rclone-tree/copy');
  mkdirSync(join(context.directory, 'empty'));
  await rclone(context, 'sync', join(context.directory, 'empty'), 's3:rclone-tree/copy');
  assert.equal(await rclone(context, 'lsf', '-R', 's3:rclone-tree/copy'), '');
  await rclone(context, 'purge', 's3:rclone-tree');
};

const ranges: Check = async (context) => {
  const file = join(context.directory, 'file');
  writeFileSync(file, '0123456789');
  await rclone(context, 'copyto', file, 's3:rclone-ranges/k');
  const cat = ['cat', 's3:rclone-ranges/k', '--offset', '3', '--count', '4'];
  assert.equal(await rclone(context, ...cat), '3456');
  const [listed] = JSON.parse(await rclone(context, 'lsjson', '--hash', 's3:rclone-ranges')) as {
    Size: number;
    Hashes: { md5: string };
  }[];
  assert.deepEqual([listed?.Size, listed?.Hashes.md5], [10, '781e5e245d69b566979b86e28d23f2c7']);
};

/** A changed time alone makes rclone copy the object onto itself with new metadata. */
const times: Check = async (context) => {
  const file = join(context.directory, 'file');
  writeFileSync(file, 'x');
  await rclone(context, 'copyto', file, 's3:rclone-times/k');
  await rclone(context, 'touch', '-t', '2001-02-03T04:05:06', 's3:rclone-times/k');
  const listing = await rclone(context, 'lsl', 's3:rclone-times');
  assert.match(listing, /1 2001-02-03 04:05:06/);
};

/** This release of rclone reads versions, but cannot enable them. */
async function enableVersioning({ endpoint }: CheckContext, Bucket: string): Promise<void> {
  const client = new S3Client({
    endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    forcePathStyle: true,
  });
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
  client.destroy();
}

const versions: Check = async (context) => {
  const file = join(context.directory, 'file');
  await rclone(context, 'mkdir', 's3:rclone-versions');
  await enableVersioning(context, 'rclone-versions');
  for (const text of ['one', 'zwei']) {
    writeFileSync(file, text);
    await rclone(context, 'copyto', '--ignore-times', file, 's3:rclone-versions/k.txt');
  }
  await rclone(context, 'deletefile', 's3:rclone-versions/k.txt');
  assert.equal(await rclone(context, 'lsf', 's3:rclone-versions'), '');
  const all = (await rclone(context, 'lsf', '--s3-versions', 's3:rclone-versions')).trim();
  assert.equal(all.split('\n').length, 2, all);
};

const refusals: Check = async (context) => {
  const list = async (overrides: Record<string, string>): Promise<string> => {
    const { code, stderr } = await run(RCLONE, ['lsd', 's3:'], environment(context, overrides));
    assert.notEqual(code, 0);
    return stderr;
  };
  const region = await list({ RCLONE_CONFIG_S3_REGION: 'us-west-2' });
  assert.match(region, new RegExp(`AuthorizationHeaderMalformed.*expecting '${REGION}'`));
  const secret = await list({ RCLONE_CONFIG_S3_SECRET_ACCESS_KEY: 'wrong' });
  assert.match(secret, /SignatureDoesNotMatch/);
  const key = await list({ RCLONE_CONFIG_S3_ACCESS_KEY_ID: 'AKNOBODY' });
  assert.match(key, /InvalidAccessKeyId/);
};

export const rcloneChecks: Readonly<Record<string, Check>> = {
  'buckets are made, listed and removed': buckets,
  'files of 0 bytes to 200 MiB come back as they went': roundTrip,
  'uploads and copies in parts': multipart,
  'a tree of 500 awkward names is synchronised both ways': tree,
  'ranges and hashes': ranges,
  'times are changed in place': times,
  'versions and delete markers': versions,
  'a wrong region, secret or key is named': refusals,
};
