import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import {
  createDiskWatch,
  diskSpaceOf,
  judgeDiskSpace,
  type DiskSpace,
} from '../../src/disk/disk-space.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

function space(freeBytes: number, totalBytes: number, inodes?: [number, number]): DiskSpace {
  const [freeFiles, totalFiles] = inodes ?? [1_000_000, 2_000_000];
  return { freeBytes, totalBytes, freeFiles, totalFiles };
}

describe('disk space', () => {
  for (const [name, looked, expected] of [
    ['a large disk with room', space(256 * MIB, 100 * GIB), 'ok'],
    ['a large disk below 256 MiB', space(256 * MIB - 1, 100 * GIB), 'low'],
    ['a large disk at half of it', space(128 * MIB, 100 * GIB), 'low'],
    ['a large disk below half of it', space(128 * MIB - 1, 100 * GIB), 'critical'],
    ['a full disk', space(0, 100 * GIB), 'critical'],
    ['a small disk at a tenth', space(10 * MIB, 100 * MIB), 'ok'],
    ['a small disk below a tenth', space(10 * MIB - 1, 100 * MIB), 'low'],
    ['a small disk below a twentieth', space(5 * MIB - 1, 100 * MIB), 'critical'],
    ['nearly no inodes', space(GIB, 100 * GIB, [1_023, 1_000_000]), 'low'],
    ['enough inodes', space(GIB, 100 * GIB, [1_024, 1_000_000]), 'ok'],
    ['few inodes of few', space(GIB, 100 * GIB, [10, 100]), 'ok'],
    ['nearly none of few', space(GIB, 100 * GIB, [9, 100]), 'low'],
    ['a file system that counts no inodes', space(GIB, 100 * GIB, [0, 0]), 'ok'],
  ] as const) {
    it(`${name}: ${expected}`, () => {
      const { state, reason } = judgeDiskSpace(looked);
      assert.equal(state, expected);
      assert.equal(reason === null, expected === 'ok');
    });
  }

  it('says what is missing', () => {
    assert.match(judgeDiskSpace(space(MIB, 100 * MIB)).reason ?? '', /1\.0 MiB .* 10\.0 MiB/);
    assert.match(judgeDiskSpace(space(GIB, 10 * GIB, [0, 100])).reason ?? '', /inodes/);
  });

  it('is looked at once a second, and follows the disk both ways', () => {
    let free = GIB;
    let looks = 0;
    let now = 0;
    const state = createDiskWatch(
      () => {
        looks += 1;
        return space(free, 100 * GIB);
      },
      () => now,
    );
    assert.equal(state().state, 'ok');
    free = 0;
    now = 999;
    assert.equal(state().state, 'ok');
    assert.equal(looks, 1);
    now = 1_000;
    assert.equal(state().state, 'critical');
    free = GIB;
    now = 2_000;
    assert.equal(state().state, 'ok');
  });

  it('stays as it was where the disk cannot be looked at', () => {
    let now = 0;
    const state = createDiskWatch(
      () => {
        if (now > 0) throw new Error('EIO');
        return space(0, GIB);
      },
      () => now,
    );
    assert.equal(state().state, 'critical');
    now = 1_000;
    assert.equal(state().state, 'critical');
  });

  it('is read from the real disk', () => {
    const { freeBytes, totalBytes } = diskSpaceOf(tmpdir());
    assert.ok(freeBytes > 0 && totalBytes >= freeBytes, `${freeBytes} of ${totalBytes}`);
  });
});
