/**
 * Targets that refuse whatever they are asked: what users read, how much such a target is sent, and
 * that everything arrives by itself once somebody mended it.
 */
import assert from 'node:assert/strict';
import { errorAnswer, htmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import type { Scene } from './scene.ts';
import type { WildCase } from './wild-case.ts';

const DENIED = errorAnswer(403, 'AccessDenied');
/** Objects that a lane has in flight at a time. */
const AT_A_TIME = 16;

/** What the target says to everything, and what users read of it. */
const ANSWERS: readonly (readonly [name: string, TargetAnswer, RegExp])[] = [
  ['403 AccessDenied', DENIED, /denies access/],
  ['403 AllAccessDisabled', errorAnswer(403, 'AllAccessDisabled'), /denies access/],
  ['403 with the HTML of a firewall', htmlAnswer(403, 'Request blocked'), /denies access/],
  ['403 SignatureDoesNotMatch', errorAnswer(403, 'SignatureDoesNotMatch'), /secret/],
  ['403 InvalidAccessKeyId', errorAnswer(403, 'InvalidAccessKeyId'), /access key id/],
  ['400 ExpiredToken', errorAnswer(400, 'ExpiredToken'), /expired/],
  ['403 RequestTimeTooSkewed', errorAnswer(403, 'RequestTimeTooSkewed'), /clocks/],
  ['404 NoSuchBucket', errorAnswer(404, 'NoSuchBucket'), /bucket does not exist/],
  ['404 with HTML', htmlAnswer(404, 'Not found'), /404/],
  ['401 with HTML', htmlAnswer(401, 'Unauthorized'), /credentials/],
  ['405 with HTML', htmlAnswer(405, 'Not allowed'), /not an S3 service/],
  ['407 of a proxy', htmlAnswer(407, 'Proxy authentication'), /proxy/i],
  ['500 InternalError', errorAnswer(500, 'InternalError'), /internal error/],
  ['502 with HTML', htmlAnswer(502, 'Bad gateway'), /502/],
  ['504 with HTML', htmlAnswer(504, 'Gateway timeout'), /504/],
  ['507 XMinioStorageFull', errorAnswer(507, 'XMinioStorageFull'), /no space/],
  [
    '400 XMinioAdminBucketQuotaExceeded',
    errorAnswer(400, 'XMinioAdminBucketQuotaExceeded'),
    /quota/,
  ],
  // lakeFS#3613, s5cmd#518, fluent-bit#10390.
  [
    '403 SecondLevelDomainForbidden',
    errorAnswer(403, 'SecondLevelDomainForbidden'),
    /path.?style|virtual/i,
  ],
];

const everything = ANSWERS.map(([name, answer, sentence]): WildCase => ({
  name: `${name} to everything: it is said, and heals by itself`,
  hooks: () => ({ whenWhole: () => answer }),
  async play(scene) {
    const keys = await scene.putMany(8);
    const { gapSince, queued, failed } = await scene.showsError(sentence);
    assert.deepEqual([gapSince, queued, failed], [null, 8, 0]);
    for (const key of keys) assert.equal(await scene.header(key), 'PENDING');
    scene.heal();
    await scene.converged();
  },
}));

const costs: readonly WildCase[] = [
  {
    name: '403 to everything, and requests for a retry: each makes a probe due, and no more',
    hooks: () => ({ whenWhole: () => DENIED }),
    async play(scene) {
      await scene.putMany(60);
      // By then the probes that come by themselves are far between.
      await scene.passSeconds(300);
      const before = scene.target.requestsOf('put').length;
      for (let request = 0; request < 9; request++) {
        await scene.retryAll('pending');
        await scene.passSeconds(3);
      }
      const sent = scene.target.requestsOf('put').length - before;
      assert.ok(sent >= 1 && sent <= 12, `${sent} bodies for 9 requests`);
    },
  },
  {
    name: '403 to everything for ten minutes: then at most one object a minute is sent',
    hooks: () => ({ whenWhole: () => DENIED }),
    async play(scene) {
      await scene.putMany(40);
      await scene.passSeconds(600);
      const before = scene.target.requestsOf('put').length;
      await scene.passSeconds(240);
      const sent = scene.target.requestsOf('put').length - before;
      assert.ok(sent <= 5, `${sent} bodies in four minutes`);
      const { failed, queued, state } = await scene.status();
      assert.equal(queued + failed, 40);
      assert.match(state, /open|probing/);
    },
  },
  {
    name: '403 to everything: what is sent before the lane gives up is bounded',
    hooks: () => ({ whenWhole: () => DENIED }),
    async play(scene) {
      await scene.putMany(200);
      await opened(scene);
      await scene.passSeconds(20);
      const sent = scene.target.requestsOf('put').length;
      assert.ok(sent <= 3 * AT_A_TIME, `${sent} bodies`);
    },
  },
  {
    name: 'puts are denied, deletes are not: deletes go on',
    async play(scene) {
      const doomed = await scene.putMany(10, 'doomed');
      await scene.arrived();
      scene.target.hooks = {
        whenWhole: ({ operation }) => (operation === 'put' ? DENIED : undefined),
      };
      await scene.putMany(20, 'denied');
      await scene.until(
        () => scene.target.requestsOf('put').length >= 16,
        () => 'puts to be denied',
      );
      await Promise.all(doomed.map((key) => scene.remove(key)));
      await scene.arrived(doomed, 90);
      assert.equal(scene.target.objects.size, 0);
    },
  },
  {
    name: 'deletes are denied, puts are not: puts go on, and the status says what is degraded',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'delete' ? DENIED : undefined),
    }),
    async play(scene) {
      const doomed = await scene.putMany(8, 'doomed');
      await scene.arrived();
      await Promise.all(doomed.map((key) => scene.remove(key)));
      await scene.until(
        () => scene.target.requestsOf('delete').length >= 5,
        () => 'deletes to be denied',
      );
      const keys = await scene.putMany(40, 'good');
      await scene.arrived(keys, 60);
      await scene.shows('that deletes are refused', ({ degraded }) => degraded.includes('deletes'));
    },
  },
  {
    name: '403 to everything, until the target is saved with another secret: all arrive at once',
    hooks: () => ({ whenWhole: () => DENIED }),
    async play(scene) {
      await scene.putMany(20);
      await scene.passSeconds(120);
      scene.heal();
      await scene.saveTarget({ secretAccessKey: 'another-secret-of-the-tests' });
      await scene.converged(60);
    },
  },
  {
    name: '403 to everything: a request for a retry probes, and the success closes the breaker',
    hooks: () => ({ whenWhole: () => DENIED }),
    async play(scene) {
      await scene.putMany(20);
      await scene.passSeconds(300);
      scene.heal();
      await scene.retryAll('pending');
      await scene.converged(60);
    },
  },
];

async function opened(scene: Scene): Promise<void> {
  await scene.shows('an open breaker', ({ state }) => state === 'open' || state === 'probing');
}

export const refusedEverything: readonly WildCase[] = [...everything, ...costs];
