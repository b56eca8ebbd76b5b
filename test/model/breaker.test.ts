import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  CLOSED,
  nextBreaker,
  type Breaker,
  type BreakerEvent,
  type FailureKind,
} from '../../src/model/breaker.ts';
import { assertProperty } from '../support/seed.ts';

const HOUR_MS = 3_600_000;

function targetFails(
  now: number,
  fields: { kind?: FailureKind; probe?: boolean; retryAfterMs?: number } = {},
): BreakerEvent {
  const { kind = 'connection', probe = false, retryAfterMs = null } = fields;
  return { type: 'target-failure', kind, retryAfterMs, probe, now, random: 0.5 };
}

function objectFails(key: string, alike: string, probe = false, now = 0): BreakerEvent {
  return { type: 'object-failure', key, alike, probe, now, random: 0.5 };
}

function after(events: readonly BreakerEvent[], from: Breaker = CLOSED): Breaker {
  return events.reduce(nextBreaker, from);
}

/** `count` openings on end, each after a failed probe. */
function openedBy(count: number, kind: FailureKind): Breaker {
  let breaker = after([targetFails(0, { kind })]);
  for (let opening = 1; opening < count; opening++) {
    breaker = after([{ type: 'probe-begun' }, targetFails(0, { kind, probe: true })], breaker);
  }
  return breaker;
}

describe('breaker', () => {
  const cases: readonly (readonly [string, readonly BreakerEvent[], Breaker['state']])[] = [
    ['opens on one failure of the target', [targetFails(0)], 'open'],
    [
      'closes on a success of a request that began before',
      [targetFails(0), { type: 'success' }],
      'closed',
    ],
    ['closes on a reset', [targetFails(0), { type: 'reset' }], 'closed'],
    ['half-opens for a probe', [targetFails(0), { type: 'probe-begun' }], 'probing'],
    [
      'closes on the success of the probe',
      [targetFails(0), { type: 'probe-begun' }, { type: 'success' }],
      'closed',
    ],
    [
      'opens on the failure of the probe',
      [targetFails(0), { type: 'probe-begun' }, targetFails(1, { probe: true })],
      'open',
    ],
    [
      'keeps probing whatever older requests meet',
      [targetFails(0), { type: 'probe-begun' }, targetFails(1), objectFails('a', 'x')],
      'probing',
    ],
    [
      'opens again where the probe had nothing to say',
      [targetFails(0), { type: 'probe-begun' }, { type: 'probe-unused', now: 9 }],
      'open',
    ],
    ['begins no probe while closed', [{ type: 'probe-begun' }], 'closed'],
    ['stays closed for one object', [objectFails('a', 'x'), objectFails('a', 'x')], 'closed'],
    ['stays closed for failures unlike', [objectFails('a', 'x'), objectFails('b', 'y')], 'closed'],
    ['opens on two keys alike', [objectFails('a', 'x'), objectFails('b', 'x')], 'open'],
    [
      'forgets the first of them after a success',
      [objectFails('a', 'x'), { type: 'success' }, objectFails('b', 'x')],
      'closed',
    ],
    [
      'closes where the target answers a probe with a refusal of the object',
      [targetFails(0), { type: 'probe-begun' }, objectFails('a', 'x', true)],
      'closed',
    ],
    [
      'opens again where the probe fails like those that opened it',
      [
        objectFails('a', 'x'),
        objectFails('b', 'x'),
        { type: 'probe-begun' },
        objectFails('c', 'x', true),
      ],
      'open',
    ],
  ];
  for (const [name, events, state] of cases) {
    it(name, () => assert.equal(after(events).state, state));
  }

  const waits: readonly (readonly [FailureKind, openings: number, untilMs: number])[] = [
    ['connection', 1, 1_000],
    ['connection', 2, 4_000],
    ['connection', 3, 16_000],
    ['connection', 4, 60_000],
    ['connection', 9, 60_000],
    ['refusal', 1, 1_000],
    ['refusal', 4, 64_000],
    ['refusal', 9, HOUR_MS],
  ];
  for (const [kind, openings, untilMs] of waits) {
    it(`waits ${untilMs} ms after ${openings} failures on end (${kind})`, () => {
      const breaker = openedBy(openings, kind);
      assert.ok(breaker.state === 'open');
      assert.equal(breaker.until, untilMs);
    });
  }

  it('is lengthened by no failure of requests that began before it opened', () => {
    const once = after([targetFails(0)]);
    assert.deepEqual(after([targetFails(10), targetFails(20)], once), once);
  });

  it('honours Retry-After, up to an hour', () => {
    const asked = after([targetFails(5, { retryAfterMs: 90_000 })]);
    assert.ok(asked.state === 'open' && asked.until === 90_005);
    const askedAgain = after([targetFails(6, { retryAfterMs: 100_000 })], asked);
    assert.ok(askedAgain.state === 'open' && askedAgain.until === 100_006);
    const long = after([targetFails(0, { retryAfterMs: 30 * HOUR_MS })]);
    assert.ok(long.state === 'open' && long.until === HOUR_MS);
  });

  it('starts over after a success', () => {
    const breaker = after([{ type: 'success' }, targetFails(0)], openedBy(9, 'refusal'));
    assert.ok(breaker.state === 'open' && breaker.until === 1_000);
  });

  it('is never open for more than an hour from the last event, and success always closes it', () => {
    const event = fc.oneof(
      fc.record({
        type: fc.constant('target-failure' as const),
        kind: fc.constantFrom('connection' as const, 'refusal' as const),
        retryAfterMs: fc.option(fc.nat(10 * HOUR_MS)),
        probe: fc.boolean(),
        now: fc.constant(0),
        random: fc.constant(0.5),
      }),
      fc.constantFrom<BreakerEvent>(
        { type: 'probe-begun' },
        { type: 'probe-unused', now: 0 },
        objectFails('a', 'x'),
        objectFails('b', 'x', true),
      ),
    );
    assertProperty(
      fc.property(fc.array(event), (events) => {
        const breaker = after(events);
        assert.ok(breaker.state !== 'open' || breaker.until <= HOUR_MS);
        assert.equal(nextBreaker(breaker, { type: 'success' }), CLOSED);
      }),
    );
  });
});
