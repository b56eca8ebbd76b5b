/** Earlier answers of name servers, which belong to the target that had them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Resolution } from '../../src/egress/resolver.ts';
import { TargetAnswers, type AskingTarget } from '../../src/egress/target-answers.ts';
import { ManualClock } from './manual-clock.ts';

const TARGET: AskingTarget = { bucketId: 'bucket', targetId: 'target', ownerId: 'owner' };
const ONE = { addresses: ['192.0.2.1'] };
const TWO = { addresses: ['192.0.2.2'] };

/** Answers that the test gives, or `null` for a name server that is silent for the call. */
function fixture(ownerTargetsMax = 1_000) {
  const clock = new ManualClock();
  const asked: string[] = [];
  let next: Resolution | null = ONE;
  const late: ((resolution: Resolution) => void)[] = [];
  const answers = new TargetAnswers({
    clock,
    ownerTargetsMax,
    resolver: {
      resolve(hostname, ownerId) {
        asked.push(`${hostname} for ${ownerId}`);
        const given = next;
        return given === null
          ? new Promise((resolve) => late.push(resolve))
          : Promise.resolve(given);
      },
    },
  });
  return {
    clock,
    answers,
    asked,
    late,
    servers: (answer: Resolution | null) => (next = answer),
    ask: (hostname = 'a.example', target: Partial<AskingTarget> = {}) =>
      answers.resolve(hostname, { ...TARGET, ...target }),
  };
}

describe('TargetAnswers', () => {
  it('asks on the share of the owner, each time', async () => {
    const { ask, asked, servers } = fixture();
    assert.deepEqual(await ask(), ONE);
    servers(TWO);
    assert.deepEqual(await ask(), TWO);
    assert.deepEqual(asked, ['a.example for owner', 'a.example for owner']);
  });

  for (const silence of ['silent', 'unanswered'] as const) {
    it(`an earlier answer stands in for servers that are ${silence}, for an hour`, async () => {
      const { ask, clock, servers } = fixture();
      await ask();
      servers(silence === 'silent' ? null : 'unanswered');
      clock.advance(3_599_000);
      const held = ask();
      clock.advance(250);
      assert.deepEqual(await held, ONE);
      assert.equal(clock.timersSet, 0);
      clock.advance(1_000);
      servers('unanswered');
      assert.equal(await ask(), 'unanswered');
    });
  }

  it('a new answer that comes in time is taken, and one that comes late is remembered', async () => {
    const { ask, clock, late, servers } = fixture();
    await ask();
    servers(null);
    const inTime = ask();
    clock.advance(249);
    late.shift()!(TWO);
    assert.deepEqual(await inTime, TWO);
    const missed = ask();
    clock.advance(250);
    assert.deepEqual(await missed, TWO);
    late.shift()!({ addresses: ['192.0.2.3'] });
    await new Promise(setImmediate);
    servers('unanswered');
    assert.deepEqual(await ask(), { addresses: ['192.0.2.3'] });
  });

  it('none stands in for a name that no longer resolves, or for another name', async () => {
    const { ask, servers } = fixture();
    await ask();
    servers('unanswered');
    assert.equal(await ask('b.example'), 'unanswered');
    assert.deepEqual(await ask(), ONE);
    servers('unresolved');
    assert.equal(await ask(), 'unresolved');
    servers('unanswered');
    assert.equal(await ask(), 'unanswered');
  });

  it('other owners’ targets push none out, however many; an owner’s own do beyond its share', async () => {
    const { ask, servers } = fixture(3);
    await ask();
    for (let n = 0; n < 2_000; n++) {
      await ask(`n${n}.example`, { targetId: `n${n}`, ownerId: 'somebody else' });
    }
    servers('unanswered');
    assert.deepEqual(await ask(), ONE);
    assert.equal(
      await ask('n1996.example', { targetId: 'n1996', ownerId: 'somebody else' }),
      'unanswered',
    );
    for (const n of [1997, 1998, 1999]) {
      const known = { targetId: `n${n}`, ownerId: 'somebody else' };
      assert.deepEqual(await ask(`n${n}.example`, known), ONE, String(n));
    }
  });

  it('the same target id in another bucket is another target', async () => {
    const { ask, servers } = fixture();
    await ask();
    servers('unanswered');
    assert.equal(await ask('a.example', { bucketId: 'another' }), 'unanswered');
  });
});
