import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IdleWatch, SLOW_WINDOW_MS } from '../../src/egress/idle-watch.ts';
import { ManualClock } from './manual-clock.ts';

const TICK_MS = 5_000;

/** How long the watch lets a connection live that moves `bytesAt(second)` in all; null: an hour and more. */
function lifeMs(
  bytesAt: (second: number) => number | null,
  slowWindowMs = SLOW_WINDOW_MS,
): number | null {
  const clock = new ManualClock();
  const watch = new IdleWatch(clock);
  let diedAtMs: number | null = null;
  watch.add({
    slowWindowMs,
    bytesMoved: () => bytesAt(clock.nowMs() / 1000),
    isAwaitingAnswer: () => false,
    onSilence: () => assert.fail('Bytes flow.'),
    onIdle: () => (diedAtMs = clock.nowMs()),
  });
  while (diedAtMs === null && clock.nowMs() < 3_600_000) clock.advance(TICK_MS);
  watch.close();
  assert.equal(clock.timersSet, 0);
  return diedAtMs;
}

describe('the idle watch', () => {
  const cases: [name: string, life: number | null, bytesAt: (second: number) => number | null][] = [
    ['silence', 30_000, () => 0],
    ['silence after a start', 50_000, (s) => Math.min(s, 20) * 100_000],
    ['a byte now and then', 60_000, (s) => s],
    ['just under 1 KiB/s', 60_000, (s) => s * 1023],
    ['1 KiB/s', null, (s) => s * 1024],
    ['a burst of 100 KiB every 25 s', null, (s) => Math.floor(s / 25) * 102_400],
    ['fast at first, then a drip', 120_000, (s) => (s < 10 ? s * 100_000 : 1_000_000 + s)],
    ['no connection yet', null, () => null],
    ['a connection that comes late and says nothing', 70_000, (s) => (s < 40 ? null : 0)],
  ];
  for (const [name, life, bytesAt] of cases) {
    it(`gives ${name} ${life === null ? 'all the time' : `${life / 1000} s`}`, () => {
      assert.equal(lifeMs(bytesAt), life);
    });
  }

  it('lets a request that may be slow drip for its own window', () => {
    assert.equal(
      lifeMs((s) => s, 600_000),
      600_000,
    );
    assert.equal(
      lifeMs(() => 0, 600_000),
      30_000,
    );
  });

  it('does not hold a long silence against the answer that follows', () => {
    const clock = new ManualClock();
    const watch = new IdleWatch(clock);
    const idle: (number | null)[] = [];
    let asked = 0;
    const second = (): number => clock.nowMs() / 1000;
    watch.add({
      slowWindowMs: SLOW_WINDOW_MS,
      bytesMoved: () => (second() < 200 ? 0 : second()),
      isAwaitingAnswer: () => second() < 200,
      onSilence: () => {
        asked += 1;
        return 300_000;
      },
      onIdle: (silenceMs) => idle.push(silenceMs),
    });
    while (second() < 250) clock.advance(TICK_MS);
    assert.deepEqual([asked, idle], [1, []]);
    // A byte now and then is too slow an answer, once its own window has passed.
    while (second() < 300) clock.advance(TICK_MS);
    assert.deepEqual([asked, idle], [1, [null]]);
    watch.close();
  });

  it('forgets requests that have ended, and then stops its timer', () => {
    const clock = new ManualClock();
    const watch = new IdleWatch(clock);
    const watched = {
      slowWindowMs: SLOW_WINDOW_MS,
      bytesMoved: () => 0,
      isAwaitingAnswer: () => true,
      onSilence: () => assert.fail('It has ended.'),
      onIdle: () => assert.fail('It has ended.'),
    };
    watch.add(watched);
    watch.delete(watched);
    for (let i = 0; i < 10; i += 1) clock.advance(TICK_MS);
    assert.equal(clock.timersSet, 0);
  });
});
