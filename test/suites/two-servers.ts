/**
 * Two real servers of different regions that replicate to each other, driven by the AWS CLI.
 *
 *     npm run build && node --import tsx --test test/suites/two-servers.ts
 *
 * Needs Debian's awscli, and says so where it is missing.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { aws, awsError, requireAwsCli } from '../support/aws-cli.ts';
import {
  admin,
  drained,
  failureShows,
  putTarget,
  replicate,
  startSite,
  targetAt,
  targetStatus,
  type Site,
} from '../support/replication-site.ts';
import { until } from '../support/until.ts';

const DELIVERY_TIMEOUT_MS = 30_000;

const directory = mkdtempSync(join(tmpdir(), 'alarik-two-servers-'));
let a: Site;
let b: Site;
let buckets = 0;

before(async () => {
  requireAwsCli();
  [a, b] = await Promise.all([start('a', 'us-east-1'), start('b', 'eu-central-1')]);
});

after(async () => {
  await Promise.all([a.process.stop(), b.process.stop()]);
  rmSync(directory, { recursive: true, force: true });
});

async function start(name: string, region: string): Promise<Site> {
  return await startSite({ dataDirectory: join(directory, name), name, region });
}

/** A versioned bucket of a name of its own at each listed site. */
async function newBucket(...sites: Site[]): Promise<string> {
  buckets += 1;
  const name = `bucket-${buckets}`;
  for (const site of sites) await createBucket(site, name);
  return name;
}

async function createBucket(site: Site, name: string): Promise<void> {
  await aws(site.account, 's3api', 'create-bucket', '--bucket', name);
  await aws(
    site.account,
    's3api',
    'put-bucket-versioning',
    '--bucket',
    name,
    '--versioning-configuration',
    'Status=Enabled',
  );
}

async function put(site: Site, bucket: string, key: string, body: string | Buffer): Promise<void> {
  const file = join(directory, 'body');
  writeFileSync(file, body);
  await aws(site.account, 's3api', 'put-object', '--bucket', bucket, '--key', key, '--body', file);
}

async function get(site: Site, bucket: string, key: string): Promise<Buffer | null> {
  const file = join(directory, 'got');
  try {
    await aws(site.account, 's3api', 'get-object', '--bucket', bucket, '--key', key, file);
  } catch (error) {
    if (/NoSuchKey|Not Found|NoSuchBucket/.test(String((error as { stderr?: string }).stderr))) {
      return null;
    }
    throw error;
  }
  return readFileSync(file);
}

/** All versions, delete markers too. */
async function versionsIn(site: Site, bucket: string): Promise<number> {
  const printed = await aws(site.account, 's3api', 'list-object-versions', '--bucket', bucket);
  const { Versions = [], DeleteMarkers = [] } = JSON.parse(printed || '{}') as {
    readonly Versions?: readonly unknown[];
    readonly DeleteMarkers?: readonly unknown[];
  };
  return Versions.length + DeleteMarkers.length;
}

async function arrives(
  site: Site,
  bucket: string,
  key: string,
  body: string | Buffer,
): Promise<void> {
  await until(
    async () => (await get(site, bucket, key))?.equals(Buffer.from(body)),
    `${key} in ${bucket}`,
    DELIVERY_TIMEOUT_MS,
  );
}

