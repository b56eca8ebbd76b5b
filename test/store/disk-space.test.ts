import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { describe, it } from 'node:test';
import { createDiskWatch, freeBytesOf } from '../../src/store/disk-space.ts';

const MIB = 1024 * 1024;

describe('disk space', () => {
  for (const [bytes, expected] of [
    [1024 * MIB, 'ok'],
    [256 * MIB, 'ok'],
    [256 * MIB - 1, 'low'],
    [128 * MIB, 'low'],
    [128 * MIB - 1, 'critical'],
    [0, 'critical'],
  ] as const) {
    it(`${bytes} free bytes are ${expected}`, () => {
      assert.equal(
        createDiskWatch(
          () => bytes,
          () => 0,
        )(),
        expected,
      );
    });
  }

  it('is looked at once a second, and follows the disk both ways', () => {
    let free = 1024 * MIB;
    let looks = 0;
    let now = 0;
    const state = createDiskWatch(
      () => {
        looks += 1;
        return free;
      },
      () => now,
    );
    assert.equal(state(), 'ok');
    free = 0;
    now = 999;
    assert.equal(state(), 'ok');
    assert.equal(looks, 1);
    now = 1_000;
    assert.equal(state(), 'critical');
    free = 1024 * MIB;
    now = 2_000;
    assert.equal(state(), 'ok');
  });

  it('is read from the real disk', () => {
    const free = freeBytesOf(tmpdir());
    assert.ok(Number.isFinite(free) && free > 0, String(free));
  });
});
