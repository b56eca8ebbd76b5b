/**
 * Liveness on servers on which nothing else happens, one for each case: after the objects are written nobody writes,
 * saves or asks for a retry, and whatever is due is tried all the same.
 */
import assert from 'node:assert/strict';
import { errorAnswer, htmlAnswer, type TargetAnswer } from '../support/fake-target/answer.ts';
import type { TargetHooks } from '../support/fake-target/fake-target.ts';
import { applied, reset, thinking, type Reaction } from '../support/fake-target/reactions.ts';
import type { WildCase } from './wild-case.ts';

/** Refuses the first tries of each key. */
const refusingTries = (tries: number, reaction: Reaction) => (): TargetHooks => ({
  whenWhole: ({ operation, nth }) => (operation === 'put' && nth <= tries ? reaction : undefined),
});

/** Waits grow about fourfold: the sixth try of a row comes five to six minutes after the fifth. */
const REFUSALS: readonly (readonly [name: string, tries: number, TargetAnswer])[] = [
  ['400 InvalidArgument, five times', 5, errorAnswer(400, 'InvalidArgument')],
  ['400 XMinioInvalidObjectName, five times', 5, errorAnswer(400, 'XMinioInvalidObjectName')],
  ['413 with HTML, five times', 5, htmlAnswer(413, 'Too large')],
  ['412 PreconditionFailed, five times', 5, errorAnswer(412, 'PreconditionFailed')],
  ['403 AccessDenied, five times', 5, errorAnswer(403, 'AccessDenied')],
  ['409 OperationAborted, four times', 4, errorAnswer(409, 'OperationAborted')],
  ['500 InternalError, eight times', 8, errorAnswer(500, 'InternalError')],
];

const refused = REFUSALS.map(([name, tries, answer]): WildCase => ({
  name: `one object is refused (${name}), and then taken`,
  hooks: refusingTries(tries, answer),
  async play(scene) {
    await scene.put('photo', 'bytes');
    await scene.converged();
    assert.equal(scene.target.requestsOf('put').length, tries + 1);
  },
}));

const others: readonly WildCase[] = [
  {
    name: '24 answers are lost: all verifications are done when they are due',
    hooks: refusingTries(1, applied(reset)),
    async play(scene) {
      await scene.putMany(24);
      await scene.converged();
      for (const key of scene.target.objects.keys()) {
        // What is compared once its doubt is over needs no second look.
        assert.ok(scene.target.requestsOf('head', key).length >= 1, `${key} was looked at`);
      }
    },
  },
  {
    name: 'a late request overwrites what was delivered after it: the verification mends it',
    async play(scene) {
      let isLate = false;
      scene.target.hooks = {
        whenWhole: ({ operation, nth }) => {
          if (operation !== 'put' || nth > 1) return undefined;
          return async ({ socket, apply, pass }) => {
            socket.resetAndDestroy();
            await pass(20_000);
            apply();
            isLate = true;
          };
        },
      };
      await scene.put('photo', 'first');
      await scene.put('photo', 'second');
      await scene.until(
        () => isLate,
        () => 'the late request to be applied',
      );
      await scene.converged();
    },
  },
  {
    name: 'the target refuses everything for two minutes: a probe finds it healed',
    hooks: () => ({ whenWhole: () => errorAnswer(403, 'AccessDenied') }),
    async play(scene) {
      await scene.putMany(6);
      await scene.passSeconds(120);
      scene.heal();
      await scene.converged();
    },
  },
  {
    name: 'the target is out of reach for ten minutes: a probe finds it healed within one',
    async play(scene) {
      const { port } = scene.target;
      await scene.target.close();
      await scene.putMany(6);
      await scene.passSeconds(600);
      await scene.target.listen(port);
      await scene.converged(120);
    },
  },
  {
    name: 'Retry-After of five minutes: tried then',
    hooks: refusingTries(1, {
      ...errorAnswer(503, 'SlowDown'),
      headers: { 'retry-after': '300' },
    }),
    async play(scene) {
      await scene.putMany(3);
      await scene.converged();
    },
  },
  {
    name: 'a delete is denied four times, and then allowed',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'delete' && nth <= 4 ? errorAnswer(403, 'AccessDenied') : undefined,
    }),
    async play(scene) {
      await scene.put('doomed', 'bytes');
      await scene.arrived();
      await scene.remove('doomed');
      await scene.converged();
    },
  },
  {
    name: 'an upload that began for a version that is gone is aborted in the end',
    hooks: () => ({
      whenWhole: ({ operation, nth }) => {
        if (operation === 'abort' && nth <= 2) return errorAnswer(500, 'InternalError');
        return operation === 'part' && nth <= 4
          ? thinking(1_000, errorAnswer(500, 'InternalError'))
          : undefined;
      },
    }),
    async play(scene) {
      await scene.put('large', Buffer.alloc(9 * 1024 * 1024, 'x'));
      await scene.until(
        () => scene.target.requestsOf('part').length >= 2,
        () => 'parts to be sent',
      );
      await scene.put('large', 'small now');
      await scene.converged();
      await scene.until(
        () => scene.target.uploads.unfinished.size === 0,
        () => 'the upload to be aborted',
      );
    },
  },
  {
    name: 'a lane that was idle for ten minutes takes up its work at once',
    async play(scene) {
      await scene.put('first', 'bytes');
      await scene.converged();
      await scene.passSeconds(600);
      await scene.put('second', 'bytes');
      await scene.converged(60);
    },
  },
  {
    name: 'a row that waits for minutes on a lane that has nothing else: the lane is not let go',
    hooks: refusingTries(4, errorAnswer(409, 'OperationAborted')),
    async play(scene) {
      await scene.put('busy', 'bytes');
      await scene.put('free', 'bytes');
      await scene.converged();
    },
  },
];

export const quietEndings: readonly WildCase[] = [...refused, ...others];
