/**
 * A corpus of damaged data directories against the real program: each start refuses with one sentence
 * that names the file and the way out, exits with 1, and is never a signal or an empty "ok"
 * (etcd#18096: a zeroed page ended the start by a panic).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pageUsage } from '../../src/lmdb/page-usage.ts';
import { targetBody } from '../support/replication-bodies.ts';
import { admin, putTarget, startSite } from '../support/replication-site.ts';
import { connectS3, createVersionedBucket } from '../support/s3-sdk.ts';
import { runCommand } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const BUCKET = 'damaged';
const PAGE = 4096;
const BUCKETS = 40;

type Harm = (file: string) => void;

function overwrite(file: string, from: number, to: number, byte: (n: number) => number): void {
  const bytes = readFileSync(file);
  for (let n = from; n < Math.min(to, bytes.length); n += 1) bytes[n] = byte(n);
  writeFileSync(file, bytes);
}

/** Of what LMDB uses: behind that is the reserve, whose loss is none. */
function usedBytes(file: string): number {
  return pageUsage(file)!.pages * PAGE;
}

const STORE_HARMS: Readonly<Record<string, Harm>> = {
  deleted: (file) => rmSync(file),
  'of zero length': (file) => truncateSync(file, 0),
  'cut in half': (file) => truncateSync(file, usedBytes(file) >> 1),
  'with a damaged header': (file) => overwrite(file, 0, 2 * PAGE, (n) => n % 251),
  'with random pages': (file) => overwrite(file, 2 * PAGE, usedBytes(file), (n) => (n * 31) % 256),
  'with a zeroed tail': (file) => overwrite(file, usedBytes(file) >> 1, Infinity, () => 0),
};
const KEY_HARMS: Readonly<Record<string, Harm>> = {
  missing: (file) => rmSync(file),
  wrong: (file) => writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 }),
  'of garbage': (file) => writeFileSync(file, 'not a key at all', { mode: 0o600 }),
};
const CASES = [
  ...['server', 'replication'].flatMap((folder) =>
    Object.entries(STORE_HARMS).map(
      ([what, harm]) => [join(folder, 'data.mdb'), what, harm] as const,
    ),
  ),
  ...['server.key', 'replication.key'].flatMap((file) =>
    Object.entries(KEY_HARMS).map(([what, harm]) => [file, what, harm] as const),
  ),
];

describe('a damaged data directory', () => {
  const parent = mkdtempSync(join(tmpdir(), 'damaged-'));
  const whole = join(parent, 'data');
  after(() => rmSync(parent, { recursive: true, force: true }));
  before(async () => {
    const site = await startSite({ dataDirectory: whole, name: 'damaged', region: 'eu-test-1' });
    const s3 = connectS3(site.account);
    for (let n = 0; n < BUCKETS; n += 1) {
      await createVersionedBucket(s3, `${BUCKET}-${n}`);
      await putTarget(site, `${BUCKET}-${n}`, targetBody());
    }
    assert.equal((await admin(site, 'GET', `${BUCKET}-0/replication/targets`)).status, 200);
    assert.equal((await site.process.stop()).code, 0);
  });

  for (const [place, what, harm] of CASES) {
    it(`${place} ${what}`, async (t) => {
      const dataDirectory = join(temporaryDirectory(t), 'data');
      cpSync(whole, dataDirectory, { recursive: true });
      harm(join(dataDirectory, place));
      const ended = await runCommand(['serve', '--port', '0', '--data', dataDirectory]);
      assert.deepEqual([ended.code, ended.signal], [1, null], ended.stderr + ended.stdout);
      const sentences = ended.stderr.split('\n').filter((line) => !line.startsWith('{'));
      const named = sentences.filter((line) => line.includes(join(dataDirectory, place)));
      assert.equal(named.length, 1, ended.stderr);
      assert.match(named[0]!, /alarik-replication backup/);
      assert.doesNotMatch(ended.stdout, /listening/);
    });
  }

  it('with a lost server.key starts where the operator says so', async (t) => {
    const dataDirectory = join(temporaryDirectory(t), 'data');
    cpSync(whole, dataDirectory, { recursive: true });
    rmSync(join(dataDirectory, 'server.key'));
    const site = await startSite({
      dataDirectory,
      name: 'again',
      region: 'eu-test-1',
      args: ['--keys-lost'],
    });
    assert.equal((await admin(site, 'GET', `${BUCKET}-0/replication/targets`)).status, 200);
    await site.process.stop();
  });
});
