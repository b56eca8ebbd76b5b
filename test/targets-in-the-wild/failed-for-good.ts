/** Rows that are given up after eight tries, which takes more than an hour: a thousand times as fast. */
import assert from 'node:assert/strict';
import { errorAnswer, htmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import type { WildCase } from './wild-case.ts';

const REFUSALS: readonly (readonly [name: string, TargetAnswer])[] = [
  ['400 InvalidArgument', errorAnswer(400, 'InvalidArgument')],
  ['400 XMinioInvalidObjectName', errorAnswer(400, 'XMinioInvalidObjectName')],
  ['413 with HTML', htmlAnswer(413, 'Too large')],
];

const failing = REFUSALS.map(([name, answer]): WildCase => ({
  name: `one object is refused for ever (${name}): it fails, said once, and a retry delivers it`,
  hooks: () => ({ whenWhole: ({ operation }) => (operation === 'put' ? answer : undefined) }),
  async play(scene) {
    await scene.put('photo', 'bytes');
    await scene.shows('a failure', ({ failed, queued }) => failed === 1 && queued === 0);
    assert.equal(await scene.header('photo'), 'FAILED');
    const [task] = await scene.tasks('failed');
    // At a thousand times the speed a connection may take too long, which fails no object.
    assert.equal(task?.key, 'photo');
    assert.ok(Number(task.attempts) >= 8, `${String(task.attempts)} tries`);
    // At that speed the target's breaker may open besides.
    const said = () => scene.warnings().filter((line) => line.task !== undefined).length;
    await scene.until(
      () => said() >= 1,
      () => 'a line about the row',
    );
    assert.equal(said(), 1);
    scene.heal();
    await scene.retryAll('failed');
    await scene.converged();
  },
}));

const others: readonly WildCase[] = [
  {
    name: 'a target that refuses everything for two hours fails no row',
    hooks: () => ({ whenWhole: () => errorAnswer(404, 'NoSuchBucket') }),
    async play(scene) {
      await scene.putMany(5);
      await scene.passSeconds(2 * 3_600);
      const { queued, failed, gapSince } = await scene.status();
      assert.deepEqual([queued, failed, gapSince], [5, 0, null]);
    },
  },
  {
    name: 'denials of one object among others that are taken fail it, and nothing else',
    hooks: () => ({
      whenWhole: ({ operation, key }) =>
        operation === 'put' && key === 'bad' ? errorAnswer(403, 'AccessDenied') : undefined,
    }),
    async play(scene) {
      await scene.put('bad', 'bytes');
      for (let round = 0; round < 12; round++) {
        await scene.putMany(1, `good-${round}`);
        await scene.passSeconds(600);
      }
      await scene.shows('one failure', ({ failed, queued }) => failed === 1 && queued === 0);
      assert.equal(await scene.header('bad'), 'FAILED');
      assert.equal(scene.target.objects.size, 12);
    },
  },
];

export const failedForGood: readonly WildCase[] = [...failing, ...others];
