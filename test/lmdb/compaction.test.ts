/**
 * Files that grew because a reader was killed inside a snapshot are small after the next start, whenever
 * that start is killed, and never under somebody who has them open.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open as openRoot, type RootDatabase } from 'lmdb';
import { compactIfGrown, openUnlessReplaced, type Compaction } from '../../src/lmdb/compaction.ts';
import { openEnvironment, type Environment } from '../../src/lmdb/environment.ts';
import { findDamage } from '../../src/lmdb/page-walk.ts';
import { isOpenSomewhere } from '../../src/lmdb/stored-state.ts';
import { isAvailable, mountSmallDisk } from '../faults/faulty-disk.ts';
import { runProgram } from '../support/child-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;
const GROWN_BYTES = 80 * MIB;
const KILLS = 12;

describe('compaction', { skip: existsSync('/proc/locks') ? false : 'no /proc/locks' }, () => {
  const parent = mkdtempSync(join(tmpdir(), 'grown-'));
  const grown = join(parent, 'store');
  after(() => rmSync(parent, { recursive: true }));
  before(async () => {
    const made = await openEnvironment({ directory: grown, format: 1 });
    await made.close();
    const reader = run('grown-store.ts', ['reader', grown]);
    await once(reader.stdout!, 'data');
    // Killed only then: a slow writer would clear the dead reader's slot, and the file grow no more.
    const ended = await runProgram('grown-store.ts', ['writer', grown, String(GROWN_BYTES)]);
    assert.equal(ended.code, 0, ended.stderr);
    reader.kill('SIGKILL');
    await once(reader, 'close');
    assert(sizeOf(grown) >= GROWN_BYTES);
  });

  async function open(directory: string): Promise<[Environment, (Compaction | Error)[]]> {
    const outcomes: (Compaction | Error)[] = [];
    const onCompaction = (outcome: Compaction | Error): void => void outcomes.push(outcome);
    return [await openEnvironment({ directory, format: 1, onCompaction }), outcomes];
  }

  async function assertWhole(directory: string): Promise<void> {
    const [environment] = await open(directory);
    for (let n = 0; n < 100; n += 1) {
      assert.equal(String(environment.meta.get(`record-${n}`)).length, 20_000);
    }
    await environment.commits.run(() => environment.meta.putSync('after', 1));
    await environment.close();
    assert.equal(findDamage(join(directory, 'data.mdb')), null);
  }

  it('a start makes the file small, keeps its records and mode, and leaves nothing beside it', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    const [environment, outcomes] = await open(directory);
    assert.equal(outcomes.length, 1);
    const [{ bytesBefore, bytesAfter }] = outcomes as [Compaction];
    assert(bytesBefore >= GROWN_BYTES && bytesAfter < 8 * MIB, `${bytesBefore} → ${bytesAfter}`);
    assert.equal(statSync(join(directory, 'data.mdb')).mode & 0o777, 0o600);
    await environment.close();
    await assertWhole(directory);
    assert.deepEqual(readdirSync(copy).sort(), ['store', 'store.state']);
    assert.deepEqual(readdirSync(directory).sort(), ['data.mdb', 'lock.mdb']);
  });

  it('a file that somebody has open stays', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    const reader = run('grown-store.ts', ['reader', directory]);
    await once(reader.stdout!, 'data');
    const [environment, outcomes] = await open(directory);
    assert.deepEqual(outcomes, []);
    assert(sizeOf(directory) >= GROWN_BYTES);
    await environment.close();
    reader.kill('SIGKILL');
    await once(reader, 'close');
  });

  it('starts of one process at the same time end in one store', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    const starts = [1, 2, 3].map(async (n) => {
      const [environment] = await open(directory);
      await environment.commits.run(() => environment.meta.putSync(`start-${n}`, n));
      return environment;
    });
    const environments = await Promise.all(starts);
    const [first] = environments as [Environment];
    for (const n of [1, 2, 3]) {
      await until(
        () => (first.root.resetReadTxn(), first.meta.get(`start-${n}`)) === n,
        `start ${n}`,
      );
    }
    for (const environment of environments) await environment.close();
    await assertWhole(directory);
  });

  it('starts of several processes at the same time end in one store', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    const starts = Array.from({ length: 4 }, () => runProgram('open-store.ts', [directory]));
    for (const { code, stdout, stderr } of await Promise.all(starts)) {
      assert.deepEqual([code, stdout], [0, '101'], stderr);
    }
    await assertWhole(directory);
  });

  it('a start that is killed at any step leaves the old file or the new one', async (t) => {
    const copy = temporaryDirectory(t);
    let compacted = 0;
    for (let n = 0; n < KILLS; n += 1) {
      const directory = join(copy, `store-${n}`);
      cpSync(grown, directory, { recursive: true });
      const starting = run('open-store.ts', [directory]);
      const closed = once(starting, 'close');
      // Killed at some moment between the beginning of the copy and after the rename.
      await until(
        () => existsSync(join(directory, 'compact')) || starting.exitCode !== null,
        'the copy',
      );
      await new Promise((resolve) => setTimeout(resolve, n * 12));
      starting.kill('SIGKILL');
      await closed;
      assert.equal(isOpenSomewhere(directory), false);
      if (sizeOf(directory) < 16 * MIB) compacted += 1;
      assert.equal(findDamage(join(directory, 'data.mdb')), null);
      await assertWhole(directory);
      assert.deepEqual(readdirSync(directory).sort(), ['data.mdb', 'lock.mdb']);
      rmSync(directory, { recursive: true });
    }
    t.diagnostic(`${compacted} of ${KILLS} ended with the new file`);
  });

  it('a directory on another disk, behind a link, is made small there', async (t) => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'elsewhere-'));
    const disk = mountSmallDisk(elsewhere, 'size=160m');
    t.after(() => {
      if (isAvailable(disk)) disk.unmount();
      rmSync(elsewhere, { recursive: true });
    });
    if (!isAvailable(disk)) return t.skip(disk.unavailable);
    cpSync(grown, join(elsewhere, 'store'), { recursive: true });
    const directory = join(temporaryDirectory(t), 'store');
    symlinkSync(join(elsewhere, 'store'), directory);
    const [environment, outcomes] = await open(directory);
    await environment.close();
    assert(outcomes.length === 1 && !(outcomes[0] instanceof Error));
    assert(sizeOf(directory) < 16 * MIB);
    await assertWhole(directory);
  });

  it('a file that is a link stays', async (t) => {
    const copy = temporaryDirectory(t);
    const directory = join(copy, 'store');
    mkdirSync(directory);
    cpSync(join(grown, 'data.mdb'), join(copy, 'elsewhere.mdb'));
    symlinkSync(join(copy, 'elsewhere.mdb'), join(directory, 'data.mdb'));
    const [environment, outcomes] = await open(directory);
    await environment.close();
    assert.deepEqual(outcomes, []);
    assert(lstatSync(join(directory, 'data.mdb')).isSymbolicLink());
  });

  it('nothing is done where the system does not show our own lock', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    // As if the lock were one of another file system.
    const unseen = (): RootDatabase => openRoot({ path: join(copy, 'unseen'), noSubdir: false });
    assert.equal(await compactIfGrown(directory, unseen), null);
    assert(sizeOf(directory) >= GROWN_BYTES);
  });

  it('who opened the file just before it was replaced, and looks after it, opens again', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    const openReal = (): RootDatabase => openRoot({ path: directory, noSubdir: false });
    const opened = await openUnlessReplaced(directory, () => {
      const root = openReal();
      cpSync(join(grown, 'data.mdb'), join(copy, 'other.mdb'));
      renameSync(join(copy, 'other.mdb'), join(directory, 'data.mdb'));
      return root;
    });
    assert.equal(opened, null);
    const again = await openUnlessReplaced(directory, openReal);
    assert.notEqual(again, null);
    await again!.close();
  });

  it('a copy that cannot be made leaves the file as it is', async (t) => {
    const copy = temporaryDirectory(t);
    cpSync(parent, copy, { recursive: true });
    const directory = join(copy, 'store');
    await assert.rejects(
      compactIfGrown(directory, () => {
        throw new Error('no');
      }),
      /no/,
    );
    assert(sizeOf(directory) >= GROWN_BYTES);
    await assertWhole(directory);
  });
});

function sizeOf(directory: string): number {
  return statSync(join(directory, 'data.mdb')).size;
}

function run(name: string, args: readonly string[]): ChildProcess {
  const program = fileURLToPath(new URL(`../support/${name}`, import.meta.url));
  return spawn(process.execPath, ['--import', 'tsx', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
