/** Pages in reserve: made while there is room, used where there is none, made again. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openEnvironment, type Environment } from '../../src/lmdb/environment.ts';
import { findDamage } from '../../src/lmdb/page-walk.ts';
import { pageUsage, unusedTailBytes } from '../../src/lmdb/page-usage.ts';
import { isAvailable, mountSmallDisk } from '../faults/faulty-disk.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const MIB = 1024 * 1024;

async function opened(t: TestContext, directory: string): Promise<Environment> {
  const environment = await openEnvironment({ directory, format: 1 });
  t.after(() => environment.close());
  return environment;
}

async function put(environment: Environment, name: string, bytes: number): Promise<void> {
  const { meta, commits } = environment;
  await commits.run(() => meta.putSync(name, 'x'.repeat(bytes) as never));
}

/** As large as a disk of 64 MiB has it; what is whole is used from the disk in blocks, not sparse. */
async function reserveIsWhole(directory: string): Promise<void> {
  const file = join(directory, 'data.mdb');
  await until(() => unusedTailBytes(file) > 1.9 * MIB, 'the reserve');
  const { blocks, size } = statSync(file);
  assert(blocks * 512 >= size - 8192, 'the file is sparse');
}

function fill(disk: string): string {
  const ballast = join(disk, 'ballast');
  let bytes = statfsSync(disk).bavail * 4096;
  for (; bytes > 0; bytes -= 4096) {
    try {
      writeFileSync(ballast, Buffer.alloc(bytes));
      break;
    } catch {
      // The file itself takes a block now and then.
    }
  }
  assert.equal(statfsSync(disk).bavail, 0);
  return ballast;
}

describe('reserve', () => {
  it('lets commits go on on a full disk, and is taken again once there is room', async (t) => {
    const parent = mkdtempSync(join(tmpdir(), 'reserve-'));
    const disk = mountSmallDisk(join(parent, 'disk'), 'size=64m');
    if (!isAvailable(disk)) return t.skip(disk.unavailable);
    t.after(() => {
      disk.unmount();
      rmSync(parent, { recursive: true });
    });
    const directory = join(disk.path, 'store');
    const environment = await openEnvironment({ directory, format: 1 });
    await reserveIsWhole(directory);
    const ballast = fill(disk.path);
    for (let n = 0; n < 100; n += 1) await put(environment, `record-${n}`, 8_000);
    assert.equal(environment.commits.failure, null);
    // What is too large for it is refused, and leaves it to the others.
    await assert.rejects(put(environment, 'large', 6 * MIB), { code: 'StorageFull' });
    await until(() => environment.commits.failure === null, 'the probe to find the reserve');
    await put(environment, 'small', 10);
    rmSync(ballast);
    await reserveIsWhole(directory);
    await environment.close();
    assert.equal(findDamage(join(directory, 'data.mdb')), null);
    const { meta, close } = await openEnvironment({ directory, format: 1 });
    assert.equal(String(meta.get('record-99')).length, 8_000);
    await close();
  });

  it('is no part of what LMDB counts', async (t) => {
    const directory = join(temporaryDirectory(t), 'store');
    const first = await opened(t, directory);
    await put(first, 'record', 10_000);
    const before = pageUsage(join(directory, 'data.mdb'));
    await until(() => unusedTailBytes(join(directory, 'data.mdb')) >= 8 * MIB, 'the reserve');
    for (let n = 0; n < 50; n += 1) await put(first, `record-${n}`, 5_000);
    await until(() => unusedTailBytes(join(directory, 'data.mdb')) >= 7 * MIB, 'the reserve');
    assert(unusedTailBytes(join(directory, 'data.mdb')) <= 9 * MIB);
    const after = pageUsage(join(directory, 'data.mdb'));
    assert.equal(after!.entries, before!.entries + 50);
    assert(after!.pages * after!.pageBytes < 2 * MIB);
  });
});
