import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { RequestFailure, Stage } from '../../src/model/delivery.ts';
import { judge } from '../../src/model/outcome.ts';
import { answerRules, isDenied, mayRefuseTags } from '../../src/model/outcome-rules.ts';

type Expected = 'target' | 'throttled' | 'refused' | 'object' | 'reject';
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
  ['a wrong secret', answer(403, 'SignatureDoesNotMatch'), 'refused', /secret access key/],
  ['an unknown key', answer(403, 'InvalidAccessKeyId'), 'target', /access key id/],
  ['an invalid token', answer(400, 'InvalidToken'), 'target', /credentials/],
  ['an expired token', answer(400, 'ExpiredToken'), 'target', /expired/],
  ['an account without S3', answer(403, 'NotSignedUp'), 'target', /account/],
  ['a suspended account', answer(403, 'AccountProblem'), 'target', /account/],
  ['a denial', answer(403, 'AccessDenied'), 'refused', /denies access/],
  ['a denial without a code', answer(403), 'refused', /denies access/],
  ['a denial with an unknown code', answer(403, 'Strange'), 'refused', /denies access/],
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
  ['a server of another kind', answer(405), 'refused', /not an S3 service/],
  ['a page that is missing', answer(404), 'target', /answered 404/],
  ['a request that nobody explains', answer(400), 'refused', /answered 400/],
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
    'refused',
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
  // Refusals that may be the object's or everybody's, and what services call them.
  ['access that is disabled', answer(403, 'AllAccessDisabled'), 'refused', /denies access/],
  ['a denial in other words', answer(403, 'Forbidden'), 'refused', /denies access/],
  ['a method that is not allowed', answer(405, 'MethodNotAllowed'), 'refused', /kind of request/],
  ['a header that B2 does not know', answer(400, 'InvalidArgument'), 'refused', /InvalidArgument/],
  ['something that is not found', answer(404, 'NoSuchThing'), 'refused', /NoSuchThing/],
  ['a denied replica', answer(403, 'DstPutObjectNotPermitted'), 'refused', /denies access/],
  ['a denied deletion', answer(403, 'DstDeleteObjectNotPermitted'), 'refused', /denies access/],
  // The destination bucket, in AWS's and MinIO's words.
  ['a missing destination', answer(404, 'DstBucketNotFound'), 'target', /bucket does not exist/],
  ['an unversioned destination', answer(400, 'DstBucketUnversioned'), 'target', /versioning/],
  [
    'an unversioned destination of MinIO',
    answer(400, 'XMinioRemoteTargetNotVersionedError'),
    'target',
    /versioning/,
  ],
  [
    'a destination without locks',
    answer(400, 'DstBucketObjectLockConfigMissing'),
    'target',
    /Object Lock/,
  ],
  ['a destination elsewhere', answer(400, 'DstBucketInvalidRegion'), 'target', /another region/],
  ['a key of encryption', answer(400, 'DstKmsKeyInvalidState'), 'target', /encryption key/],
  // s5cmd#518, gobackup#233: services that want the bucket in the host name.
  ['path style at OSS', answer(403, 'SecondLevelDomainForbidden'), 'target', /path style/],
  ['path style at COS', answer(403, 'PathStyleDomainForbidden'), 'target', /path style/],
  // Accounts, load and room elsewhere.
  ['a suspended user of Ceph', answer(403, 'UserSuspended'), 'target', /account/],
  ['an account in arrears', answer(403, 'UserDisable'), 'target', /account/],
  ['a project without billing', answer(400, 'UserProjectMissing'), 'target', /account/],
  ['a server that starts', answer(503, 'XMinioServerNotInitialized'), 'target', /started/],
  ['a service that counts requests', answer(503, 'QpsLimitExceeded'), 'throttled', /fewer/],
  ['a file that cannot change', answer(409, 'FileImmutable'), 'object', /protects/],
  ['an object deleted for good', answer(404, 'DstObjectHardDeleted'), 'object', /not find/],
  ['a folder of the name', answer(400, 'XMinioObjectExistsAsDirectory'), 'reject', /folder/],
  // A success that proves nothing.
  [
    'a page in place of an answer',
    { stage: 'unproven', status: 200 },
    'target',
    /success \(200\) but without proof .* a proxy before it answers/,
  ],
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
