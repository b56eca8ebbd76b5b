/** Wake times of many lanes under one timer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { WakeTimes, type Sleeper } from '../../src/engine/wake-times.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';

function setUp() {
  const clock = new VirtualClock();
  let timers = 0;
  let set = 0;
  const times = new WakeTimes({
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, callback) => {
      timers += 1;
      set += 1;
      let isOver = false;
      const end = (): void => {
        if (!isOver) timers -= 1;
        isOver = true;
      };
      const cancel = clock.after(delayMs, () => {
        end();
        callback();
      });
      return () => {
        end();
        cancel();
      };
    },
  });
  const woken: string[] = [];
  const sleeper = (name: string): Sleeper => ({
    notify: () => void woken.push(`${name}@${clock.monotonicMs()}`),
  });
  return { clock, times, woken, sleeper, timers: () => timers, set: () => set };
}

describe('wake times', () => {
  it('wake each at its time, in order, with one timer', async () => {
    const { clock, times, woken, sleeper, timers } = setUp();
    for (const [name, at] of [
      ['c', 300],
      ['a', 100],
      ['b', 200],
    ] as const) {
      times.set(sleeper(name), at);
    }
    assert.equal(timers(), 1);
    await clock.run(1_000);
    assert.deepEqual(woken, ['a@100', 'b@200', 'c@300']);
    assert.equal(timers(), 0);
  });

  it('are replaced, withdrawn, or only brought forward', async () => {
    const { clock, times, woken, sleeper } = setUp();
    const [later, gone, sooner, kept] = ['later', 'gone', 'sooner', 'kept'].map(sleeper);
    for (const one of [later, gone, sooner, kept]) times.set(one!, 100);
    times.set(later!, 500);
    times.delete(gone!);
    times.setNoLater(sooner!, 50);
    times.setNoLater(kept!, 700);
    assert.deepEqual([times.has(gone!), times.at(later!)], [false, 500]);
    await clock.run(1_000);
    assert.deepEqual(woken, ['sooner@50', 'kept@100', 'later@500']);
  });

  it('hold for thousands, each set anew many times, and keep no more than they need', async () => {
    const { clock, times, sleeper, woken, timers } = setUp();
    let seed = 5;
    const draw = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below;
    const expected = new Map<string, number>();
    const sleepers = Array.from({ length: 2_000 }, (_, n) => [`${n}`, sleeper(`${n}`)] as const);
    for (let round = 0; round < 20; round++) {
      for (const [name, one] of sleepers) {
        const delayMs = 1 + draw(100_000);
        times.set(one, delayMs);
        expected.set(name, clock.monotonicMs() + delayMs);
      }
    }
    assert.deepEqual([times.size, timers()], [2_000, 1]);
    await clock.run(200_000);
    assert.equal(woken.length, 2_000);
    for (const line of woken) {
      const [name = '', at] = line.split('@');
      // Those that are due within a millisecond are woken together.
      assert.ok(Math.abs(Number(at) - (expected.get(name) ?? NaN)) <= 1, line);
    }
    assert.equal(times.size, 0);
  });

  it('may be set again by whoever is woken, and are silent once stopped', async () => {
    const { clock, times } = setUp();
    let wakes = 0;
    const again: Sleeper = {
      notify: () => {
        wakes += 1;
        times.set(again, 10);
      },
    };
    times.set(again, 10);
    await clock.run(95);
    assert.ok(wakes >= 9 && wakes <= 10);
    times.stop();
    await clock.run(1_000);
    assert.ok(wakes <= 10);
  });
});
