import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { backoffMs, ROW_WAIT_MAX_MS } from '../../src/model/backoff.ts';
import { assertProperty } from '../support/seed.ts';

describe('backoff', () => {
  const nominal: readonly (readonly [failures: number, waitMs: number])[] = [
    [1, 1_000],
    [2, 4_000],
    [3, 16_000],
    [4, 64_000],
    [6, 1_024_000],
    [7, 3_600_000],
    [50, 3_600_000],
  ];
  for (const [failures, waitMs] of nominal) {
    it(`waits ${waitMs} ms after ${failures} failures, without jitter`, () => {
      assert.equal(backoffMs(failures, 0.5), waitMs);
    });
  }

  it('stays within a fifth of that, and within its limit', () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    assertProperty(
      fc.property(fc.integer({ min: 1, max: 100 }), random, (failures, drawn) => {
        const plain = backoffMs(failures, 0.5);
        const wait = backoffMs(failures, drawn);
        assert.ok(wait >= 0.79 * plain && wait <= Math.min(ROW_WAIT_MAX_MS, 1.21 * plain));
        assert.ok(backoffMs(failures, drawn, 60_000) <= 60_000);
      }),
    );
  });

  it('spreads rows that failed together', () => {
    assert.ok(backoffMs(3, 0) < backoffMs(3, 0.5) && backoffMs(3, 0.5) < backoffMs(3, 0.99));
  });
});
