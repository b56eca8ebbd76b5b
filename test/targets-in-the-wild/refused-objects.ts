/**
 * Targets that refuse some objects and take the others: a refusal of one is nobody else's, neither of
 * the lane's other objects nor of the same key's next version.
 */
import assert from 'node:assert/strict';
import { errorAnswer, htmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import type { ReceivedRequest } from '../support/fake-target/received-request.ts';
import type { Scene } from './scene.ts';
import type { WildCase } from './wild-case.ts';

/**
 * The promise is 30 s after the good ones are written; a busy machine, on which a hundredth of a second
 * is a second here, may take some more. What was wrong took minutes and hours.
 */
const SOON_S = 180;

const DENIED = errorAnswer(403, 'AccessDenied');
const BAD_NAME = errorAnswer(400, 'XMinioInvalidObjectName');
const TOO_LARGE = htmlAnswer(413, '413 Request Entity Too Large');

/** Requests that are refused, and how. */
type Refusal = (request: ReceivedRequest) => TargetAnswer | undefined;

const refusing = (refusal: Refusal) => (): TargetHooks => ({ whenWhole: refusal });
const badKeysOf =
  (answer: TargetAnswer): Refusal =>
  ({ key, operation }) =>
    key.startsWith('bad') && operation === 'put' ? answer : undefined;

/** Names and sentences; minio#5874, minio#17569, and nginx's client_max_body_size. */
const REFUSALS_OF_PUTS: readonly (readonly [name: string, TargetAnswer, RegExp])[] = [
  ['400 XMinioInvalidObjectName', BAD_NAME, /key/],
  ['413 with the HTML of a proxy', TOO_LARGE, /too large/],
  ['403 AccessDenied', DENIED, /denies access/],
  ['400 InvalidArgument', errorAnswer(400, 'InvalidArgument'), /InvalidArgument/],
  ['501 NotImplemented', errorAnswer(501, 'NotImplemented'), /does not implement/],
  ['403 ObjectLocked', errorAnswer(403, 'ObjectLocked'), /protects/],
];

const twelve = REFUSALS_OF_PUTS.map(([name, answer, sentence]): WildCase => ({
  name: `12 objects are refused (${name}), then 20 good ones arrive within half a minute`,
  hooks: refusing(badKeysOf(answer)),
  async play(scene) {
    const bad = await scene.putMany(12, 'bad');
    await eachWasTried(scene, bad);
    await goodOnesArrive(scene);
    const tasks = await scene.tasks();
    assert.deepEqual(new Set(tasks.map(({ key }) => key)), new Set(bad));
    for (const task of tasks) assert.match(String(task.lastError), sentence);
    for (const key of bad) assert.notEqual(await scene.header(key), 'COMPLETED');
    assert.equal((await scene.status()).gapSince, null);
  },
}));

const others: readonly WildCase[] = [
  {
    name: '12 deletes are denied, then 20 good objects arrive within half a minute',
    hooks: refusing(({ operation }) => (operation === 'delete' ? DENIED : undefined)),
    async play(scene) {
      const doomed = await scene.putMany(12, 'doomed');
      await scene.arrived();
      await Promise.all(doomed.map((key) => scene.remove(key)));
      await scene.until(
        () => scene.target.requestsOf('delete').length >= 5,
        () => 'deletes to be tried',
      );
      await goodOnesArrive(scene);
      assert.equal(scene.target.objects.size, 32, 'what may not be deleted is there');
    },
  },
  {
    name: '12 are refused, each for one of three reasons, then 20 good ones arrive',
    hooks: refusing(({ key, operation }) => {
      if (!key.startsWith('bad') || operation !== 'put') return undefined;
      return [DENIED, BAD_NAME, TOO_LARGE][Number(key.split('-')[1]) % 3];
    }),
    async play(scene) {
      await eachWasTried(scene, await scene.putMany(12, 'bad'));
      await goodOnesArrive(scene);
    },
  },
  {
    name: 'five denied objects under load hold up none of 200 others',
    hooks: refusing(badKeysOf(DENIED)),
    async play(scene) {
      const keys = [...(await scene.putMany(100, 'before'))];
      const bad = scene.putMany(5, 'bad');
      keys.push(...(await scene.putMany(100, 'after')));
      await bad;
      await scene.arrived(keys, 2 * SOON_S);
      await scene.shows('the five alone', ({ queued, failed }) => queued + failed === 5);
    },
  },
  {
    name: 'a denied delete does not hold up the next put of its key',
    hooks: refusing(({ operation }) => (operation === 'delete' ? DENIED : undefined)),
    async play(scene) {
      await scene.put('photo', 'first');
      await scene.arrived();
      await scene.remove('photo');
      await scene.until(
        () => scene.target.requestsOf('delete').length >= 1,
        () => 'the delete to be tried',
      );
      await scene.put('photo', 'second');
      await scene.converged(SOON_S);
    },
  },
  {
    name: 'a denied delete is tried four times before the next put of its key, which goes at once',
    hooks: refusing(({ operation }) => (operation === 'delete' ? DENIED : undefined)),
    async play(scene) {
      await scene.put('photo', 'first');
      await scene.arrived();
      await scene.remove('photo');
      await scene.until(
        () => scene.target.requestsOf('delete').length >= 4,
        () => 'the delete to be tried again',
      );
      await scene.put('photo', 'second');
      await scene.converged(SOON_S);
    },
  },
  {
    name: 'a version with metadata that is refused does not hold up the next put of its key',
    hooks: refusing(({ headers }) =>
      headers.has('x-amz-meta-odd') ? errorAnswer(400, 'MetadataTooLarge') : undefined,
    ),
    async play(scene) {
      await scene.put('photo', 'first', { userMetadata: { odd: 'value' } });
      await scene.until(
        () => scene.target.requestsOf('put', 'photo').length >= 3,
        () => 'the first version to be tried',
      );
      await scene.put('photo', 'second');
      await scene.converged(SOON_S);
    },
  },
  {
    name: 'a version that HTTP cannot carry does not hold up the next put of its key',
    async play(scene) {
      await scene.put('photo', 'first', { userMetadata: { odd: 'snowman \u2603' } });
      await scene.until(
        async () => (await scene.tasks())[0]?.lastError,
        () => 'a sentence about the version',
      );
      await scene.put('photo', 'second');
      await scene.converged(SOON_S);
    },
  },
  {
    name: 'three versions of one key are refused, and only the last is kept',
    hooks: refusing(badKeysOf(BAD_NAME)),
    async play(scene) {
      for (const body of ['first', 'second', 'third']) await scene.put('bad', body);
      await scene.shows('one that waits', ({ queued, failed }) => queued + failed === 1);
      const [task] = await scene.tasks();
      assert.equal(task?.key, 'bad');
      assert.notEqual(await scene.header('bad'), 'COMPLETED');
    },
  },
  {
    name: 'a refused object is taken once the target allows it, with nothing else written',
    hooks: refusing(badKeysOf(BAD_NAME)),
    async play(scene) {
      await eachWasTried(scene, await scene.putMany(3, 'bad'), 3);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'a single 500 between successes closes nothing',
    hooks: refusing(({ key, operation, nth }) =>
      key === 'object-20' && operation === 'put' && nth === 1
        ? errorAnswer(500, 'InternalError')
        : undefined,
    ),
    async play(scene) {
      const states = new Set<string>();
      let isWatching = true;
      const watched = (async () => {
        while (isWatching) states.add((await scene.status()).state);
      })();
      await scene.putMany(60);
      await scene.converged();
      isWatching = false;
      await watched;
      assert.ok(!states.has('open') && !states.has('probing'), [...states].join());
      assert.deepEqual(scene.warnings(), []);
    },
  },
];

async function eachWasTried(scene: Scene, keys: readonly string[], times = 1): Promise<void> {
  const isTried = (key: string): boolean => scene.target.requestsOf('put', key).length >= times;
  await scene.until(
    () => keys.every(isTried),
    () => `each refused object to be tried (${keys.filter(isTried).length} were)`,
  );
}

async function goodOnesArrive(scene: Scene): Promise<void> {
  const good = await scene.putMany(20, 'good');
  await scene.arrived(good, SOON_S);
  for (const key of good) {
    await scene.until(
      async () => (await scene.header(key)) === 'COMPLETED',
      () => `the header of ${key} to say COMPLETED`,
    );
  }
}

export const refusedObjects: readonly WildCase[] = [...twelve, ...others];
