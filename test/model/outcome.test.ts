import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RequestFailure, Stage } from '../../src/model/delivery.ts';
import { judge } from '../../src/model/outcome.ts';

type Expected = 'target' | 'throttled' | 'object' | 'reject';
type Case = readonly [
  name: string,
  failure: Partial<RequestFailure>,
  expected: Expected,
  reason: RegExp,
];

const answer = (status: number, code?: string): Partial<RequestFailure> => ({
  stage: 'answer',
  status,
  ...(code === undefined ? {} : { code }),
});
const broken = (stage: Stage, code?: string): Partial<RequestFailure> => ({
  stage,
  ...(code === undefined ? {} : { code }),
});

const cases: readonly Case[] = [
  // Before a connection.
  ['a header that HTTP cannot carry', broken('unsendable'), 'reject', /cannot carry/],
  ['a name without address', broken('resolve', 'ENOTFOUND'), 'target', /does not resolve \(DNS\)/],
  [
    'an address that is refused',
    broken('refused-address'),
    'target',
    /address that this target may not use/,
  ],
  // Connecting.
  ['nobody listens', broken('connect', 'ECONNREFUSED'), 'target', /refuses connections/],
  [
    'no answer to a connection',
    broken('connect', 'ETIMEDOUT'),
    'target',
    /did not accept a connection in time/,
  ],
  ['no route to the network', broken('connect', 'ENETUNREACH'), 'target', /no route/],
  ['no route to the host', broken('connect', 'EHOSTUNREACH'), 'target', /no route/],
  [
    'a connection that is reset',
    broken('connect', 'ECONNRESET'),
    'target',
    /connection to the target failed \(ECONNRESET\)/,
  ],
  ['a connection without a code', broken('connect'), 'target', /failed \(UNKNOWN\)/],
  // TLS.
  [
    'a certificate for another host',
    broken('tls', 'ERR_TLS_CERT_ALTNAME_INVALID'),
    'target',
    /certificate .* another host name/,
  ],
  ['an expired certificate', broken('tls', 'CERT_HAS_EXPIRED'), 'target', /certificate .* expired/],
  [
    'a certificate of the future',
    broken('tls', 'CERT_NOT_YET_VALID'),
    'target',
    /certificate .* not valid yet/,
  ],
  ['a revoked certificate', broken('tls', 'CERT_REVOKED'), 'target', /certificate .* revoked/],
  [
    'a self-signed certificate',
    broken('tls', 'DEPTH_ZERO_SELF_SIGNED_CERT'),
    'target',
    /certificate .* authority/,
  ],
  [
    'a self-signed authority',
    broken('tls', 'SELF_SIGNED_CERT_IN_CHAIN'),
    'target',
    /certificate .* authority/,
  ],
  [
    'an incomplete chain',
    broken('tls', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
    'target',
    /certificate .* authority/,
  ],
  [
    'an unknown issuer',
    broken('tls', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
    'target',
    /certificate .* authority/,
  ],
  ['no TLS', broken('tls', 'ERR_SSL_WRONG_VERSION_NUMBER'), 'target', /does not speak TLS/],
  ['a broken handshake', broken('tls', 'EPROTO'), 'target', /handshake/],
  ['a handshake that stalls', broken('tls', 'ETIMEDOUT'), 'target', /handshake in time/],
  [
    'a handshake that is reset',
    broken('tls', 'ECONNRESET'),
    'target',
    /handshake .* \(ECONNRESET\)/,
  ],
  // Transfer.
  [
    'a connection that stands still',
    broken('transfer', 'ETIMEDOUT'),
    'target',
    /stood still \(timeout\)/,
  ],
  [
    'a connection that breaks',
    broken('transfer', 'UND_ERR_SOCKET'),
    'target',
    /broke \(UND_ERR_SOCKET\)/,
  ],
  [
    'an answer that is not HTTP',
    broken('transfer', 'HPE_INVALID_CONSTANT'),
    'target',
    /broke \(HPE_/,
  ],
  [
    'a transfer that was cancelled',
    broken('transfer', 'ABORT_ERR'),
    'target',
    /interrupted by this server/,
  ],
  [
    'a client that was destroyed',
    broken('transfer', 'UND_ERR_DESTROYED'),
    'target',
    /interrupted by this server/,
  ],
  ['another ETag', broken('integrity'), 'object', /contradicts/],
  // Signature and credentials.
  [
    'a wrong region',
    answer(400, 'AuthorizationHeaderMalformed'),
    'target',
    /region must be exactly its own/,
  ],
  ['a wrong secret', answer(403, 'SignatureDoesNotMatch'), 'target', /secret access key/],
  ['an unknown key', answer(403, 'InvalidAccessKeyId'), 'target', /access key id/],
  ['an invalid token', answer(400, 'InvalidToken'), 'target', /credentials/],
  ['an expired token', answer(400, 'ExpiredToken'), 'target', /expired/],
  ['an account without S3', answer(403, 'NotSignedUp'), 'target', /account/],
  ['a suspended account', answer(403, 'AccountProblem'), 'target', /account/],
  ['a denial', answer(403, 'AccessDenied'), 'target', /denies access/],
  ['a denial without a code', answer(403), 'target', /denies access/],
  ['a denial with an unknown code', answer(403, 'Strange'), 'target', /denies access/],
  ['no authentication', answer(401), 'target', /credentials/],
  ['a skewed clock', answer(403, 'RequestTimeTooSkewed'), 'target', /clocks/],
  ['a request that expired', answer(400, 'RequestExpired'), 'target', /clocks/],
  // Bucket and endpoint.
  ['a missing bucket', answer(404, 'NoSuchBucket'), 'target', /bucket does not exist/],
  [
    'a bucket name that is none',
    answer(400, 'InvalidBucketName'),
    'target',
    /name of the destination bucket/,
  ],
  ['a bucket elsewhere', answer(301, 'PermanentRedirect'), 'target', /another endpoint or region/],
  [
    'a bucket elsewhere for now',
    answer(307, 'TemporaryRedirect'),
    'target',
    /another endpoint or region/,
  ],
  ['a redirect without a code', answer(302), 'target', /another endpoint or region/],
  [
    'a bucket in another region',
    answer(400, 'IllegalLocationConstraintException'),
    'target',
    /another region/,
  ],
  ['a server of another kind', answer(405), 'target', /not an S3 service/],
  ['a page that is missing', answer(404), 'target', /answered 404/],
  ['a request that nobody explains', answer(400), 'target', /answered 400/],
  ['a proxy', answer(407), 'target', /proxy/],
  // Room and load.
  ['a quota', answer(403, 'QuotaExceeded'), 'target', /quota/],
  ['a full disk', answer(507, 'XMinioStorageFull'), 'target', /no space/],
  ['a full disk without a code', answer(507), 'target', /no space/],
  ['an internal error', answer(500, 'InternalError'), 'target', /internal error/],
  ['an internal error behind a success', answer(200, 'InternalError'), 'target', /internal error/],
  ['an error behind a success that nobody knows', answer(200, 'Strange'), 'target', /code Strange/],
  ['a bad gateway', answer(502), 'target', /answered 502/],
  ['a gateway that waited in vain', answer(504), 'target', /answered 504/],
  ['a status that nobody knows', answer(599), 'target', /answered 599/],
  ['overload', answer(503, 'SlowDown'), 'throttled', /fewer requests/],
  ['overload behind a success', answer(200, 'SlowDown'), 'throttled', /fewer requests/],
  ['unavailability', answer(503, 'ServiceUnavailable'), 'throttled', /not available/],
  ['unavailability without a code', answer(503), 'throttled', /not available/],
  ['too many requests', answer(429, 'TooManyRequests'), 'throttled', /fewer requests/],
  ['too many requests without a code', answer(429), 'throttled', /fewer requests/],
  ['a body that came too slowly', answer(400, 'RequestTimeout'), 'target', /waited too long/],
  ['a body that came in part', answer(400, 'IncompleteBody'), 'target', /less data/],
  // The object, perhaps only this time.
  ['a wrong digest', answer(400, 'BadDigest'), 'object', /other data/],
  ['a wrong hash', answer(400, 'XAmzContentSHA256Mismatch'), 'object', /other data/],
  ['a conflict', answer(409, 'OperationAborted'), 'object', /another change/],
  ['a conflict without a code', answer(409), 'object', /another change/],
  ['an upload that is gone', answer(404, 'NoSuchUpload'), 'object', /begins anew/],
  ['a part that is gone', answer(400, 'InvalidPart'), 'object', /begins anew/],
  ['a key that is gone', answer(404, 'NoSuchKey'), 'object', /does not find the object/],
  ['a condition', answer(412, 'PreconditionFailed'), 'object', /condition/],
  [
    'a refusal with a code that nobody knows',
    answer(400, 'Strange'),
    'object',
    /400 \(code Strange\)/,
  ],
  // The object, always.
  ['an object that is too large', answer(400, 'EntityTooLarge'), 'reject', /too large/],
  ['an object that is too large for a proxy', answer(413), 'reject', /too large/],
  ['parts that are too small', answer(400, 'EntityTooSmall'), 'reject', /larger parts/],
  ['a key that is too long', answer(400, 'KeyTooLongError'), 'reject', /key is too long/],
  ['a key that is too long for a proxy', answer(414), 'reject', /key is too long/],
  [
    'a key that it cannot have',
    answer(400, 'XMinioInvalidObjectName'),
    'reject',
    /does not accept the key/,
  ],
  ['metadata that is too large', answer(400, 'MetadataTooLarge'), 'reject', /metadata/],
  ['metadata that is too large for a proxy', answer(431), 'reject', /metadata/],
  ['tags that it does not accept', answer(400, 'InvalidTag'), 'reject', /tags/],
  ['something that it lacks', answer(501, 'NotImplemented'), 'reject', /does not implement/],
];

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
