import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  CLOSED,
  FAILURES_IN_A_ROW,
  nextBreaker,
  REFUSED_KEYS_IN_A_ROW,
  type Breaker,
  type BreakerEvent,
  type FailureKind,
} from '../../src/model/breaker.ts';
import { assertProperty } from '../support/seed.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function fails(
  now = 0,
  fields: { kind?: FailureKind; probe?: boolean; retryAfterMs?: number } = {},
): BreakerEvent {
  const { kind = 'connection', probe = false, retryAfterMs = null } = fields;
  return { type: 'failure', kind, retryAfterMs, probe, now, random: 0.5 };
}

function refuses(key: string, now = 0, probe = false): BreakerEvent {
  return { type: 'refusal', key, probe, now, random: 0.5 };
}

const SUCCESS: BreakerEvent = { type: 'success' };
const PROBE: BreakerEvent = { type: 'probe-begun' };
const opening = Array.from({ length: FAILURES_IN_A_ROW }, () => fails());
const keys = Array.from({ length: REFUSED_KEYS_IN_A_ROW }, (_, n) => `key-${n}`);
const refusing = keys.map((key) => refuses(key));

function after(events: readonly BreakerEvent[], from: Breaker = CLOSED): Breaker {
  return events.reduce(nextBreaker, from);
}

