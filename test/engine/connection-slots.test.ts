import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionSlots, type LaneSlots } from '../../src/engine/connection-slots.ts';

const nobody = (): void => undefined;

/** Lanes that take what is kept for them as soon as they are told, and note who was. */
function lanesOf(slots: ConnectionSlots, told: string[], names: readonly string[]): LaneSlots[] {
  return names.map((name) => {
    const lane: LaneSlots = slots.join(name.charAt(0), () => {
      told.push(name);
      assert.equal(lane.take(1), 1);
    });
    return lane;
  });
}

describe('connection slots', () => {
  it('keep the cap of an owner, and of all', () => {
    const slots = new ConnectionSlots({ total: 7, perOwner: 5 });
    assert.equal(slots.join('a', nobody).take(16), 5);
    assert.equal(slots.join('b', nobody).take(16), 2);
  });

  it('keep the cap of an owner however many lanes it has', () => {
    const slots = new ConnectionSlots();
    const lanes = Array.from({ length: 2_000 }, () => slots.join('a', nobody));
    assert.equal(
      lanes.reduce((sum, lane) => sum + lane.take(1), 0),
      32,
    );
    assert.equal(slots.join('b', nobody).take(1), 1, 'another owner has its first at once');
  });

  it('leave the last eighth to owners that have none', () => {
    const slots = new ConnectionSlots({ total: 16, perOwner: 16 });
    const held = slots.join('a', nobody);
    assert.equal(held.take(16), 14);
    const first = slots.join('b', nobody);
    assert.deepEqual([first.take(2), slots.join('c', nobody).take(2)], [1, 1]);
    assert.equal(slots.join('d', nobody).take(1), 0, 'there are no more of them');
    first.release(1);
    assert.equal(held.take(1), 0);
  });

  it('go to the lanes of an owner in turn, and tell only the lane whose turn it is', () => {
    const slots = new ConnectionSlots({ total: 100, perOwner: 2 });
    const told: string[] = [];
    const lanes = lanesOf(slots, told, ['a1', 'a2', 'a3', 'a4']);
    for (const lane of lanes) lane.take(1);
    for (const index of [0, 1, 2, 3]) {
      lanes[index]?.release(1);
      lanes[index]?.take(1);
    }
    assert.deepEqual(told, ['a3', 'a4', 'a1', 'a2']);
  });

  it('go to lanes without one before those that want more', () => {
    const slots = new ConnectionSlots({ total: 100, perOwner: 3 });
    const told: string[] = [];
    const [greedy, modest] = lanesOf(slots, told, ['a1', 'a2']);
    assert.equal(greedy?.take(16), 3);
    assert.equal(modest?.take(1), 0);
    greedy.release(1);
    assert.deepEqual([told, greedy.held, modest.held], [['a2'], 2, 1]);
  });

  it('go to the owner with the fewest', () => {
    const slots = new ConnectionSlots({ total: 8, perOwner: 6 });
    const told: string[] = [];
    const [greedy, modest] = lanesOf(slots, told, ['a1', 'b1']);
    assert.deepEqual([greedy?.take(16), modest?.take(3)], [6, 1]);
    greedy?.release(2);
    assert.deepEqual(told, ['b1', 'a1']);
    assert.deepEqual([greedy?.held, modest?.held], [5, 2]);
  });

  it('are passed on by a lane that needs none when it is told', () => {
    const slots = new ConnectionSlots({ total: 100, perOwner: 1 });
    let told = 0;
    const busy = slots.join('a', nobody);
    const idle = slots.join('a', () => (told += 1));
    const waiting = slots.join('a', nobody);
    assert.deepEqual([busy.take(1), idle.take(1), waiting.take(1)], [1, 0, 0]);
    busy.release(1);
    assert.deepEqual([told, idle.held, waiting.held], [1, 1, 0]);
    idle.pass();
    assert.deepEqual([idle.held, waiting.held], [0, 1]);
    assert.equal(waiting.take(1), 1, 'it was kept for it');
    assert.equal(waiting.held, 1);
    waiting.pass();
    assert.equal(waiting.held, 1, 'what was taken is not passed on');
  });

  it('are not kept for a lane that has left', () => {
    const slots = new ConnectionSlots({ total: 100, perOwner: 1 });
    const busy = slots.join('a', nobody);
    const gone = slots.join('a', () => assert.fail('it has left'));
    const waiting = slots.join('a', nobody);
    assert.deepEqual([busy.take(1), gone.take(1), waiting.take(1)], [1, 0, 0]);
    gone.leave();
    busy.release(1);
    assert.deepEqual([gone.held, waiting.held], [0, 1]);
    waiting.leave();
    assert.equal(busy.take(1), 1, 'nor is one that was kept lost');
  });

  it('come back to a request that was silent, whatever the caps say', () => {
    const slots = new ConnectionSlots({ total: 100, perOwner: 3 });
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
    assert.deepEqual([busy.held, busy.take(1)], [2, 1]);
  });

  it('are all given back in the end, whoever took, passed and left', () => {
    const slots = new ConnectionSlots({ total: 8, perOwner: 4 });
    const lanes = Array.from({ length: 30 }, (_, n) => slots.join(`owner-${n % 3}`, nobody));
    const held = (): number => lanes.reduce((sum, lane) => sum + lane.held, 0);
    let seed = 7;
    const draw = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const taken = lanes.map(() => 0);
    for (let n = 0; n < 20_000; n++) {
      const index = draw(lanes.length);
      const lane = lanes[index]!;
      const action = draw(3);
      if (action === 0) taken[index]! += lane.take(1 + draw(3));
      if (action === 1 && taken[index]! > 0) {
        taken[index]! -= 1;
        lane.release(1);
      }
      if (action === 2) lane.pass();
      assert.ok(held() <= 8);
    }
    lanes.forEach((lane, index) => lane.release(taken[index]!));
    lanes.forEach((lane) => lane.leave());
    assert.equal(held(), 0);
    assert.equal(slots.join('owner-0', nobody).take(16), 4);
  });
});
