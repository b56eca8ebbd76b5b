/** Targets that ask for fewer requests, or for none for a while. */
import assert from 'node:assert/strict';
import { errorAnswer, htmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import { react } from '../support/fake-target/reactions.ts';
import type { Scene } from './scene.ts';
import type { WildCase } from './wild-case.ts';

const SLOW_DOWN = errorAnswer(503, 'SlowDown');

const ANSWERS: readonly (readonly [name: string, TargetAnswer])[] = [
  ['503 SlowDown', SLOW_DOWN],
  ['429 TooManyRequests', errorAnswer(429, 'TooManyRequests')],
  ['429 with HTML', htmlAnswer(429, 'Too many requests')],
  ['503 with the HTML of a load balancer', htmlAnswer(503, 'Service unavailable')],
  ['400 RequestTimeout', errorAnswer(400, 'RequestTimeout')],
  ['503 XMinioServerNotInitialized', errorAnswer(503, 'XMinioServerNotInitialized')],
];

const minute = ANSWERS.map(([name, answer]): WildCase => ({
  name: `${name} for a minute: few bodies are sent, and all arrive by themselves`,
  hooks: () => ({ whenWhole: () => answer }),
  async play(scene) {
    await scene.putMany(40);
    await scene.shows('an error', ({ lastError }) => lastError !== null);
    await scene.passSeconds(60);
    const sent = scene.target.requestsOf('put').length;
    assert.ok(sent <= 60, `${sent} bodies in a minute`);
    scene.heal();
    await scene.converged();
  },
}));

/** The gap after the first refusal in which nothing was asked, in seconds of the target's clock. */
function quietSecondsOf(scene: Scene): number {
  const times = scene.target.requests.map(({ atMs }) => atMs);
  const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? atMs));
  return Math.max(0, ...gaps) / 1_000;
}

const retryAfter: readonly WildCase[] = [
  {
    name: 'Retry-After of 90 s is honoured, and the row is sent though nothing else happens',
    hooks: () => ({
      whenWhole: ({ nth }) =>
        nth === 1 ? { ...SLOW_DOWN, headers: { 'retry-after': '90' } } : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      assert.ok(quietSecondsOf(scene) >= 89, `${quietSecondsOf(scene)} s`);
    },
  },
  {
    name: 'Retry-After with a date, as HTTP allows',
    hooks: () => ({
      whenWhole: ({ nth }) =>
        nth === 1
          ? {
              ...SLOW_DOWN,
              // By the wall clock of the machine, which signatures carry too.
              headers: { 'retry-after': new Date(Date.now() + 61_000).toUTCString() },
            }
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
      assert.ok(quietSecondsOf(scene) >= 50, `${quietSecondsOf(scene)} s`);
    },
  },
  {
    name: 'Retry-After of a week: an hour at most, and the status says when',
    hooks: () => ({
      whenWhole: () => ({ ...SLOW_DOWN, headers: { 'retry-after': '604800' } }),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      const { retryAt } = await scene.shows(
        'when it is tried',
        (status) => status.retryAt !== null,
      );
      const waitS = (Date.parse(String(retryAt)) - scene.clock.nowMs()) / 1_000;
      assert.ok(waitS <= 3_600, `${waitS} s`);
      scene.heal();
      await scene.retryAll('pending');
      await scene.converged();
    },
  },
  {
    name: 'Retry-After that is nonsense counts for nothing',
    hooks: () => ({
      whenWhole: ({ nth }) =>
        nth === 1 ? { ...SLOW_DOWN, headers: { 'retry-after': 'soon, or -5' } } : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged();
    },
  },
];

const others: readonly WildCase[] = [
  {
    name: 'more than four requests at a time are refused: the lane slows down, and all arrive',
    async play(scene) {
      let inFlight = 0;
      scene.target.hooks = {
        whenWhole({ operation }) {
          if (operation !== 'put') return undefined;
          if (inFlight >= 4) return SLOW_DOWN;
          inFlight += 1;
          return async (exchange) => {
            await exchange.pass(300);
            inFlight -= 1;
            await react(undefined, exchange);
          };
        },
      };
      await scene.putMany(100);
      await scene.converged();
      const { length } = scene.target.requestsOf('put');
      assert.ok(length <= 300, `${length} requests for 100 objects`);
    },
  },
  {
    name: 'one key is answered with 500 for ever: 60 others are not held up',
    hooks: () => ({
      whenWhole: ({ key }) => (key === 'cursed' ? errorAnswer(500, 'InternalError') : undefined),
    }),
    async play(scene) {
      await scene.put('cursed', 'bytes');
      const keys = await scene.putMany(60);
      await scene.arrived(keys);
      await scene.passSeconds(120);
      const more = await scene.putMany(20, 'more');
      await scene.arrived(more, 90);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'a resync meets 503 for a minute: what the target lost is there in the end, each sent once',
    async play(scene) {
      const keys = await scene.putMany(60);
      await scene.converged();
      for (const key of keys.slice(0, 30)) scene.target.objects.delete(key);
      scene.target.hooks = { whenWhole: () => SLOW_DOWN };
      await scene.resync();
      await scene.passSeconds(60);
      scene.heal();
      const before = scene.target.requestsOf('put').length;
      await scene.arrived();
      await scene.converged();
      const sent = scene.target.requestsOf('put').length - before;
      assert.ok(sent <= 65, `${sent} bodies for 60 objects`);
    },
  },
  {
    name: 'the target is full for two minutes (507): nothing is lost, nothing fails',
    hooks: () => ({ whenWhole: () => errorAnswer(507, 'XMinioStorageFull') }),
    async play(scene) {
      await scene.putMany(20);
      await scene.passSeconds(120);
      const { failed, queued } = await scene.status();
      assert.deepEqual([queued, failed], [20, 0]);
      scene.heal();
      await scene.converged();
    },
  },
];

export const overload: readonly WildCase[] = [...minute, ...retryAfter, ...others];
