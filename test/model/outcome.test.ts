import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { RequestFailure } from '../../src/model/delivery.ts';
import { judge } from '../../src/model/outcome.ts';
import { answer, cases } from './outcome-table.ts';
import { answerRules, isDenied, mayRefuseTags } from '../../src/model/outcome-rules.ts';

describe('a failed request', () => {
  for (const [name, failure, expected, reason] of cases) {
    it(`through ${name} is ${expected === 'reject' ? 'rejected' : `tried again (${expected})`}`, () => {
      const outcome = judge({ stage: 'answer', ambiguous: false, ...failure });
      assert.equal(outcome.kind, expected === 'reject' ? 'reject' : 'retry');
      const isObject = expected === 'object' || expected === 'reject';
      assert.equal(outcome.origin, isObject ? 'object' : 'target');
      assert.equal(
        outcome.kind === 'retry' && outcome.throttled === true,
        expected === 'throttled',
      );
      assert.equal(outcome.kind === 'retry' && outcome.refused === true, expected === 'refused');
      assert.match(outcome.reason, reason);
      assert.match(outcome.reason, /^[A-Z].*\.$/);
    });
  }

  it('is in the table at least sixty times', () => assert.ok(cases.length >= 60));

  it('is the object’s for no stage before the transfer but unsendable', () => {
    for (const stage of ['resolve', 'refused-address', 'connect', 'tls', 'transfer'] as const) {
      for (const code of ['ECONNRESET', 'EntityTooLarge', 'BadDigest', 'NotImplemented']) {
        assert.equal(judge({ stage, code, ambiguous: true }).origin, 'target');
      }
    }
  });

  it('does not depend on whether it was applied', () => {
    for (const [, failure] of cases) {
      const base = { stage: 'answer', ...failure } as const;
      assert.deepEqual(judge({ ...base, ambiguous: true }), judge({ ...base, ambiguous: false }));
    }
  });

  it('names the region that the target expects', () => {
    const message = 'The target expects the region eu-west-1.';
    const failure = { stage: 'answer', status: 400, ambiguous: false, message } as const;
    assert.equal(judge({ ...failure, code: 'AuthorizationHeaderMalformed' }).reason, message);
    assert.ok(judge(failure).reason.includes(message));
  });

  it('is told in the target’s words only where there are none of ours', () => {
    const failure = {
      stage: 'answer',
      requestId: 'REQ1',
      message: 'Their words.',
      ambiguous: false,
    } as const;
    assert.equal(
      judge({ ...failure, status: 418, code: 'Teapot' }).reason,
      'The target answered 418 (code Teapot, request REQ1): Their words.',
    );
    assert.ok(!judge({ ...failure, status: 403, code: 'AccessDenied' }).reason.includes('Their'));
  });

  const waits: [name: string, retryAfterMs: number | undefined, afterMs: number | undefined][] = [
    ['as long as asked', 5_000, 5_000],
    ['at most an hour', 86_400_000, 3_600_000],
    ['no negative time', -1, 0],
    ['as the engine likes where nothing is asked', undefined, undefined],
  ];
  for (const [name, retryAfterMs, afterMs] of waits) {
    it(`waits ${name}`, () => {
      const asked = retryAfterMs === undefined ? {} : { retryAfterMs };
      const outcome = judge({ stage: 'answer', status: 503, ambiguous: false, ...asked });
      assert.equal(outcome.kind === 'retry' ? outcome.afterMs : 'rejected', afterMs);
    });
  }
});

describe('a denial of what only helps', () => {
  const denials: [failure: Partial<RequestFailure>, denied: boolean][] = [
    [answer(403), true],
    [answer(403, 'AccessDenied'), true],
    [answer(405), true],
    [answer(501, 'NotImplemented'), true],
    [answer(400), false],
    [answer(404), false],
    [answer(500), false],
    [{ stage: 'unproven', status: 200 }, false],
    [{ stage: 'transfer', code: 'ETIMEDOUT' }, false],
  ];
  for (const [failure, denied] of denials) {
    it(`is ${denied ? '' : 'not '}${JSON.stringify(failure)}`, () => {
      assert.equal(isDenied({ stage: 'answer', ambiguous: false, ...failure }), denied);
    });
  }
});

describe('a refusal of tags', () => {
  const about: [failure: Partial<RequestFailure>, tags: boolean][] = [
    [answer(400, 'InvalidArgument'), true],
    [answer(400), true],
    [answer(400, 'InvalidTag'), true],
    [answer(400, 'Strange'), true],
    [answer(403, 'AccessDenied'), true],
    [answer(403), true],
    [answer(501, 'NotImplemented'), true],
    [answer(501), true],
    ...[
      ...['SignatureDoesNotMatch', 'AuthorizationHeaderMalformed', 'InvalidAccessKeyId'],
      ...['RequestTimeTooSkewed', 'RequestExpired', 'ExpiredToken', 'InvalidToken'],
      ...['InvalidSecurity', 'QuotaExceeded', 'RequestLimitExceeded', 'SecondLevelDomainForbidden'],
    ].map((code): [Partial<RequestFailure>, boolean] => [answer(403, code), false]),
    [answer(400, 'RequestTimeout'), false],
    [answer(404, 'NoSuchBucket'), false],
    [answer(413), false],
    [answer(500), false],
    [answer(200, 'AccessDenied'), false],
    [{ stage: 'unproven', status: 400 }, false],
  ];
  for (const [failure, tags] of about) {
    it(`is ${tags ? '' : 'not '}${JSON.stringify(failure)}`, () => {
      assert.equal(mayRefuseTags({ stage: 'answer', ambiguous: false, ...failure }), tags);
    });
  }
});

describe('the table of answers', () => {
  it('names each code once', async () => {
    const source = await readFile(
      new URL('../../src/model/outcome-rules.ts', import.meta.url),
      'utf8',
    );
    const tables = source.slice(
      source.indexOf('CREDENTIAL_RULES:'),
      source.indexOf('answerRules:'),
    );
    const codes = [...tables.matchAll(/'([A-Z][A-Za-z0-9]+)'/g)].map(([, code]) => code!);
    assert.ok(codes.length > 100);
    assert.deepEqual(
      codes.filter((code, index) => codes.indexOf(code) !== index),
      [],
    );
    for (const code of codes) assert.ok(answerRules.has(code), code);
  });
});