describe('two servers', () => {
  it('copies an object with its headers, metadata and tags', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket);
    const file = join(directory, 'photo');
    writeFileSync(file, 'hello replication');
    await aws(
      ...([a.account, 's3api', 'put-object', '--bucket', bucket] as const),
      ...['--key', 'dir/phöto one+two.txt', '--body', file, '--content-type', 'text/x-hello'],
      ...['--cache-control', 'max-age=60', '--metadata', 'colour=blue', '--tagging', 'kind=test'],
    );
    await arrives(b, bucket, 'dir/phöto one+two.txt', 'hello replication');
    const where = ['--bucket', bucket, '--key', 'dir/phöto one+two.txt'];
    const head = JSON.parse(await aws(b.account, 's3api', 'head-object', ...where));
    assert.equal(head.ContentType, 'text/x-hello');
    assert.equal(head.CacheControl, 'max-age=60');
    assert.deepEqual(head.Metadata, { colour: 'blue' });
    assert.equal(head.ReplicationStatus, 'REPLICA');
    const tags = await aws(b.account, 's3api', 'get-object-tagging', ...where);
    assert.deepEqual(JSON.parse(tags).TagSet, [{ Key: 'kind', Value: 'test' }]);
    await until(
      async () =>
        JSON.parse(await aws(a.account, 's3api', 'head-object', ...where)).ReplicationStatus ===
        'COMPLETED',
      'the source to say COMPLETED',
    );
  });

  it('copies a multipart upload over 8 MiB byte for byte', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket);
    const body = randomBytes(20 * 1024 * 1024 + 7);
    const file = join(directory, 'large');
    writeFileSync(file, body);
    await aws(a.account, 's3', 'cp', '--quiet', file, `s3://${bucket}/large.bin`);
    await arrives(b, bucket, 'large.bin', body);
  });

  it('leaves deletes alone unless the rule asks for them', async () => {
    const kept = await newBucket(a, b);
    await replicate(a, b.account, kept);
    const followed = await newBucket(a, b);
    await replicate(a, b.account, followed, {}, { replicateDeletes: true });
    for (const bucket of [kept, followed]) {
      await put(a, bucket, 'k', 'v');
      await arrives(b, bucket, 'k', 'v');
      await aws(a.account, 's3api', 'delete-object', '--bucket', bucket, '--key', 'k');
    }
    await until(
      async () => (await get(b, followed, 'k')) === null,
      'the delete to arrive',
      DELIVERY_TIMEOUT_MS,
    );
    await drained(a, kept, DELIVERY_TIMEOUT_MS);
    assert.deepEqual(await get(b, kept, 'k'), Buffer.from('v'));
  });

  it('copies what exists already when a resync is asked for', async () => {
    const bucket = await newBucket(a, b);
    for (const key of ['one', 'two', 'other/three']) await put(a, bucket, key, key);
    const { ruleId } = await replicate(a, b.account, bucket);
    const path = `${bucket}/replication/rules/${ruleId}/resync`;
    assert.equal((await admin(a, 'GET', path)).status, 404);
    const started = await admin(a, 'POST', path);
    assert.equal(started.status, 202, started.text);
    assert.equal(started.text, '');
    for (const key of ['one', 'two', 'other/three']) await arrives(b, bucket, key, key);
    const job = await until(async () => {
      const { json } = await admin(a, 'GET', path);
      return json.state === 'completed' && json;
    }, 'the resync to complete');
    assert.equal(job.scanned, 3);
    assert.equal(job.enqueued, 3);
  });

  for (const [how, asksForRetry] of [
    ['at its next probe', false],
    ['at once when asked for', true],
  ] as const) {
    it(`waits for a destination bucket that is created later, and finds it ${how}`, async () => {
      const bucket = await newBucket(a);
      await replicate(a, b.account, bucket);
      await put(a, bucket, 'early', 'bird');
      await failureShows(a, bucket, /bucket does not exist/, DELIVERY_TIMEOUT_MS);
      await createBucket(b, bucket);
      if (asksForRetry) {
        const path = `${bucket}/replication/tasks/retry?state=pending`;
        const retried = await admin(a, 'POST', path);
        // None is left where the lane's own probe was faster.
        assert.equal(retried.status, 200, retried.text);
      }
      await arrives(b, bucket, 'early', 'bird');
    });
  }

  it('shows a region mismatch as such and delivers nothing until it is corrected', async () => {
    const bucket = await newBucket(a, b);
    const { targetId } = await replicate(a, b.account, bucket, { region: 'ap-south-1' });
    for (const key of ['one', 'two']) await put(a, bucket, key, key);
    await failureShows(a, bucket, /region.*eu-central-1/, DELIVERY_TIMEOUT_MS);
    // One more request than the first is refused just so.
    await admin(a, 'POST', `${bucket}/replication/tasks/retry?state=pending`);
    await until(
      async () => {
        const { json } = await admin(a, 'GET', `${bucket}/replication/tasks`);
        const { tasks } = json as { readonly tasks: readonly { readonly attempts: number }[] };
        return tasks.length === 2 && tasks.some(({ attempts }) => attempts > 0);
      },
      'another try',
      DELIVERY_TIMEOUT_MS,
    );
    assert.equal(await versionsIn(b, bucket), 0);
    await putTarget(a, bucket, { ...targetAt(b.account, bucket), id: targetId });
    for (const key of ['one', 'two']) await arrives(b, bucket, key, key);
    assert.equal(await versionsIn(b, bucket), 2);
  });

  it('heals the queue with corrected credentials', async () => {
    const bucket = await newBucket(a, b);
    const { targetId } = await replicate(a, b.account, bucket, { secretAccessKey: 'wrong' });
    await put(a, bucket, 'k', 'v');
    await failureShows(a, bucket, /signature/, DELIVERY_TIMEOUT_MS);
    await putTarget(a, bucket, { ...targetAt(b.account, bucket), id: targetId });
    await arrives(b, bucket, 'k', 'v');
  });

  it('has an object there at once under a synchronous rule', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket, {}, { synchronous: true });
    await put(a, bucket, 'k', 'v');
    assert.deepEqual(await get(b, bucket, 'k'), Buffer.from('v'));
  });

  it('delivers nothing to a disabled target and catches up when it is enabled', async () => {
    const bucket = await newBucket(a, b);
    const { targetId } = await replicate(a, b.account, bucket, { enabled: false });
    await put(a, bucket, 'k', 'v');
    const paused = await targetStatus(a, bucket);
    assert.equal(paused.state, 'paused');
    assert.equal(paused.queued, 1);
    assert.equal(await get(b, bucket, 'k'), null);
    await putTarget(a, bucket, { ...targetAt(b.account, bucket), id: targetId });
    await arrives(b, bucket, 'k', 'v');
  });

  it('replicates both ways without a loop', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket);
    await replicate(b, a.account, bucket);
    await put(a, bucket, 'from-a', '1');
    await put(b, bucket, 'from-b', '2');
    await arrives(b, bucket, 'from-a', '1');
    await arrives(a, bucket, 'from-b', '2');
    await drained(a, bucket, DELIVERY_TIMEOUT_MS);
    await drained(b, bucket, DELIVERY_TIMEOUT_MS);
    for (const site of [a, b]) assert.equal(await versionsIn(site, bucket), 2);
  });

  it('lets a bucket that is created again inherit nothing', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket);
    await aws(a.account, 's3api', 'delete-bucket', '--bucket', bucket);
    await createBucket(a, bucket);
    assert.deepEqual((await admin(a, 'GET', `${bucket}/replication/targets`)).json, {
      targets: [],
    });
    await put(a, bucket, 'k', 'v');
    const { json } = await admin(a, 'GET', `${bucket}/replication/tasks`);
    assert.deepEqual(json.tasks, []);
    assert.equal(await get(b, bucket, 'k'), null);
  });

  it('delivers what was acknowledged before a kill', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket);
    const keys = Array.from({ length: 8 }, (_, index) => `object-${index}`);
    for (const key of keys) await put(a, bucket, key, key);
    await a.process.kill();
    a = await start('a', 'us-east-1');
    for (const key of keys) await arrives(b, bucket, key, key);
  });

  it('refuses to suspend versioning while the bucket has rules', async () => {
    const bucket = await newBucket(a, b);
    await replicate(a, b.account, bucket);
    const refusal = await awsError(
      ...([a.account, 's3api', 'put-bucket-versioning', '--bucket', bucket] as const),
      ...['--versioning-configuration', 'Status=Suspended'],
    );
    assert.match(refusal, /InvalidBucketState/);
  });
});
