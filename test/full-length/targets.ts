/**
 * A handful of behaviours of targets with timeouts and waits as they ship, by real clocks: what the
 * tables of test/targets-in-the-wild/ show at a hundredth. Each has a server of its own, on which
 * nothing else happens. Some two minutes; not part of `npm test`.
 */
import assert from 'node:assert/strict';
import { errorAnswer } from '../support/fake-target/answer.ts';
import { startBlackHole } from '../support/black-hole.ts';
import { applied, reset, stall, thinking } from '../support/fake-target/reactions.ts';
import { runThemes, type WildCase } from '../targets-in-the-wild/wild-case.ts';

const MIB = 1024 * 1024;
const SECOND = 1_000;

/** Puts so far whose answer may be lost. */
let lost = 0;

const cases: readonly WildCase[] = [
  {
    name: 'a put is answered after a minute: one request suffices',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'put' ? thinking(60 * SECOND) : undefined),
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged(80);
      assert.equal(scene.target.requestsOf('put').length, 1);
    },
  },
  {
    name: 'an upload is completed after a minute: one request suffices',
    hooks: () => ({
      whenWhole: ({ operation }) => (operation === 'complete' ? thinking(60 * SECOND) : undefined),
    }),
    async play(scene) {
      await scene.put('large', Buffer.alloc(9 * MIB, 'x'));
      await scene.converged(80);
      assert.equal(scene.target.requestsOf('complete').length, 1);
    },
  },
  {
    name: 'nothing is read of a body: given up after half a minute, and sent again',
    hooks: () => ({
      whenHead: ({ operation, nth }) => (operation === 'put' && nth === 1 ? stall : undefined),
    }),
    async play(scene) {
      await scene.put('photo', Buffer.alloc(8 * MIB, 'y'));
      await scene.converged(60);
    },
  },
  {
    name: 'one object is refused four times: the try after a minute is not forgotten',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth <= 4 ? errorAnswer(400, 'InvalidArgument') : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged(120);
    },
  },
  {
    name: '12 of 24 answers are lost: those keys are looked at, and verified when a minute has passed',
    hooks: () => ({
      whenWhole: ({ operation, nth }) =>
        operation === 'put' && nth === 1 && (lost += 1) % 2 === 0 ? applied(reset) : undefined,
    }),
    async play(scene) {
      await scene.putMany(24);
      await scene.converged();
      assert.ok(scene.target.requestsOf('head').length >= 12, 'compared, and verified');
    },
  },
  {
    name: 'Retry-After of 65 s: tried then',
    hooks: () => ({
      whenWhole: ({ nth }) =>
        nth === 1
          ? { ...errorAnswer(503, 'SlowDown'), headers: { 'retry-after': '65' } }
          : undefined,
    }),
    async play(scene) {
      await scene.put('photo', 'bytes');
      await scene.converged(90);
    },
  },
  {
    name: '12 objects are refused, and 20 good ones arrive within half a minute',
    hooks: () => ({
      whenWhole: ({ operation, key }) =>
        operation === 'put' && key.startsWith('bad') ? errorAnswer(403, 'AccessDenied') : undefined,
    }),
    async play(scene) {
      await scene.putMany(12, 'bad');
      await scene.passSeconds(60);
      await scene.arrived(await scene.putMany(20, 'good'), 40);
    },
  },
];

const blackHole: WildCase = {
  name: 'a black hole: connecting shows at once, and then that nobody answers',
  async play(scene) {
    const ends: (() => void | Promise<void>)[] = [];
    try {
      const port = await startBlackHole({ after: (end) => void ends.push(end) });
      await scene.saveTarget({ endpoint: `http://127.0.0.1:${port}` });
      await scene.put('photo', 'bytes');
      const { lastError } = await scene.shows(
        'connecting, before the connection can have timed out',
        ({ state }) => state === 'connecting',
      );
      assert.equal(lastError, null);
      await scene.showsError(/timeout/);
    } finally {
      for (const end of ends) await end();
    }
  },
};

runThemes(
  { 'Full length': [...cases, blackHole] },
  { factor: 1, isAlone: true, patienceMs: 150 * SECOND },
);
