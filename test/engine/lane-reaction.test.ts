/** Whose failure it is, and what becomes of breakers and concurrency. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delivery } from '../../src/engine/deliver.ts';
import { reactTo, type Reaction, type ReactionInput } from '../../src/engine/lane-reaction.ts';
import { CLOSED, nextBreaker, type Breaker } from '../../src/model/breaker.ts';
import { newConcurrency } from '../../src/model/concurrency.ts';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { ALL_CLOSED, type LaneBreakers } from '../../src/model/lane-breakers.ts';
import { DENIED, REFUSED_OBJECT, RESET } from './fake-target.ts';
import { claim, row } from './fixtures.ts';

const PROVEN = nextBreaker(CLOSED, { type: 'success' });
const OPEN: Breaker = { state: 'open', since: 0, until: 0, openings: 1 };
const PROBING: Breaker = { state: 'probing', since: 0, openings: 1 };
const TOO_LARGE: RequestFailure = { stage: 'answer', status: 413, ambiguous: false };
const BAD_ARGUMENT: RequestFailure = { ...TOO_LARGE, status: 400, code: 'InvalidArgument' };
const DELIVERED: Delivery = {
  kind: 'delivered',
  upTo: 5,
  wasThere: false,
  bytes: 1,
  tagsRefused: false,
  uploadId: null,
};

function react(
  delivery: Delivery,
  breakers: Partial<LaneBreakers> = {},
  input: Partial<ReactionInput> & { operation?: 'put' | 'delete' } = {},
): Reaction {
  const { operation = 'put', ...rest } = input;
  return reactTo(claim(row({ operation })), delivery, {
    breakers: { ...ALL_CLOSED, ...breakers },
    concurrency: newConcurrency(),
    probed: [],
    cutsAtStart: 0,
    now: 1_000,
    random: 0.5,
    ...rest,
  });
}

function fails(failure: RequestFailure, breakers: Partial<LaneBreakers> = {}) {
  const { judgement } = react({ kind: 'failed', failure, upload: null }, breakers);
  assert.ok(judgement !== null, 'a failure is judged');
  return [judgement.isObjects, judgement.isRefused];
}

describe('reaction: whose failure it is', () => {
  const cases: readonly (readonly [
    string,
    RequestFailure,
    Partial<LaneBreakers>,
    [boolean, boolean],
  ])[] = [
    ['a reset is the target’s', RESET, { put: PROVEN }, [false, false]],
    ['a denial before any success is the target’s', DENIED, {}, [false, true]],
    [
      'a denial after a success of the operation is the object’s',
      DENIED,
      { put: PROVEN },
      [true, true],
    ],
    [
      'a denial after a success of another operation is the target’s',
      DENIED,
      { delete: PROVEN },
      [false, true],
    ],
    ['a denial while all are denied is the target’s', DENIED, { put: PROBING }, [false, true]],
    ['another refusal is the object’s', BAD_ARGUMENT, {}, [true, true]],
    [
      'another refusal while all are refused is the target’s',
      BAD_ARGUMENT,
      { put: PROBING },
      [false, true],
    ],
    ['what no target takes is the object’s', TOO_LARGE, { put: OPEN }, [true, true]],
  ];
  for (const [name, failure, breakers, expected] of cases) {
    it(name, () => assert.deepEqual(fails(failure, breakers), expected));
  }
});

describe('reaction: breakers', () => {
  const failed = (failure: RequestFailure): Delivery => ({ kind: 'failed', failure, upload: null });

  it('a refusal counts for its operation alone, and shows that the target is there', () => {
    const { breakers } = react(failed(REFUSED_OBJECT), { target: { ...CLOSED, failures: 2 } });
    assert.equal(breakers.target.state === 'closed' && breakers.target.failures, 0);
    assert.equal(breakers.put.state === 'closed' && breakers.put.keys.length, 1);
    assert.equal(breakers.delete, CLOSED);
  });

  it('an object that no target takes opens nothing, however many there are', () => {
    let breakers: LaneBreakers = ALL_CLOSED;
    for (let n = 0; n < 50; n++) {
      const bad = claim(row({ key: `bad-${n}` }));
      breakers = reactTo(bad, failed(TOO_LARGE), {
        breakers,
        concurrency: newConcurrency(),
        probed: [],
        cutsAtStart: 0,
        now: n,
        random: 0.5,
      }).breakers;
    }
    assert.deepEqual([breakers.target.state, breakers.put.state], ['closed', 'closed']);
  });

  it('that an object was there already proves the target, and not what it takes', () => {
    const { breakers } = react(
      { ...DELIVERED, wasThere: true },
      { target: PROBING, put: PROBING },
      { probed: ['target', 'put'] },
    );
    assert.deepEqual([breakers.target.state, breakers.put.state], ['closed', 'open']);
  });

  it('a delivery closes what it probed', () => {
    const { breakers } = react(
      DELIVERED,
      { target: PROBING, put: PROBING },
      { probed: ['target', 'put'] },
    );
    assert.deepEqual([breakers.target.state, breakers.put.state], ['closed', 'closed']);
  });

  it('a probe of an operation that meets a failure of the target is to be made again', () => {
    const { breakers } = react(failed(RESET), { put: PROBING }, { probed: ['put'] });
    assert.equal(breakers.put.state === 'open' && breakers.put.until, 1_000);
    assert.equal(breakers.target.state === 'closed' && breakers.target.failures, 1);
  });

  it('a probe that had nothing to send is to be made again', () => {
    for (const delivery of [
      { kind: 'nothing', upTo: 5 },
      { kind: 'source-failed', upload: null },
    ] as const) {
      const { breakers, judgement } = react(delivery, { put: PROBING }, { probed: ['put'] });
      assert.equal(breakers.put.state === 'open' && breakers.put.until, 1_000);
      assert.equal(judgement, null);
    }
  });

  it('a delete that is refused holds up no puts', () => {
    const { breakers } = react(failed(DENIED), {}, { operation: 'delete' });
    assert.equal(breakers.put, CLOSED);
    assert.equal(breakers.delete.state === 'closed' && breakers.delete.keys.length, 1);
  });

  it('a single failure of the target lowers the concurrency; a refusal does not', () => {
    const start = newConcurrency().allowed;
    const cut = react(failed({ stage: 'answer', status: 500, ambiguous: true })).concurrency;
    assert.ok(cut.allowed < start, 'it is lowered');
    assert.equal(react(failed(DENIED)).concurrency.allowed, start);
  });
});
