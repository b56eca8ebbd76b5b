/**
 * The whole plugin while somebody sets the machine's clock: what waits is sent when it would have been,
 * with nothing else written, and what is shown is by the clock as it is then.
 */
import assert from 'node:assert/strict';
import { after, afterEach, describe, it } from 'node:test';
import { errorAnswer } from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import { WildSite } from '../targets-in-the-wild/wild-site.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

// The plugin takes the clock when it starts: it is given this one, which tests set.
const trueNow = Date.now;
let setByMs = 0;
Date.now = () => trueNow() + setByMs;
after(() => void (Date.now = trueNow));
afterEach(() => void (setByMs = 0));

const refusedAtFirst = (times: number, code: string, status: number) => (): TargetHooks => {
  let seen = 0;
  return {
    whenWhole: ({ operation }) =>
      operation === 'put' && ++seen <= times ? errorAnswer(status, code) : undefined,
  };
};

const kinds: readonly (readonly [name: string, hooks: () => TargetHooks])[] = [
  ['an object that is refused three times', refusedAtFirst(3, 'InvalidArgument', 400)],
  ['a target that fails three times', refusedAtFirst(3, 'NoSuchBucket', 404)],
];

describe('a clock that is set', () => {
  for (const [direction, byMs] of [
    ['back by a day', -DAY_MS],
    ['ahead by a day', DAY_MS],
  ] as const) {
    for (const [name, hooks] of kinds) {
      it(`${direction} changes nothing for ${name}`, async (t) => {
        const site = new WildSite(t, { factor: 1, patienceMs: 120_000, isAlone: true });
        const scene = await site.open(t, hooks());
        await scene.put('photo', 'bytes');
        await scene.until(
          () => scene.target.requestsOf('put').length >= 1,
          () => 'a first try',
        );
        setByMs = byMs;
        const { retryAt, oldestAgeSeconds } = await scene.status();
        const retryMs = retryAt === null ? Date.now() : Date.parse(retryAt);
        assert.ok(Math.abs(retryMs - Date.now()) < HOUR_MS, `retryAt is ${retryAt}`);
        assert.ok((oldestAgeSeconds ?? 0) < HOUR_MS / 1_000, `${oldestAgeSeconds} s old`);
        await scene.converged();
      });
    }
  }
});
