/** What a lane may send, and what it claims or waits for next. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CLOSED, type Breaker } from '../../src/model/breaker.ts';
import {
  ALL_CLOSED,
  planClaim,
  probedBy,
  reportedBreakers,
  type LaneBreakers,
} from '../../src/model/lane-breakers.ts';
import { assertProperty } from '../support/seed.ts';

const NOW = 1_000;
const openUntil = (until: number): Breaker => ({ state: 'open', since: 0, until, openings: 1 });
const PROBING: Breaker = { state: 'probing', since: 0, openings: 1 };
const OPEN = openUntil(NOW + 500);
const DUE = openUntil(NOW);

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
      { limit: 10, operations: ['put', 'delete'] },
    ],
    [
      'puts, where deletes are refused',
      { delete: OPEN },
      { put: 0, delete: 0 },
      { limit: 10, operations: ['put'] },
    ],
    [
      'one delete, where its probe is due',
      { delete: DUE },
      { put: 0, delete: 0 },
      { limit: 1, operations: ['delete'] },
    ],
    [
      'one row, where the target’s probe is due',
      { target: DUE },
      { put: 0, delete: 0 },
      { limit: 1, operations: ['put', 'delete'] },
    ],
    [
      'puts, while a delete probes',
      { delete: PROBING },
      { put: 0, delete: 0 },
      { limit: 10, operations: ['put'] },
    ],
  ];
  for (const [name, breakers, due, expected] of cases) {
    it(name, () => {
      const claim = plan(breakers, due);
      assert.ok(claim.kind === 'claim', 'it claims');
      const { limit, operations } = claim.request;
      assert.deepEqual({ limit, operations }, expected);
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
    ['the sooner of two operations', { delete: OPEN }, { put: NOW + 900, delete: 0 }, 500],
    ['nothing, where nothing is queued', {}, {}, null],
    ['nothing, while a probe is under way', { target: PROBING }, { put: 0 }, null],
  ];
  for (const [name, breakers, due, forMs] of waits) {
    it(`waits for ${name}`, () => assert.deepEqual(plan(breakers, due), { kind: 'wait', forMs }));
  }

  it('never leaves what is queued without a claim, a timer or a probe, and claims nothing that is held', () => {
    const breaker = fc.oneof(fc.constantFrom(CLOSED, PROBING), fc.nat(2 * NOW).map(openUntil));
    const due = fc.option(fc.nat(2 * NOW), { nil: null });
    assertProperty(
      fc.property(
        fc.record({ target: breaker, put: breaker, delete: breaker }),
        fc.record({ put: due, delete: due }),
        (breakers, times) => {
          const next = planClaim({ breakers, due: times, limit: 5, now: NOW, monotonicMs: NOW });
          if (next.kind === 'claim') {
            for (const operation of next.request.operations) {
              assert.ok(probedBy(breakers, operation, NOW) !== null, `${operation} may be sent`);
            }
            assert.ok(
              next.request.operations.some((operation) => (times[operation] ?? Infinity) <= NOW),
              'one of them is due',
            );
            return;
          }
          for (const operation of ['put', 'delete'] as const) {
            const isProbing = [breakers.target, breakers[operation]].some(
              ({ state }) => state === 'probing',
            );
            if (times[operation] === null || isProbing) continue;
            assert.ok(next.forMs !== null, 'there is a timer');
            assert.ok(next.forMs > 0, 'what could be claimed is claimed');
          }
        },
      ),
    );
  });
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
