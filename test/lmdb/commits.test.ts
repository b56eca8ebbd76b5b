/**
 * What becomes of commits that the disk refuses: each process below ends by itself, and an unhandled
 * rejection would end it with 1.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Commits } from '../../src/lmdb/commits.ts';
import type { StorageError } from '../../src/lmdb/storage-error.ts';
import { buildFaultyDisk, isAvailable, mountSmallDisk } from '../faults/faulty-disk.ts';
import { runProgram } from '../support/child-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

interface Report {
  readonly before: string;
  readonly during: readonly string[];
  readonly later: string;
  readonly after: string;
  readonly changes: readonly (string | null)[];
  readonly tookMs: number;
}

const CASES = [
  ['ENOSPC in pages', 'pwrite,writev,write', 28, 'StorageFull', 'ok', ['full', null]],
  ['EDQUOT in pages', 'pwrite,writev,write', 122, 'StorageFull', 'ok', ['full', null]],
  ['EIO in pages', 'pwrite,writev,write', 5, 'StorageFailing', 'ok', ['failing', null]],
  ['EROFS in pages', 'pwrite,writev,write', 30, 'StorageFailing', 'ok', ['failing', null]],
  ['ENOSPC in the flush', 'fdatasync', 28, 'StorageFull', 'ok', ['full', null]],
  ['EIO in the flush', 'fdatasync', 5, 'StorageFailing', 'ok', ['failing', null]],
  ['EIO in the header', 'header', 5, 'StorageBroken', 'not tried', ['broken']],
] as const;

async function commitBeside(
  directory: string,
  calls: string,
  errno: number,
): Promise<Report | string> {
  const disk = buildFaultyDisk(directory);
  if (!isAvailable(disk)) return disk.unavailable;
  const environment = join(directory, 'environment');
  const { LD_PRELOAD, FAULT_SWITCH } = disk.environment;
  const ended = await runProgram(
    'failing-commits.ts',
    [environment, FAULT_SWITCH, `${calls} ${errno} ${environment}`],
    { prefix: ['env', `LD_PRELOAD=${LD_PRELOAD}`, `FAULT_SWITCH=${FAULT_SWITCH}`] },
  );
  assert.equal(ended.code, 0, ended.stderr);
  return JSON.parse(ended.stdout) as Report;
}

describe('commits that the disk refuses', () => {
  for (const [name, calls, errno, code, after, changes] of CASES) {
    it(`${name}: ${code}, and the process goes on`, async (t) => {
      const report = await commitBeside(temporaryDirectory(t), calls, errno);
      if (typeof report === 'string') return t.skip(report);
      assert.equal(report.before, 'ok');
      assert.deepEqual(report.during, [code, code]);
      assert.equal(report.later, code);
      assert.equal(report.after, after);
      assert.deepEqual(report.changes, changes);
    });
  }

  it('a commit resolves after its flush, not before', async (t) => {
    const report = await commitBeside(temporaryDirectory(t), 'fdatasync', 0);
    if (typeof report === 'string') return t.skip(report);
    assert.deepEqual(report.during, ['ok', 'ok']);
    // Each of two batches is held back for half a second: a lower bound, which no slow machine breaks.
    assert.ok(report.tookMs >= 990, `${report.tookMs} ms`);
  });
});

/**
 * What lmdb does when two batches fail at once, in place of the environment; nothing is told where there is
 * no error.
 */
function refusing(error: Error | null, read: () => number, directory = tmpdir()): Commits {
  const root = {
    on: () => undefined,
    resetReadTxn: () => undefined,
    childTransaction: () =>
      error === null ? new Promise<never>(() => undefined) : Promise.reject(error),
  };
  const meta = { get: read };
  return new Commits(
    root as unknown as ConstructorParameters<typeof Commits>[0],
    meta as unknown as ConstructorParameters<typeof Commits>[1],
    directory,
  );
}

describe('errors of lmdb that say little', () => {
  it('a commit whose cause is never told is refused all the same', async () => {
    const silent = Object.assign(new Error('Commit failed'), {
      commitError: new Promise<never>(() => undefined),
    });
    const commits = refusing(silent, () => 1);
    await assert.rejects(
      commits.run(() => undefined),
      { code: 'StorageFailing' },
    );
    await commits.close().catch(() => undefined);
  });

  it('a commit whose cause is never told is judged by the disk itself', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'commits-'));
    const disk = mountSmallDisk(directory, 'size=64k');
    t.after(() => {
      if (isAvailable(disk)) disk.unmount();
      rmSync(directory, { recursive: true });
    });
    if (!isAvailable(disk)) return t.skip(disk.unavailable);
    writeFileSync(join(directory, 'ballast'), Buffer.alloc(32 * 1024));
    const silent = Object.assign(new Error('Commit failed'), {
      commitError: new Promise<never>(() => undefined),
    });
    const commits = refusing(silent, () => 1, directory);
    const refused = Array.from({ length: 20 }, () => commits.run(() => undefined));
    for (const ended of await Promise.allSettled(refused)) {
      assert.equal(
        ended.status === 'rejected' && (ended.reason as StorageError).code,
        'StorageFull',
      );
    }
    await commits.close().catch(() => undefined);
  });

  it('a broken environment is noticed at an error that is no commit’s', async () => {
    const panic = Object.assign(new Error('MDB_PANIC'), { code: -30795 });
    const commits = refusing(panic, () => {
      throw panic;
    });
    await assert.rejects(
      commits.run(() => undefined),
      { code: 'StorageBroken' },
    );
    assert.equal(commits.failure, 'broken');
    await commits.close();
  });

  it('a broken environment is noticed although nothing is ever told', async () => {
    let isBroken = false;
    const read = (): number => {
      if (isBroken) throw Object.assign(new Error('MDB_PANIC'), { code: -30795 });
      return 1;
    };
    const commits = refusing(null, read);
    const waiting = commits.run(() => undefined);
    const settled = assert.rejects(waiting, { code: 'StorageBroken' });
    isBroken = true;
    await until(() => commits.failure === 'broken', 'the environment to be looked at');
    await settled;
    await commits.close();
  });

  it('what the work throws is told as it is', async () => {
    const own = Object.assign(new Error('no'), { code: 'NoSuchBucket' });
    const commits = refusing(own, () => 1);
    await assert.rejects(
      commits.run(() => undefined),
      own,
    );
    assert.equal(commits.failure, null);
    await commits.close();
  });
});
