import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBudget } from '../../src/engine/byte-budget.ts';
import { ConnectionSlots } from '../../src/engine/connection-slots.ts';

const nobody = (): void => undefined;

describe('connection slots', () => {
  it('keeps the cap of an owner, and of all', () => {
    const slots = new ConnectionSlots({ total: 8, perOwner: 5 });
    assert.equal(slots.join('a', nobody).take(16), 5);
    assert.equal(slots.join('b', nobody).take(16), 3);
  });

  it('grants a lane its first slot whatever others hold', () => {
    const slots = new ConnectionSlots({ total: 4, perOwner: 4 });
    slots.join('a', nobody).take(16);
    const late = slots.join('a', nobody);
    assert.equal(late.take(16), 1);
    assert.equal(late.take(1), 0);
    late.release(1);
    assert.equal(late.take(2), 1);
  });

  it('grants nobody a second one while first ones exceed the cap', () => {
    const slots = new ConnectionSlots({ total: 2, perOwner: 2 });
    const lanes = Array.from({ length: 4 }, () => slots.join('a', nobody));
    assert.deepEqual(
      lanes.map((lane) => lane.take(2)),
      [2, 1, 1, 1],
    );
    lanes[0]?.release(1);
    assert.equal(lanes[1]?.take(1), 0);
  });

  it('tells lanes that wait, those with the fewest first', () => {
    const slots = new ConnectionSlots({ total: 6, perOwner: 6 });
    const told: string[] = [];
    const greedy = slots.join('a', () => told.push('greedy'));
    const modest = slots.join('a', () => told.push('modest'));
    assert.equal(modest.take(1), 1);
    assert.equal(greedy.take(16), 5);
    assert.equal(modest.take(1), 0);
    greedy.release(1);
    assert.deepEqual(told, ['modest', 'greedy']);
    assert.equal(modest.take(1), 1);
  });

  it('grants nothing more to a lane while one that holds fewer waits and may have it', () => {
    const slots = new ConnectionSlots({ total: 6, perOwner: 4 });
    const greedy = slots.join('a', nobody);
    const modest = slots.join('b', nobody);
    const full = slots.join('b', nobody);
    assert.deepEqual([greedy.take(2), full.take(3), modest.take(2)], [2, 3, 1]);
    // Owner b is at its cap: its waiting lane keeps nobody else from anything.
    assert.equal(greedy.take(0), 0);
    full.release(1);
    assert.equal(modest.take(3), 1);
    assert.equal(greedy.take(1), 0);
  });

  it('gives a slot back to a request that was silent, whatever the caps say', () => {
    const slots = new ConnectionSlots({ total: 3, perOwner: 3 });
    const thinking = slots.join('a', nobody);
    const busy = slots.join('a', nobody);
    assert.equal(thinking.take(2), 2);
    thinking.release(1);
    assert.equal(busy.take(3), 2);
    thinking.retake();
    assert.deepEqual([thinking.held, busy.held], [2, 2]);
    // What is held beyond the caps counts: nobody gets another one before it is given back.
    busy.release(1);
    assert.equal(busy.take(1), 0);
    thinking.release(1);
    assert.equal(busy.take(1), 1);
  });

  it('tells lanes that wait when one is given up by silence', () => {
    const slots = new ConnectionSlots({ total: 2, perOwner: 2 });
    let told = 0;
    const thinking = slots.join('a', nobody);
    const waiting = slots.join('b', () => (told += 1));
    assert.equal(thinking.take(1), 1);
    assert.equal(waiting.take(2), 1);
    thinking.release(1);
    assert.equal(told, 1);
    assert.equal(waiting.take(1), 1);
    thinking.retake();
    thinking.release(1);
    assert.equal(told, 1, 'nobody waits any longer');
    assert.equal(thinking.held, 0);
  });
});

describe('byte budget', () => {
  it('lets through what fits, and the rest in order', async () => {
    const budget = new ByteBudget(10);
    const served: string[] = [];
    const take = async (name: string, bytes: number): Promise<void> => {
      await budget.take(bytes);
      served.push(name);
    };
    await take('first', 6);
    const large = take('large', 8);
    const small = take('small', 1);
    await Promise.resolve();
    assert.deepEqual(served, ['first']);
    budget.giveBack(6);
    await large;
    budget.giveBack(8);
    await small;
    assert.deepEqual(served, ['first', 'large', 'small']);
  });

  it('lets through alone what is larger than all of it', async () => {
    const budget = new ByteBudget(10);
    assert.equal(budget.take(1_000), undefined);
    let isServed = false;
    const next = budget.take(1)?.then(() => (isServed = true));
    await Promise.resolve();
    assert.equal(isServed, false);
    budget.giveBack(1_000);
    await next;
    assert.equal(isServed, true);
  });
});
