import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairQueue } from '../../src/server/fair-queue.ts';

function takeAll(queue: FairQueue<string>): string[] {
  const taken: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next);
  return taken;
}

describe('the fair queue', () => {
  it('lets addresses take turns, and the accounts of each', () => {
    const queue = new FairQueue<string>(10);
    for (const name of ['a1', 'a2', 'a3']) queue.add(name, { address: 'A', account: 'x' });
    queue.add('ay', { address: 'A', account: 'y' });
    queue.add('b1', { address: 'B', account: 'x' });
    queue.add('c1', { address: 'C', account: 'x' });
    assert.deepEqual(takeAll(queue), ['a1', 'b1', 'c1', 'ay', 'a2', 'a3']);
    assert.equal(queue.size, 0);
  });

  it('sends away the last of whoever has most when it is full', () => {
    const queue = new FairQueue<string>(4);
    for (const name of ['a1', 'a2', 'a3', 'a4']) queue.add(name, { address: 'A', account: 'x' });
    assert.equal(queue.add('b1', { address: 'B', account: 'x' }), 'a4');
    assert.equal(queue.add('b2', { address: 'B', account: 'x' }), 'a3');
    assert.equal(queue.add('b3', { address: 'B', account: 'x' }), 'b3', 'it would have more');
    assert.equal(queue.add('ay', { address: 'A', account: 'y' }), 'a2', 'within the address too');
    assert.equal(queue.add('a5', { address: 'A', account: 'x' }), 'a5');
    assert.equal(queue.size, 4);
    assert.deepEqual(takeAll(queue), ['a1', 'b1', 'ay', 'b2']);
  });

  it('never lets newcomers push each other out', () => {
    const queue = new FairQueue<string>(3);
    for (const name of ['a', 'b', 'c']) queue.add(name, { address: name, account: 'x' });
    assert.equal(queue.add('d', { address: 'd', account: 'x' }), 'd');
    assert.deepEqual(takeAll(queue), ['a', 'b', 'c']);
  });
});
