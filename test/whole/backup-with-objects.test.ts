/**
 * The way back from nothing, with the real program: serve, write, back up while writing, restore into an
 * empty directory as the README says, serve. And restores that ended half-way, which are refused.
 */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { targetBody } from '../support/replication-bodies.ts';
import {
  admin,
  putTarget,
  startSite,
  targetStatus,
  type Site,
} from '../support/replication-site.ts';
import { ruleBody } from '../support/replication-bodies.ts';
import { connectS3, createVersionedBucket, readObject } from '../support/s3-sdk.ts';
import { runCommand } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BUCKET = 'kept';
const OBJECTS = 60;
const KEYS = ['replication.key', 'server.key'];

async function put(s3: S3Client, key: string): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: `${key} `.repeat(50) }));
}

async function prepare(site: Site, s3: S3Client): Promise<void> {
  await createVersionedBucket(s3, BUCKET);
  // Nothing listens there: what is written stays in the queue.
  const targetId = await putTarget(site, BUCKET, targetBody({ endpoint: 'http://127.0.0.1:9' }));
  const rules = [ruleBody({ targetId })];
  const answer = await admin(site, 'PUT', `${BUCKET}/replication/rules`, { rules });
  assert.equal(answer.status, 200, answer.text);
  for (let n = 0; n < OBJECTS; n += 1) await put(s3, `before-${n}`);
}

/** Puts and removes as fast as it can until it is stopped. */
function keepWriting(s3: S3Client): () => Promise<number> {
  let isWriting = true;
  let written = 0;
  const running = (async () => {
    for (let n = 0; isWriting; n += 1) {
      await put(s3, `during-${n}`);
      const key = `during-${n - 1}`;
      if (n % 2 === 1) await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
      written += 1;
    }
  })();
  return async () => {
    isWriting = false;
    await running;
    return written;
  };
}

/** Copies a backup into an empty directory, and the keys that were kept apart. */
function restore(backup: string, keysFrom: string, dataDirectory: string): void {
  cpSync(backup, dataDirectory, { recursive: true });
  for (const key of KEYS) cpSync(join(keysFrom, key), join(dataDirectory, key));
}

describe('backup with objects', () => {
  let source: string;
  let backup: string;
  let before_: { targets: string; rules: string; queued: number };

  const parent = mkdtempSync(join(tmpdir(), 'backup-'));
  after(() => rmSync(parent, { recursive: true, force: true }));
  before(async () => {
    source = join(parent, 'data');
    backup = join(parent, 'backup');
    const site = await startSite({ dataDirectory: source, name: 'kept', region: 'eu-test-1' });
    const s3 = connectS3(site.account);
    await prepare(site, s3);
    before_ = {
      targets: (await admin(site, 'GET', `${BUCKET}/replication/targets`)).text,
      rules: (await admin(site, 'GET', `${BUCKET}/replication/rules`)).text,
      queued: (await targetStatus(site, BUCKET)).queued,
    };
    const stop = keepWriting(s3);
    const ended = await runCommand(['backup', '--data', source, '--to', backup, '--with-objects']);
    const written = await stop();
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /keys are NOT in the copy/);
    assert(written > 10, `only ${written} writes meanwhile`);
    assert.equal((await site.process.stop()).code, 0);
  });

  it('has no keys, no token secret, and nothing is left beside the data', () => {
    const files = readdirSync(backup).sort();
    assert.deepEqual(files, ['objects', 'replication', 'server']);
    assert.equal(existsSync(join(source, 'backup-links')), false);
  });

  it('serves everything again from an empty directory, and erases nothing', async (t) => {
    const dataDirectory = join(temporaryDirectory(t), 'restored');
    restore(backup, source, dataDirectory);
    const options = { dataDirectory, name: 'kept', region: 'eu-test-1' };
    const site = await startSite(options);
    const s3 = connectS3(site.account);
    for (let n = 0; n < OBJECTS; n += 1) {
      const read = await readObject(s3, BUCKET, `before-${n}`);
      assert.equal(read?.body.toString(), `before-${n} `.repeat(50));
    }
    assert.equal((await admin(site, 'GET', `${BUCKET}/replication/targets`)).text, before_.targets);
    assert.equal((await admin(site, 'GET', `${BUCKET}/replication/rules`)).text, before_.rules);
    assert((await targetStatus(site, BUCKET)).queued >= before_.queued);
    await put(s3, 'after');
    assert.doesNotMatch(site.process.stderr(), /forgot|does not open/);
    assert.equal((await site.process.stop()).code, 0);
    const again = await startSite(options);
    assert.notEqual(await readObject(connectS3(again.account), BUCKET, 'after'), null);
    await again.process.stop();
  });

  const halves: Readonly<Record<string, (directory: string) => void>> = {
    'without the database of the server': (directory) =>
      rmSync(join(directory, 'server'), { recursive: true }),
    'without the store': (directory) => rmSync(join(directory, 'replication'), { recursive: true }),
    'without any body': (directory) => rmSync(join(directory, 'objects'), { recursive: true }),
    'without one body': (directory) => rmSync(oneBody(directory)),
    'with a body that is cut off': (directory) => truncateSync(oneBody(directory), 10),
    'with half a database of the server': (directory) =>
      halve(join(directory, 'server', 'data.mdb')),
    'with half a store': (directory) => halve(join(directory, 'replication', 'data.mdb')),
  };
  for (const [what, harm] of Object.entries(halves)) {
    it(`a restore ${what} is refused`, async (t) => {
      const dataDirectory = join(temporaryDirectory(t), 'restored');
      restore(backup, source, dataDirectory);
      harm(dataDirectory);
      const ended = await runCommand(['serve', '--port', '0', '--data', dataDirectory]);
      assert.deepEqual([ended.code, ended.signal], [1, null], ended.stderr);
      assert.match(ended.stderr, /is missing|cannot be opened/);
      assert.match(ended.stderr, /alarik-replication backup/);
      assert.doesNotMatch(ended.stdout, /listening/);
    });
  }

  it('refuses a folder that holds something, and a directory without a server', async (t) => {
    const elsewhere = temporaryDirectory(t);
    const arguments_ = ['--to', join(elsewhere, 'copy'), '--with-objects'];
    const full = await runCommand(['backup', '--data', source, '--to', source, '--with-objects']);
    assert.match(full.stderr, /is not empty/);
    const none = await runCommand(['backup', '--data', elsewhere, ...arguments_]);
    assert.deepEqual([full.code, none.code], [1, 1]);
    assert.match(none.stderr, /no server's database/);
  });
});

function oneBody(directory: string): string {
  const objects = join(directory, 'objects');
  for (const folder of readdirSync(objects)) {
    for (const file of readdirSync(join(objects, folder))) return join(objects, folder, file);
  }
  throw new Error('there is no body');
}

function halve(file: string): void {
  truncateSync(file, 64 * 1024);
}
