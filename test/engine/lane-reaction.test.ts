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
    const { breakers } = react(failed(DENIED), { target: { ...CLOSED, failures: 2 } });
    assert.equal(breakers.target.state === 'closed' && breakers.target.failures, 0);
    assert.equal(breakers.put.state === 'closed' && breakers.put.keys.length, 1);
    assert.equal(breakers.delete, CLOSED);
  });

  for (const [name, failure] of [
    ['that no target takes', TOO_LARGE],
    ['for which a condition does not hold', REFUSED_OBJECT],
    ['that the target is busy with', { ...REFUSED_OBJECT, status: 409, code: 'OperationAborted' }],
  ] as const) {
    it(`an object ${name} opens nothing, however many there are`, () => {
      assert.deepEqual(statesAfter(failure), ['closed', 'closed']);
    });
  }

  /** The target's and that of puts, after fifty different keys. */
  function statesAfter(failure: RequestFailure): string[] {
    let breakers: LaneBreakers = ALL_CLOSED;
    for (let n = 0; n < 50; n++) {
      const bad = claim(row({ key: `bad-${n}` }));
      breakers = reactTo(bad, failed(failure), {
        breakers,
        concurrency: newConcurrency(),
        probed: [],
        cutsAtStart: 0,
        now: n,
        random: 0.5,
      }).breakers;
    }
    return [breakers.target.state, breakers.put.state];
  }

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

  const answer = (status: number, fields: Partial<RequestFailure> = {}): RequestFailure => ({
    stage: 'answer',
    status,
    ambiguous: false,
    ...fields,
  });

  it('failures of the target open it after three in a row, whatever fails of it', () => {
    const failures = [RESET, answer(500), answer(404, { code: 'NoSuchBucket' })];
    let breakers: LaneBreakers = ALL_CLOSED;
    const states = failures.map((failure) => {
      ({ breakers } = react(failed(failure), breakers));
      return breakers.target.state;
    });
    assert.deepEqual(states, ['closed', 'closed', 'open']);
    assert.deepEqual([breakers.put, breakers.delete], [CLOSED, CLOSED]);
  });

  it('refusals of five objects in a row open their operation, and the target stays as it is', () => {
    let breakers: LaneBreakers = ALL_CLOSED;
    for (let n = 0; n < 5; n++) {
      const { breakers: next } = reactTo(claim(row({ key: `key-${n}` })), failed(DENIED), {
        breakers,
        concurrency: newConcurrency(),
        probed: [],
        cutsAtStart: 0,
        now: n,
        random: 0.5,
      });
      assert.equal(breakers.put.state, 'closed');
      breakers = next;
    }
    assert.deepEqual([breakers.target.state, breakers.put.state], ['closed', 'open']);
    assert.equal(breakers.delete, CLOSED);
  });

  it('a target that asks to be left alone is, at once', () => {
    const slowDown = answer(503, { code: 'SlowDown', retryAfterMs: 90_000 });
    const { breakers, concurrency } = react(failed(slowDown));
    assert.ok(breakers.target.state === 'open');
    assert.equal(breakers.target.until, 1_000 + 90_000);
    assert.ok(concurrency.allowed < newConcurrency().allowed);
  });

  it('a refusal that asks for a pause asks it for its object', () => {
    const { breakers, judgement } = react(failed({ ...DENIED, retryAfterMs: 90_000 }));
    assert.equal(breakers.target.state, 'closed');
    assert.equal(judgement?.afterMs, 90_000);
  });

  const longWaits: readonly (readonly [string, RequestFailure, boolean])[] = [
    ['a missing bucket', answer(404, { code: 'NoSuchBucket' }), true],
    ['a key that is not known', answer(403, { code: 'InvalidAccessKeyId' }), true],
    ['an address that it may not have', { stage: 'refused-address', ambiguous: false }, true],
    ['a reset', RESET, false],
    ['an internal error', answer(500), false],
    ['too many requests', answer(429), false],
    ['data that came too late', answer(408), false],
    ['success without proof', { stage: 'unproven', status: 202, ambiguous: true }, false],
  ];
  for (const [name, failure, isLong] of longWaits) {
    it(`probes for ${name} wait ${isLong ? 'up to an hour' : 'a minute at most'}`, () => {
      const probing: Breaker = { state: 'probing', since: 0, openings: 20 };
      const { breakers } = react(failed(failure), { target: probing }, { probed: ['target'] });
      assert.ok(breakers.target.state === 'open');
      assert.equal(breakers.target.until - 1_000, isLong ? 3_600_000 : 60_000);
    });
  }

  it('what cannot be sent says nothing of the target, and leaves its probe to another', () => {
    const unsendable: RequestFailure = { stage: 'unsendable', ambiguous: false };
    const failing = { target: { ...CLOSED, failures: 2 } };
    assert.deepEqual(react(failed(unsendable), failing).breakers, { ...ALL_CLOSED, ...failing });
    const { breakers } = react(
      failed(unsendable),
      { target: PROBING, put: PROBING },
      { probed: ['target', 'put'] },
    );
    assert.equal(breakers.target.state === 'open' && breakers.target.until, 1_000);
    assert.equal(breakers.put.state === 'open' && breakers.put.until, 1_000);
  });

  const probes: readonly (readonly [string, RequestFailure, Breaker['state'], number | null])[] = [
    ['a denial', DENIED, 'closed', 2],
    ['what no target takes', TOO_LARGE, 'closed', 1],
    ['a reset', RESET, 'open', 1],
  ];
  for (const [name, failure, target, openings] of probes) {
    it(`a probe of both that meets ${name}: the target is ${target}, puts are probed again`, () => {
      const { breakers } = react(
        failed(failure),
        { target: PROBING, put: PROBING },
        { probed: ['target', 'put'] },
      );
      assert.equal(breakers.target.state, target);
      assert.equal(breakers.put.state === 'open' && breakers.put.openings, openings);
    });
  }

  it('a request that was no probe leaves the probe to itself, whatever it meets', () => {
    assert.equal(react(failed(DENIED), { put: PROBING }).breakers.put, PROBING);
    assert.equal(react(failed(RESET), { target: PROBING }).breakers.target, PROBING);
  });

  it('the requests of one round lower the concurrency once', () => {
    const once = react(failed(RESET)).concurrency;
    const again = react(failed(RESET), {}, { concurrency: once, cutsAtStart: 0 }).concurrency;
    assert.equal(again.allowed, once.allowed);
  });

  it('a success takes back what the lane complained of; what was not asked does not', () => {
    assert.equal(react(DELIVERED).lastError, null);
    assert.equal('lastError' in react({ kind: 'nothing', upTo: 5 }), false);
    assert.match(react(failed(DENIED)).lastError?.reason ?? '', /denies access/);
  });
});
