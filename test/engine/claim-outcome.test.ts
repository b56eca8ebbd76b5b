import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { outcomeOf, type OutcomeContext } from '../../src/engine/claim-outcome.ts';
import type { Delivery } from '../../src/engine/deliver.ts';
import { reactTo } from '../../src/engine/lane-reaction.ts';
import { LINGER_MS, type RequestFailure } from '../../src/model/delivery.ts';
import { newConcurrency } from '../../src/model/concurrency.ts';
import { CLOSED, nextBreaker } from '../../src/model/breaker.ts';
import { ALL_CLOSED, type LaneBreakers } from '../../src/model/lane-breakers.ts';
import type { Row } from '../../src/model/row.ts';
import { DENIED, REFUSED_OBJECT, RESET } from './fake-target.ts';
import { claim, row } from './fixtures.ts';

const NOW = 1_000_000;
const CONTEXT: OutcomeContext = {
  now: NOW,
  random: 0.5,
  pacedByBreaker: false,
  interrupted: false,
  begunAt: NOW - 10,
};

function delivered(wasThere = false): Delivery {
  return { kind: 'delivered', upTo: 5, wasThere, bytes: 1, tagsRefused: false, uploadId: null };
}

function failed(failure: RequestFailure): Delivery {
  return { kind: 'failed', failure, upload: null };
}

function withBreakers(breakers: Partial<LaneBreakers>) {
  return (of: Row, delivery: Delivery, context: Partial<OutcomeContext> = {}) => {
    const { judgement } = reactTo(claim(of), delivery, {
      breakers: { ...ALL_CLOSED, ...breakers },
      concurrency: newConcurrency(),
      probed: [],
      cutsAtStart: 0,
      now: 0,
      random: 0.5,
    });
    return outcomeOf(claim(of), delivery, judgement, { ...CONTEXT, ...context });
  };
}

const outcome = withBreakers({});

describe('outcome of a claim: completion', () => {
  it('says since when the target was asked: older doubts are over by what was delivered', () => {
    const complete = { kind: 'complete', upTo: 5, begunAt: NOW - 10, uploadId: null } as const;
    assert.deepEqual(outcome(row(), delivered()), complete);
    assert.deepEqual(outcome(row({ doubtUntil: NOW }), { kind: 'nothing', upTo: 5 }), complete);
  });
});

