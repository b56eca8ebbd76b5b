/**
 * What status, tasks and log say of a target that is not well, at times that matter: only ten times as
 * fast, so that what shows for seconds can be seen.
 */
import assert from 'node:assert/strict';
import { errorAnswer } from '../support/fake-target/answer.ts';
import { applied, reset, thinking } from '../support/fake-target/reactions.ts';
import type { WildCase } from './wild-case.ts';

const cases: readonly WildCase[] = [
  {
    name: 'a black hole: TLS is never answered, and the state is connecting within seconds',
    hooks: () => ({ whenConnected: () => true }),
    async play(scene) {
      await scene.saveTarget({ endpoint: scene.target.url.replace('http:', 'https:') });
      await scene.put('photo', 'bytes');
      await scene.shows('connecting', ({ state }) => state === 'connecting');
      await scene.showsError(/TLS|timeout/);
    },
  },
  {
    name: 'a lost answer: the row that looks again shows as verifying, and ages nothing',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1 ? applied(reset) : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      const status = await scene.shows('a verification', ({ verifying }) => verifying === 1);
      assert.deepEqual([status.queued, status.oldestAgeSeconds], [0, null]);
      const [task] = await scene.tasks('verifying');
      assert.equal(task?.key, 'photo');
      await scene.converged();
    },
  },
  {
    name: 'a target that comes and goes: one warning line for each opening and each closing',
    hooks: () => ({ whenWhole: () => errorAnswer(404, 'NoSuchBucket') }),
    async play(scene) {
      await scene.putMany(5);
      await scene.shows('an open breaker', ({ state }) => state === 'open');
      await scene.until(
        () => scene.warnings().length >= 1,
        () => 'a line about the breaker',
      );
      await scene.passSeconds(60);
      assert.equal(scene.warnings().length, 1, 'probes that fail are no news');
      scene.heal();
      await scene.converged();
      await scene.until(
        () => scene.warnings().length >= 2,
        () => 'a line about its end',
      );
      assert.equal(scene.warnings().length, 2);
    },
  },
  {
    name: 'a target that takes its time shows as delivering, and without an error',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'put' ? thinking(15_000) : undefined),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      const { lastError } = await scene.shows('delivery', ({ state }) => state === 'delivering');
      assert.equal(lastError, null);
      await scene.converged();
      await scene.shows('idleness', ({ state }) => state === 'idle');
    },
  },
];

export const whatPeopleSee: readonly WildCase[] = cases;
