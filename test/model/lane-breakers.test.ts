/** What a lane may send, and what it claims or waits for next. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CLOSED, nextBreaker, type Breaker } from '../../src/model/breaker.ts';
import {
  afterSilence,
  ALL_CLOSED,
  isAnyOpen,
  isPrompt,
  planClaim,
  probedBy,
  reportedBreakers,
  withEvent,
  type BreakerName,
  type LaneBreakers,
} from '../../src/model/lane-breakers.ts';
import { assertProperty } from '../support/seed.ts';

const NOW = 1_000;
const openUntil = (until: number): Breaker => ({ state: 'open', since: 0, until, openings: 1 });
const PROBING: Breaker = { state: 'probing', since: 0, openings: 1 };
const OPEN = openUntil(NOW + 500);
const DUE = openUntil(NOW);
const WARY = nextBreaker(DUE, { type: 'success' });

function plan(breakers: Partial<LaneBreakers>, due: { put?: number; delete?: number }, limit = 10) {
  return planClaim({
    breakers: { ...ALL_CLOSED, ...breakers },
    due: { put: due.put ?? null, delete: due.delete ?? null },
    limit,
    now: NOW,
    monotonicMs: NOW,
  });
}

describe('what a lane claims next', () => {
  const cases: readonly (readonly [
    string,
    Partial<LaneBreakers>,
    { put?: number; delete?: number },
    object,
  ])[] = [
    [
      'what is due, of both operations',
      {},
      { put: 0, delete: 0 },
      { limit: 10, operations: ['put', 'delete'], untriedFirst: false },
    ],
    [
      'puts, where deletes are refused',
      { delete: OPEN },
      { put: 0, delete: 0 },
      { limit: 10, operations: ['put'], untriedFirst: false },
    ],
    [
      'one delete, where its probe is due',
      { delete: DUE },
      { put: 0, delete: 0 },
      { limit: 1, operations: ['delete'], untriedFirst: true },
    ],
    [
      'one row, where the target’s probe is due',
      { target: DUE },
      { put: 0, delete: 0 },
      { limit: 1, operations: ['put', 'delete'], untriedFirst: false },
    ],
    [
      'puts, while a delete probes',
      { delete: PROBING },
      { put: 0, delete: 0 },
      { limit: 10, operations: ['put'], untriedFirst: false },
    ],
    [
      'only what is due',
      {},
      { put: NOW + 1, delete: 0 },
      { limit: 10, operations: ['delete'], untriedFirst: false },
    ],
    [
      'no probe of what is not due, but what may be sent',
      { put: DUE },
      { put: NOW + 1, delete: 0 },
      { limit: 10, operations: ['delete'], untriedFirst: false },
    ],
    [
      'one put, an untried one, where the probes of target and puts are due',
      { target: DUE, put: DUE, delete: OPEN },
      { put: 0, delete: 0 },
      { limit: 1, operations: ['put'], untriedFirst: true },
    ],
    [
      'deletes, where puts wait for a probe of their own',
      { target: DUE, put: OPEN },
      { put: 0, delete: 0 },
      { limit: 1, operations: ['delete'], untriedFirst: false },
    ],
    [
      'untried ones first for a while after puts were refused',
      { put: WARY },
      { put: 0, delete: 0 },
      { limit: 10, operations: ['put', 'delete'], untriedFirst: true },
    ],
    [
      'the longest due of others after puts were refused',
      { put: WARY },
      { delete: 0 },
      { limit: 10, operations: ['delete'], untriedFirst: false },
    ],
  ];
  for (const [name, breakers, due, expected] of cases) {
    it(name, () => {
      const claim = plan(breakers, due);
      assert.ok(claim.kind === 'claim', 'it claims');
      const { now, ...request } = claim.request;
      assert.equal(now, NOW);
      assert.deepEqual(request, expected);
    });
  }

  const waits: readonly (readonly [
    string,
    Partial<LaneBreakers>,
    { put?: number; delete?: number },
    number | null,
  ])[] = [
    ['the next row', {}, { put: NOW + 70_000 }, 70_000],
    ['the probe of what is due', { target: OPEN }, { put: 0 }, 500],
    ['the row where that is later', { target: OPEN }, { put: NOW + 900 }, 900],
    ['the later of two probes', { target: OPEN, put: openUntil(NOW + 700) }, { put: 0 }, 700],
    [
      'the other operation, while a delete probes',
      { delete: PROBING },
      { put: NOW + 5, delete: 0 },
      5,
    ],
    ['the sooner of two operations', { delete: OPEN }, { put: NOW + 900, delete: 0 }, 500],
    ['nothing, where nothing is queued', {}, {}, null],
    ['nothing, while a probe is under way', { target: PROBING }, { put: 0 }, null],
  ];
  for (const [name, breakers, due, forMs] of waits) {
    it(`waits for ${name}`, () => assert.deepEqual(plan(breakers, due), { kind: 'wait', forMs }));
  }

  it('claims nothing where there is no room, and looks again', () => {
    const full = plan({}, { put: 0 }, 0);
    assert.ok(full.kind === 'wait' && full.forMs !== null);
  });

  // By another clock than the rows' times, as in a lane: neither may be taken for the other.
  const MONOTONIC = 50_000;
  const breaker = fc.oneof(
    fc.constantFrom(CLOSED, PROBING, WARY),
    fc.integer({ min: -2 * NOW, max: 2 * NOW }).map((ms) => openUntil(MONOTONIC + ms)),
  );
  const due = fc.option(fc.nat(2 * NOW), { nil: null });
  const lanes = [
    fc.record({ target: breaker, put: breaker, delete: breaker }),
    fc.record({ put: due, delete: due }),
  ] as const;
  const OPERATIONS = ['put', 'delete'] as const;

  /** When a row of the operation may be sent, from now; null: it is queued by nobody, or a probe is under way. */
  function sendableIn(
    breakers: LaneBreakers,
    times: { put: number | null; delete: number | null },
    operation: 'put' | 'delete',
  ): number | null {
    const dueAt = times[operation];
    if (dueAt === null) return null;
    const waits = [dueAt - NOW];
    for (const { state, ...fields } of [breakers.target, breakers[operation]]) {
      if (state === 'probing') return null;
      if ('until' in fields) waits.push(fields.until - MONOTONIC);
    }
    return Math.max(...waits);
  }

  it('claims what may be sent now, or waits exactly until something may be, whatever its state', () => {
    assertProperty(
      fc.property(...lanes, fc.integer({ min: 1, max: 9 }), (breakers, times, limit) => {
        const next = planClaim({ breakers, due: times, limit, now: NOW, monotonicMs: MONOTONIC });
        const sendable = OPERATIONS.map((operation) => sendableIn(breakers, times, operation));
        const waits = sendable.filter((ms) => ms !== null);
        if (!waits.some((ms) => ms <= 0)) {
          const forMs = waits.length === 0 ? null : Math.min(...waits);
          assert.deepEqual(next, { kind: 'wait', forMs });
          return;
        }
        assert.ok(next.kind === 'claim', 'what may be sent is claimed');
        const { operations } = next.request;
        const isProbe = operations.some(
          (operation) => probedBy(breakers, operation, MONOTONIC)?.length !== 0,
        );
        assert.equal(next.request.limit, isProbe ? 1 : limit);
        for (const operation of operations) {
          assert.ok(sendable[OPERATIONS.indexOf(operation)]! <= 0, `${operation} may be sent`);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('claims all that may be sent, one after the other: neither operation holds up the other', () => {
    assertProperty(
      fc.property(...lanes, (drawn, times) => {
        const breakers = { ...drawn, target: CLOSED };
        // What is claimed is under way then: a probe probes, and its rows are no longer due.
        let now: LaneBreakers = breakers;
        const left = { ...times };
        const claimed: string[] = [];
        for (let step = 0; step < 3; step++) {
          const next = planClaim({
            breakers: now,
            due: left,
            limit: 5,
            now: NOW,
            monotonicMs: MONOTONIC,
          });
          if (next.kind === 'wait') break;
          for (const operation of next.request.operations) {
            const probed: readonly BreakerName[] = probedBy(now, operation, MONOTONIC) ?? [];
            now = withEvent(now, probed, { type: 'probe-begun' });
            left[operation] = null;
            claimed.push(operation);
          }
        }
        const expected = OPERATIONS.filter(
          (operation) => (sendableIn(breakers, times, operation) ?? Infinity) <= 0,
        );
        assert.deepEqual(claimed.toSorted(), expected.toSorted());
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('what a request of a lane probes', () => {
  const cases: readonly (readonly [
    string,
    Partial<LaneBreakers>,
    readonly BreakerName[] | null,
  ])[] = [
    ['nothing, where all are closed', {}, []],
    ['nothing, where only the other operation is refused', { delete: OPEN }, []],
    ['its operation', { put: DUE }, ['put']],
    ['the target', { target: DUE }, ['target']],
    ['both', { target: DUE, put: DUE }, ['target', 'put']],
    ['it may not be sent before its time', { put: OPEN }, null],
    ['it may not be sent before the time of both', { target: DUE, put: OPEN }, null],
    ['it may not be sent beside a probe', { put: PROBING }, null],
    ['it may not be sent beside a probe of the target', { target: PROBING, put: DUE }, null],
  ];
  for (const [name, breakers, expected] of cases) {
    it(name, () => {
      assert.deepEqual(probedBy({ ...ALL_CLOSED, ...breakers }, 'put', NOW), expected);
    });
  }

  it('is probed again after it fell silent: the target after a wait, what it takes at once', () => {
    const probing = { ...ALL_CLOSED, target: PROBING, put: PROBING };
    const time = { now: NOW, random: 0.5 };
    const { target, put } = afterSilence(probing, ['target', 'put'], time);
    assert.ok(target.state === 'open' && target.until > NOW);
    assert.equal(target.openings, 2);
    assert.deepEqual(put, openUntil(NOW));
    assert.equal(afterSilence(ALL_CLOSED, [], time), ALL_CLOSED);
  });
});

describe('the prospect of a row', () => {
  const cases: readonly (readonly [string, Partial<LaneBreakers>, boolean, boolean])[] = [
    ['all are closed', {}, true, true],
    ['the target fails', { target: OPEN }, false, false],
    ['puts are refused', { put: OPEN }, false, true],
    ['deletes are probed', { delete: PROBING }, true, false],
  ];
  for (const [name, fields, puts, deletes] of cases) {
    it(`where ${name}`, () => {
      const breakers = { ...ALL_CLOSED, ...fields };
      assert.equal(isPrompt(breakers, { operation: 'put' }), puts);
      assert.equal(isPrompt(breakers, { operation: 'resolve' }), puts);
      assert.equal(isPrompt(breakers, { operation: 'delete' }), deletes);
      assert.equal(isAnyOpen(breakers), !(puts && deletes));
    });
  }
});

describe('what is shown of breakers', () => {
  const shown = (breakers: Partial<LaneBreakers>) =>
    reportedBreakers({ ...ALL_CLOSED, ...breakers }, (at) => at + 1);

  it('is the target’s, or that of puts', () => {
    assert.deepEqual(shown({}), { breaker: 'closed', retryAt: null, refused: [] });
    assert.deepEqual(shown({ put: OPEN }), { breaker: 'open', retryAt: NOW + 501, refused: [] });
    assert.equal(shown({ target: PROBING, put: OPEN }).breaker, 'probing');
  });

  it('says beside it that deletes are refused', () => {
    assert.deepEqual(shown({ delete: OPEN }), {
      breaker: 'closed',
      retryAt: null,
      refused: ['deletes'],
    });
  });
});
