/** One budget for the bodies of all, in fair shares. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyMemory } from '../../src/engine/body-memory.ts';

/** Takes that note who was served, in order. */
class Takers {
  readonly memory: BodyMemory;
  readonly served: string[] = [];

  constructor(budget: number) {
    this.memory = new BodyMemory(budget);
  }

  async take(owner: string, bytes: number, name = owner): Promise<void> {
    await this.memory.of(owner).take(bytes);
    this.served.push(name);
  }

  async giveBack(owner: string, bytes: number): Promise<void> {
    this.memory.of(owner).giveBack(bytes);
    await new Promise(setImmediate);
  }
}

/** Whoever waits says so later than this. */
const soon = (): Promise<void> => new Promise(setImmediate);

describe('memory for bodies', () => {
  it('lets an owner that is alone have all but the reserve', async () => {
    const takers = new Takers(80);
    for (let n = 0; n < 100; n++) void takers.take('a', 1);
    await soon();
    assert.equal(takers.memory.held, 70);
  });

  it('is given to nobody beyond the budget, however many lanes an owner has', async () => {
    const takers = new Takers(256);
    for (let n = 0; n < 160; n++) void takers.take('a', 8);
    await soon();
    assert.ok(takers.memory.held <= 256);
    void takers.take('b', 8);
    await soon();
    assert.equal(takers.served.at(-1), 'b', 'another owner is served all the same');
    assert.ok(takers.memory.held <= 256);
  });

  it('lets no owner have more than its share while others want some', async () => {
    const takers = new Takers(80);
    void takers.take('b', 5);
    for (let n = 0; n < 100; n++) void takers.take('a', 5);
    await soon();
    assert.equal(takers.memory.held, 40, 'of 70, the half; and what b has');
    await takers.giveBack('b', 5);
    assert.equal(takers.memory.held, 70);
  });

  it('is given to owners in turn, and to each in its order', async () => {
    const takers = new Takers(16);
    await takers.take('x', 14);
    for (const [owner, name] of [
      ['a', 'a1'],
      ['a', 'a2'],
      ['a', 'a3'],
      ['b', 'b1'],
      ['b', 'b2'],
    ] as const) {
      void takers.take(owner, 3, name);
    }
    await soon();
    takers.served.length = 0;
    await takers.giveBack('x', 14);
    assert.deepEqual(takers.served, ['a1', 'b1', 'a2', 'b2']);
    await takers.giveBack('b', 3);
    await takers.giveBack('b', 3);
    assert.deepEqual(takers.served, ['a1', 'b1', 'a2', 'b2', 'a3']);
  });

  it('is kept for a large body whose turn it is', async () => {
    const takers = new Takers(16);
    for (let n = 0; n < 14; n++) await takers.take('many', 1);
    void takers.take('large', 10);
    for (let n = 0; n < 100; n++) void takers.take('many', 1);
    await soon();
    let given = 0;
    while (!takers.served.includes('large')) {
      await takers.giveBack('many', 1);
      given += 1;
      assert.ok(given <= 14, 'those who came later were let past it');
    }
    assert.ok(given <= 9, 'eight make room; one more may have its turn before');
  });

  it('lets through alone what is larger than all of it', async () => {
    const takers = new Takers(10);
    await takers.take('a', 1_000);
    void takers.take('b', 1);
    await soon();
    assert.deepEqual(takers.served, ['a']);
    await takers.giveBack('a', 1_000);
    assert.deepEqual(takers.served, ['a', 'b']);
  });

  it('comes to everybody who waits, whoever holds for how long, within the budget', async () => {
    const takers = new Takers(64);
    let seed = 11;
    const draw = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const held: (readonly [string, number])[] = [];
    let asked = 0;
    for (let n = 0; n < 3_000 || held.length > 0; n++) {
      const isOver = n >= 3_000;
      if (!isOver) {
        const owner = `owner-${draw(5)}`;
        const bytes = 1 + draw(20);
        asked += 1;
        void takers.take(owner, bytes).then(() => held.push([owner, bytes]));
      }
      await soon();
      assert.ok(takers.memory.held <= 64);
      if (!isOver && draw(2) === 0) continue;
      const [given] = held.splice(draw(Math.max(1, held.length)), 1);
      if (given !== undefined) await takers.giveBack(...given);
    }
    assert.deepEqual([takers.served.length, takers.memory.held], [asked, 0]);
  });
});
