import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  afterSlowDown,
  afterSuccess,
  CONCURRENCY_MAX,
  newConcurrency,
  type Concurrency,
} from '../../src/model/concurrency.ts';
import { assertProperty } from '../support/seed.ts';

function afterSuccesses(state: Concurrency, count: number): Concurrency {
  return Array.from({ length: count }).reduce<Concurrency>((next) => afterSuccess(next), state);
}

describe('concurrency', () => {
  it('begins small, so that a black hole binds few connections', () => {
    assert.equal(newConcurrency().allowed, 4);
    assert.equal(newConcurrency(2).allowed, 2);
  });

  it('adds one after a full round of successes, not before', () => {
    const state = newConcurrency();
    assert.equal(afterSuccesses(state, 3).allowed, 4);
    assert.equal(afterSuccesses(state, 4).allowed, 5);
    assert.equal(afterSuccesses(state, 8).allowed, 5);
    assert.equal(afterSuccesses(state, 9).allowed, 6);
  });

  it('ends at its limit', () => {
    assert.equal(afterSuccesses(newConcurrency(), 10_000).allowed, CONCURRENCY_MAX);
  });

  it('halves once for all requests that were in flight together', () => {
    const full = afterSuccesses(newConcurrency(), 1_000);
    const told = [1, 2, 3].reduce<Concurrency>((next) => afterSlowDown(next, full.cuts), full);
    assert.equal(told.allowed, 8);
    assert.equal(afterSlowDown(told, told.cuts).allowed, 4);
  });

  it('never leaves 1 to its limit, whatever happens', () => {
    const step = fc.oneof(fc.constant('success' as const), fc.constant('slow' as const));
    assertProperty(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 16 }), (steps, max) => {
        let state = newConcurrency(max);
        for (const each of steps) {
          state = each === 'success' ? afterSuccess(state) : afterSlowDown(state, state.cuts);
          assert.ok(state.allowed >= 1 && state.allowed <= max);
        }
      }),
    );
  });
});