describe('breaker', () => {
  const cases: readonly (readonly [string, readonly BreakerEvent[], Breaker['state']])[] = [
    ['stays closed at one failure', [fails()], 'closed'],
    ['stays closed at failures between successes', [fails(), fails(), SUCCESS, fails()], 'closed'],
    ['opens on failures in a row', opening, 'open'],
    ['opens at once where it is asked to wait', [fails(0, { retryAfterMs: 5_000 })], 'open'],
    ['closes on a success of a request that began before', [...opening, SUCCESS], 'closed'],
    ['half-opens for a probe', [...opening, PROBE], 'probing'],
    ['closes on the success of the probe', [...opening, PROBE, SUCCESS], 'closed'],
    ['opens on the failure of the probe', [...opening, PROBE, fails(1, { probe: true })], 'open'],
    ['keeps probing whatever older requests meet', [...opening, PROBE, fails(1)], 'probing'],
    [
      'opens again where the probe had nothing to say',
      [...opening, PROBE, { type: 'probe-unused', now: 1 }],
      'open',
    ],
    [
      'stays closed for one key that is refused for ever',
      Array.from({ length: 50 }, () => refuses('a')),
      'closed',
    ],
    ['stays closed for four keys', refusing.slice(1), 'closed'],
    ['opens on five keys in a row', refusing, 'open'],
    [
      'forgets refused keys after a success',
      [...refusing.slice(1), SUCCESS, ...refusing.slice(1)],
      'closed',
    ],
    ['stays open where a probe is wanted', [...opening, { type: 'probe-wanted', now: 0 }], 'open'],
  ];
  for (const [name, events, state] of cases) {
    it(name, () => assert.equal(after(events).state, state));
  }

  it('is proven by a success, until it opens', () => {
    const isProven = (breaker: Breaker): boolean => breaker.state === 'closed' && breaker.isProven;
    assert.equal(isProven(CLOSED), false);
    assert.equal(isProven(after([SUCCESS])), true);
    assert.equal(isProven(after([SUCCESS, refuses('a')])), true);
    assert.equal(isProven(after([SUCCESS, ...refusing])), false);
  });

  it('is wary for a while after it was open, and not otherwise', () => {
    const wariness = (breaker: Breaker): number =>
      breaker.state === 'closed' ? breaker.wariness : -1;
    assert.equal(wariness(after([SUCCESS, SUCCESS])), 0);
    const closed = after([...refusing, PROBE, SUCCESS]);
    assert.ok(wariness(closed) > 20, 'it is wary');
    assert.equal(
      wariness(
        after(
          Array.from({ length: 100 }, () => SUCCESS),
          closed,
        ),
      ),
      0,
    );
  });

  const untilOf = (breaker: Breaker): number => (breaker.state === 'open' ? breaker.until : NaN);

  for (const [kind, failures, waitMs] of [
    ['connection', 1, 1_000],
    ['connection', 3, 16_000],
    ['connection', 4, MINUTE_MS],
    ['connection', 9, MINUTE_MS],
    ['refusal', 4, 64_000],
    ['refusal', 9, HOUR_MS],
  ] as const) {
    it(`waits ${waitMs} ms after ${failures} openings on end (${kind})`, () => {
      let breaker = after(opening.map(() => fails(0, { kind })));
      for (let n = 1; n < failures; n++) {
        breaker = after([PROBE, fails(0, { kind, probe: true })], breaker);
      }
      assert.equal(untilOf(breaker), waitMs);
    });
  }

  it('honours Retry-After, up to an hour', () => {
    assert.equal(untilOf(after([fails(0, { retryAfterMs: 90_000 })])), 90_000);
    assert.equal(untilOf(after([fails(0, { retryAfterMs: 9e9 })])), HOUR_MS);
    assert.equal(untilOf(after([...opening, fails(0, { retryAfterMs: 90_000 })])), 90_000);
  });

  it('probes a refused operation every two seconds for a minute, and ever more rarely after it', () => {
    let now = 0;
    let breaker = after(refusing);
    const times: number[] = [];
    while (now < 2 * HOUR_MS) {
      now = untilOf(breaker);
      times.push(now);
      breaker = after([PROBE, refuses(`probe-${now}`, now, true)], breaker);
    }
    const waits = times.map((at, n) => at - (times[n - 1] ?? 0));
    const inFirst = times.filter((at) => at <= MINUTE_MS).length;
    assert.ok(inFirst >= 12 && inFirst <= 31, `${inFirst} in the first minute`);
    const late = waits.filter((_, n) => times[n]! - waits[n]! >= 10 * MINUTE_MS);
    assert.ok(
      late.every((wait) => wait >= MINUTE_MS),
      `${late.join()} ms`,
    );
    assert.ok(Math.max(...waits) <= HOUR_MS, 'an hour at most');
  });

  it('makes a probe due where one is wanted, and waits no less after it', () => {
    const twice = after([...opening, PROBE, fails(0, { probe: true })]);
    const wanted = after([{ type: 'probe-wanted', now: 10 }], twice);
    assert.equal(untilOf(wanted), 10);
    const third = after([PROBE, fails(10, { probe: true })], wanted);
    assert.equal(untilOf(third), 10 + 16_000);
  });

  for (const [what, failed] of [
    ['the target fails', fails(900, { probe: true, kind: 'refusal' })],
    ['an operation is refused', refuses('a', 900, true)],
  ] as const) {
    it(`probes again where that was wanted while a probe was under way, and ${what}`, () => {
      // It may have been on its way before somebody mended what it met.
      const wanted = [500, 800].map((now): BreakerEvent => ({ type: 'probe-wanted', now }));
      const probing = after([PROBE], after(opening));
      const open = after([...wanted, failed], probing);
      assert.equal(untilOf(open), 500);
      const again = after([PROBE, refuses('b', 1_000, true)], open);
      assert.equal(untilOf(again), 1_000 + 2_000, 'once');
      const soon = after([{ type: 'probe-wanted', now: 1_500 }, failed], probing);
      assert.equal(untilOf(soon), 1_500, 'no sooner than it was wanted');
      assert.equal(after([...wanted, SUCCESS], probing).state, 'closed');
    });
  }

  it('waits no longer for failures of requests that began before it opened', () => {
    const open = after(opening);
    assert.deepEqual(after([fails(900), refuses('a', 900)], open), open);
    const probing = after([PROBE], open);
    assert.deepEqual(after([fails(2_000), refuses('a', 2_000)], probing), probing);
  });

  it('is open for no longer where a probe is wanted that is due already', () => {
    const open = after(opening);
    assert.deepEqual(after([{ type: 'probe-wanted', now: 5_000 }], open), open);
    assert.deepEqual(after([{ type: 'probe-wanted', now: 5_000 }]), CLOSED);
  });

  it('sends little to a target that denies everything, although somebody asks all the time', () => {
    // A mark a second (model/ports.ts, retryRow) makes a probe due: one request each, never more.
    let breaker = after(refusing);
    let sent = 0;
    for (let now = 0; now < MINUTE_MS; now += 1_000) {
      breaker = after([{ type: 'probe-wanted', now }], breaker);
      assert.equal(breaker.state, 'open');
      breaker = after([PROBE, refuses(`probe-${now}`, now, true)], breaker);
      sent += 1;
    }
    assert.equal(sent, 60);
    assert.ok(breaker.state === 'open' && breaker.since === 0, 'it knows since when');
  });

  it('counts a key of a refused object once between successes', () => {
    const twice = keys.slice(1).flatMap((key) => [refuses(key), refuses(key)]);
    assert.equal(after(twice).state, 'closed');
    assert.equal(after([...twice, refuses(keys[0]!)]).state, 'open');
  });

  it('is never open for more than an hour from the last event, and success always closes it', () => {
    const event = fc.oneof(
      fc.constantFrom(SUCCESS, PROBE),
      fc
        .record({ at: fc.nat(HOUR_MS), probe: fc.boolean(), asked: fc.nat(9e9) })
        .map((drawn) => fails(drawn.at, { probe: drawn.probe, retryAfterMs: drawn.asked })),
      fc
        .record({ key: fc.string(), at: fc.nat(HOUR_MS), probe: fc.boolean() })
        .map((drawn) => refuses(drawn.key, drawn.at, drawn.probe)),
    );
    assertProperty(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const breaker = after(events);
        if (breaker.state === 'open') assert.ok(breaker.until <= 3 * HOUR_MS, 'it ends');
        assert.equal(nextBreaker(breaker, SUCCESS).state, 'closed');
      }),
    );
  });
});
