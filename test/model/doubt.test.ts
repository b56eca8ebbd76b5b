import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LINGER_MS } from '../../src/model/delivery.ts';
import { doubtAfter, laterDoubt, mergedSchedule, presentDoubt } from '../../src/model/doubt.ts';
import { RESET } from '../engine/fake-target.ts';

const NOW = 1_000_000;
const HOUR_MS = 3_600_000;

describe('doubt', () => {
  it('lasts a minute, or twice the silence that was granted', () => {
    assert.equal(doubtAfter(RESET, NOW), NOW + LINGER_MS);
    assert.equal(doubtAfter({ ...RESET, silenceMs: 30_000 }, NOW), NOW + LINGER_MS);
    assert.equal(doubtAfter({ ...RESET, silenceMs: 300_000 }, NOW), NOW + 600_000);
    assert.equal(doubtAfter({ ...RESET, ambiguous: false, silenceMs: 300_000 }, NOW), null);
  });

  it('is the longer of two', () => {
    assert.equal(laterDoubt(null, null), null);
    assert.equal(laterDoubt(null, 5), 5);
    assert.equal(laterDoubt(7, 5), 7);
  });

  it('lasts two hours at most, whatever the clock was', () => {
    assert.equal(presentDoubt(NOW + 48 * HOUR_MS, NOW), NOW + 2 * HOUR_MS);
    assert.equal(presentDoubt(NOW - 5, NOW), NOW - 5);
    assert.equal(presentDoubt(null, NOW), null);
  });
});

describe('two rows that become one', () => {
  const work = { state: 'pending', createdAt: 5, doubtUntil: null, nextAttemptAt: 10 } as const;
  const look = { state: 'verifying', createdAt: 3, doubtUntil: 99, nextAttemptAt: 99 } as const;

  it('do not put work off for a look, and keep its doubt', () => {
    const merged = { ...work, doubtUntil: 99 };
    assert.deepEqual(mergedSchedule(work, look, 10), merged);
    assert.deepEqual(mergedSchedule(look, work, 10), merged);
  });

  it('look once, when both doubts are over', () => {
    const later = { ...look, doubtUntil: 120, nextAttemptAt: 120 };
    assert.deepEqual(mergedSchedule(look, later, 99), { ...later, createdAt: 3 });
  });

  it('are as old as the older of two that are work', () => {
    const older = { ...work, createdAt: 2, nextAttemptAt: 4 };
    assert.deepEqual(mergedSchedule(work, older, 4), { ...older, doubtUntil: null });
  });
});
