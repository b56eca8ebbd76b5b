/** One budget for the bodies of all, in fair shares. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BodyMemory } from '../../src/engine/body-memory.ts';
import { assertProperty } from '../support/seed.ts';

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

  it('serves a newcomer from the reserve while somebody who holds some waits for more', async () => {
    const takers = new Takers(32);
    for (let n = 0; n < 28; n++) await takers.take('greedy', 1);
    await takers.take('a', 1);
    void takers.take('a', 1, 'more of a');
    void takers.take('b', 1);
    await soon();
    assert.deepEqual(takers.served.slice(28), ['a', 'b']);
    await takers.giveBack('greedy', 1);
    assert.ok(!takers.served.includes('more of a'), 'what was let past fills no room of it');
    await takers.giveBack('greedy', 1);
    assert.equal(takers.served.at(-1), 'more of a');
  });

  it('comes to a body whose turn it is, however many others are let past it', async () => {
    const takers = new Takers(32);
    for (let n = 0; n < 27; n++) await takers.take('greedy', 1);
    await takers.take('a', 1);
    void takers.take('a', 3, 'large');
    // Two others hold some at any time; where one of them goes, the next one is there.
    const others = ['b', 'c'];
    for (const other of others) void takers.take(other, 2);
    for (let n = 0; n < 30; n++) {
      void takers.take(`${n}`, 2);
      others.push(`${n}`);
      await takers.giveBack(String(others.shift()), 2);
      assert.ok(others.every((other) => takers.served.includes(other)));
    }
    void takers.take('last', 2);
    for (let n = 0; n < 3; n++) {
      assert.ok(!takers.served.includes('large'));
      await takers.giveBack('greedy', 1);
    }
    assert.ok(takers.served.includes('large'), 'as soon as greedy has made room for it');
    assert.ok(takers.memory.held <= 32, 'and for what was let past it');
  });
});

const BUDGET = 128;
const SHARED = 112;
const RESERVE = 16;
const OWNERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

interface Body {
  readonly owner: string;
  readonly bytes: number;
  isHeld: boolean;
}

/** What is held and waited for, as those see it who take and give back. */
class Ledger {
  readonly memory = new BodyMemory(BUDGET);
  /** In the order in which they were asked for. */
  readonly bodies: Body[] = [];

  take(owner: string, bytes: number): void {
    const body = { owner, bytes, isHeld: false };
    this.bodies.push(body);
    const waiting = this.memory.of(owner).take(bytes);
    if (waiting === undefined) body.isHeld = true;
    else void waiting.then(() => (body.isHeld = true));
  }

  giveBack(index: number, owners: readonly string[] = OWNERS): void {
    const held = this.bodies.filter(({ owner, isHeld }) => isHeld && owners.includes(owner));
    const body = held[index % held.length];
    if (body === undefined) return;
    this.bodies.splice(this.bodies.indexOf(body), 1);
    this.memory.of(body.owner).giveBack(body.bytes);
  }

  heldBy(owners: readonly string[]): number {
    return this.bodies
      .filter(({ owner, isHeld }) => isHeld && owners.includes(owner))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What each owner that waits is to be given next. */
  next(): Body[] {
    const waiting = this.bodies.filter(({ isHeld }) => !isHeld);
    return waiting.filter((body, index) => {
      return waiting.findIndex(({ owner }) => owner === body.owner) === index;
    });
  }

  /** Whether it may have its next body, if there is room. */
  isWithinShare({ owner, bytes }: Body): boolean {
    const held = this.heldBy([owner]);
    const owners = new Set(this.bodies.map((body) => body.owner)).size;
    return held === 0 || held + bytes <= SHARED / owners;
  }
}

const step = fc.oneof(
  fc.record({ take: fc.constantFrom(...OWNERS), bytes: fc.integer({ min: 1, max: RESERVE }) }),
  fc.record({ giveBack: fc.nat({ max: 1_000 }) }),
);
const steps = fc.array(step, { minLength: 50, maxLength: 200 });

describe('memory for bodies, whoever takes and gives back what', () => {
  it('stays within the budget, and nobody waits who may have some', () =>
    assertProperty(
      fc.asyncProperty(steps, async (asked) => {
        const ledger = new Ledger();
        for (const one of asked) {
          if ('take' in one) ledger.take(one.take, one.bytes);
          else ledger.giveBack(one.giveBack);
          await soon();
          const held = ledger.heldBy(OWNERS);
          assert.equal(ledger.memory.held, held);
          assert.ok(held <= BUDGET);
          const next = ledger.next().filter((body) => ledger.isWithinShare(body));
          // One of them has its turn, and the room is kept for that one.
          const largest = Math.max(...next.map(({ bytes }) => bytes));
          assert.ok(
            next.length === 0 || held + largest > SHARED,
            'there is room, and nobody has it',
          );
        }
        // All of it comes to an end: everybody is served, each in its order.
        while (ledger.bodies.length > 0) {
          const before = ledger.bodies.length;
          ledger.giveBack(0);
          await soon();
          assert.ok(ledger.bodies.length < before, 'somebody waits, and nobody holds any');
        }
        assert.equal(ledger.memory.held, 0);
      }),
    ));

  it('serves owners that hold nothing while the reserve has room, whatever others wait for', () =>
    assertProperty(
      fc.asyncProperty(steps, async (asked) => {
        const ledger = new Ledger();
        // Alone, and for targets that take nothing: it gives none of it back.
        for (let n = 0; n < BUDGET; n++) ledger.take('stalled', 1);
        await soon();
        assert.equal(ledger.heldBy(['stalled']), SHARED);
        for (const one of asked) {
          if ('take' in one) ledger.take(one.take, one.bytes);
          else ledger.giveBack(one.giveBack);
          await soon();
          const firsts = ledger.next().filter(({ owner }) => ledger.heldBy([owner]) === 0);
          if (firsts.length === 0) continue;
          const largest = Math.max(...firsts.map(({ bytes }) => bytes));
          assert.ok(ledger.heldBy(OWNERS) + largest > RESERVE, 'the reserve has room for it');
        }
      }),
    ));
});