describe('outcome of a claim: failure', () => {
  function retryOf(of: Row, delivery: Delivery, context: Partial<OutcomeContext> = {}) {
    const result = outcome(of, delivery, context);
    assert.ok(result.kind === 'retry', `${result.kind} in place of a retry`);
    return result;
  }

  it('compares before it sends again what may have arrived', () => {
    assert.equal(retryOf(row(), failed(RESET)).doubtUntil, NOW + LINGER_MS);
    assert.equal(retryOf(row(), failed(DENIED)).doubtUntil, null);
    assert.equal(retryOf(row({ doubtUntil: 7 }), failed(DENIED)).doubtUntil, 7);
    const later = NOW + 10 * LINGER_MS;
    assert.equal(retryOf(row({ doubtUntil: later }), failed(RESET)).doubtUntil, later);
  });

  it('keeps the place of the row in its chain', () => {
    assert.equal(retryOf(row(), failed(RESET)).asResolve, false);
  });

  it('delivers what is current where the version is gone, at once', () => {
    const retry = retryOf(row({ doubtUntil: 7 }), { kind: 'gone', upload: null });
    assert.deepEqual([retry.asResolve, retry.nextAttemptAt], [true, NOW]);
    assert.equal(retry.doubtUntil, 7);
  });

  it('remembers the upload of a version that is gone until it is aborted', () => {
    const upload = { uploadId: 'begun', versionId: 'v5', order: 5, partBytes: 1 };
    assert.deepEqual(retryOf(row(), { kind: 'gone', upload }).upload, upload);
  });

  it('fails a row only for what the object is, after 8 tries', () => {
    const eighth = row({ attempts: 7 });
    assert.equal(outcome(row({ attempts: 6 }), failed(REFUSED_OBJECT)).kind, 'retry');
    assert.equal(outcome(eighth, failed(REFUSED_OBJECT)).kind, 'fail');
    assert.equal(outcome(eighth, failed(DENIED)).kind, 'retry');
    assert.equal(outcome(row({ attempts: 500 }), failed(RESET)).kind, 'retry');
    assert.equal(outcome(eighth, { kind: 'source-failed', upload: null }).kind, 'retry');
  });

  it('remembers of a failed row whether its last try may have arrived', () => {
    const unclear: RequestFailure = { ...REFUSED_OBJECT, ambiguous: true };
    for (const failure of [REFUSED_OBJECT, unclear]) {
      const ended = outcome(row({ attempts: 7 }), failed(failure));
      assert(ended.kind === 'fail');
      assert.equal(ended.doubtUntil, failure.ambiguous ? NOW + LINGER_MS : null);
    }
  });

  const waits: readonly (readonly [string, Row, RequestFailure, boolean, number])[] = [
    ['an object, first', row(), REFUSED_OBJECT, false, 1_000],
    ['an object, fifth', row({ attempts: 4 }), REFUSED_OBJECT, false, 256_000],
    ['a target that others reach, first', row(), RESET, false, 1_000],
    ['a target that others reach, later', row({ attempts: 9 }), RESET, false, 60_000],
    ['a target that is down: its breaker waits', row({ attempts: 9 }), RESET, true, 1_000],
    ['what is refused, as an object', row({ attempts: 4 }), DENIED, true, 256_000],
    ['what is refused, an hour at most', row({ attempts: 40 }), DENIED, false, 3_600_000],
    ['what is refused, as asked', row(), { ...DENIED, retryAfterMs: 50_000 }, true, 50_000],
    ['an object, as asked', row(), { ...REFUSED_OBJECT, retryAfterMs: 50_000 }, false, 50_000],
  ];
  for (const [name, of, failure, pacedByBreaker, waitMs] of waits) {
    it(`waits ${waitMs} ms for ${name}`, () => {
      const retry = retryOf(of, failed(failure), { pacedByBreaker });
      assert.equal(retry.nextAttemptAt, NOW + waitMs);
    });
  }

  it('says of an event that the target refuses that a newer one overtakes it', () => {
    assert.equal(retryOf(row(), failed(DENIED)).refused, true);
    assert.equal(retryOf(row(), failed(RESET)).refused, false);
    assert.equal(retryOf(row(), failed({ ...DENIED, status: 413 })).refused, true);
  });

  it('says so too of one that fails for good', () => {
    const tooLarge: RequestFailure = { ...DENIED, code: 'EntityTooLarge', status: 400 };
    const eighth = row({ attempts: 7 });
    for (const [failure, refused] of [
      [tooLarge, true],
      [REFUSED_OBJECT, false],
    ] as const) {
      const ended = outcome(eighth, failed(failure));
      assert.equal(ended.kind === 'fail' && ended.refused, refused);
    }
    assert.equal(outcome(eighth, failed(DENIED)).kind, 'retry', 'perhaps all are denied');
    const proven = withBreakers({ put: nextBreaker(CLOSED, { type: 'success' }) });
    assert.equal(proven(eighth, failed(DENIED)).kind, 'fail');
  });

  it('resumes the upload that the try left, and names the one that made the object', () => {
    const upload = { uploadId: 'begun', versionId: 'v5', order: 5, partBytes: 1 };
    assert.deepEqual(retryOf(row(), { kind: 'failed', failure: RESET, upload }).upload, upload);
    assert.deepEqual(retryOf(row(), { kind: 'source-failed', upload }).upload, upload);
    assert.equal(retryOf(row({ upload }), failed(RESET)).upload, null);
    const made = { kind: 'delivered', upTo: 5, wasThere: false, bytes: 1 } as const;
    const ended = outcome(row(), { ...made, tagsRefused: false, uploadId: 'begun' });
    assert.equal(ended.kind === 'complete' && ended.uploadId, 'begun');
  });

  it('is in doubt for twice the silence that was granted', () => {
    const silent = failed({ ...RESET, code: 'ETIMEDOUT', silenceMs: 300_000 });
    assert.equal(retryOf(row(), silent).doubtUntil, NOW + 600_000);
  });

  it('gives back what failed where nobody judged it', () => {
    const released = outcomeOf(claim(row()), failed(RESET), null, CONTEXT);
    assert.deepEqual(released, { kind: 'release', doubtUntil: NOW + LINGER_MS });
  });

  it('says what failed, for users', () => {
    const { lastError } = retryOf(row(), failed({ ...DENIED, requestId: 'r1' }));
    assert.match(lastError.reason, /denies access/);
    assert.deepEqual(
      [lastError.status, lastError.code, lastError.requestId],
      [403, 'AccessDenied', 'r1'],
    );
  });

  it('gives the claim back when the lane stops, in doubt where it may have arrived', () => {
    const interrupted = { interrupted: true };
    const release = (isInDoubt: boolean) => ({
      kind: 'release',
      doubtUntil: isInDoubt ? NOW + LINGER_MS : null,
    });
    assert.deepEqual(outcome(row(), failed(RESET), interrupted), release(true));
    assert.deepEqual(outcome(row(), failed(DENIED), interrupted), release(false));
    assert.deepEqual(
      outcome(row(), { kind: 'source-failed', upload: null }, interrupted),
      release(false),
    );
    assert.equal(outcome(row(), delivered(), interrupted).kind, 'complete');
  });

  it('gives back what no rule wants any longer', () => {
    assert.equal(outcome(row(), { kind: 'unwanted' }).kind, 'release');
  });
});
