/**
 * What a target's error answer means: the table behind model/outcome.ts.
 *
 * Sources: "Error responses" of the S3 API, and the codes that MinIO, Ceph and Swift add.
 */

/** `throttled` is the target's too; `reject` is the object's, and final. */
export type Verdict = 'target' | 'throttled' | 'object' | 'reject';

export type AnswerRule = readonly [verdict: Verdict, sentence: string];

export const WRONG_REGION =
  'The target does not accept the region or the form of the signature: the region must be exactly its own.';
export const ELSEWHERE =
  'The target says that the destination bucket is at another endpoint or region.';
const DENIED = 'The target denies access: the access key may not write to the destination bucket.';
const INCOMPATIBLE =
  'The target does not allow this kind of request: the endpoint is probably not an S3 service.';

/** Sentences, and the S3 error codes (texts) and statuses (numbers) that they are for. */
// One rule on a line or two, so that the table can be read as one.
// prettier-ignore
const RULES: readonly (readonly [...AnswerRule, readonly (string | number)[]])[] = [
  // Signature and credentials.
  ['target', WRONG_REGION, ['AuthorizationHeaderMalformed']],
  ['target', 'The target does not accept the form of the signature.',
    ['AuthorizationQueryParametersError', 'CredentialsNotSupported']],
  ['target', 'The target does not accept the signature: the secret access key is probably wrong.',
    ['SignatureDoesNotMatch']],
  ['target', 'The target does not know the access key id.', ['InvalidAccessKeyId']],
  ['target', 'The target does not accept the credentials.',
    ['InvalidSecurity', 'InvalidToken', 401]],
  ['target', 'The credentials for the target have expired.', ['ExpiredToken']],
  ['target', 'The account of the access key cannot use the target.',
    ['NotSignedUp', 'AccountProblem']],
  ['target', DENIED, ['AccessDenied', 'AllAccessDisabled', 'Forbidden', 'UnauthorizedAccess', 403]],
  ['target', 'The clocks of this server and of the target differ by too much.',
    ['RequestTimeTooSkewed', 'RequestExpired']],
  // Bucket and endpoint.
  ['target', 'The destination bucket does not exist at the target.', ['NoSuchBucket']],
  ['target', 'The target does not accept the name of the destination bucket.',
    ['InvalidBucketName']],
  ['target', 'The destination bucket is in a state that does not allow this write.',
    ['InvalidBucketState']],
  ['target', 'The target says that the destination bucket is in another region.',
    ['IllegalLocationConstraintException']],
  ['target', ELSEWHERE,
    ['PermanentRedirect', 'TemporaryRedirect', 'Redirect', 301, 302, 303, 307, 308]],
  ['target', INCOMPATIBLE, ['MethodNotAllowed', 405]],
  ['target', 'A proxy before the target asks for credentials.', [407]],
  // Room and load.
  ['target', 'The quota of the target is used up.',
    ['QuotaExceeded', 'ServiceQuotaExceeded', 'XMinioAdminBucketQuotaExceeded']],
  ['target', 'The target has no space left.', ['InsufficientStorage', 'XMinioStorageFull', 507]],
  ['target', 'The target reports an internal error.', ['InternalError', 500]],
  ['throttled', 'The target is not available at the moment.', ['ServiceUnavailable', 'Busy', 503]],
  ['throttled', 'The target asks for fewer requests.',
    ['SlowDown', 'SlowDownRead', 'SlowDownWrite', 'TooManyRequests', 'RequestLimitExceeded',
      'Throttling', 'ThrottlingException', 'BandwidthLimitExceeded', 429]],
  ['target', 'The target waited too long for the data.', ['RequestTimeout', 408]],
  ['target', 'The target received less data than was sent.', ['IncompleteBody']],
  // This object, perhaps only this time.
  ['object', 'The target received other data than was sent.',
    ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch']],
  ['object', 'The target is busy with another change of the same object.',
    ['OperationAborted', 'ConditionalRequestConflict', 409]],
  ['object', 'The target has given up the multipart upload; it begins anew.', ['NoSuchUpload']],
  ['object', 'The target lacks a part of the multipart upload; it begins anew.',
    ['InvalidPart', 'InvalidPartOrder']],
  ['object', 'The target does not find the object.', ['NoSuchKey']],
  ['object', 'A condition of the target does not hold for the object.',
    ['PreconditionFailed', 412]],
  ['object', 'The target protects the present object against changes.', ['ObjectLocked']],
  // This object, always.
  ['reject', 'The object is too large for the target.',
    ['EntityTooLarge', 'MaxMessageLengthExceeded', 413]],
  ['reject', 'The target wants larger parts than are sent.', ['EntityTooSmall']],
  ['reject', 'The key is too long for the target.', ['KeyTooLongError', 'KeyTooLong', 414]],
  ['reject', 'The target does not accept the key.',
    ['InvalidURI', 'InvalidObjectName', 'XMinioInvalidObjectName']],
  ['reject', 'The target has an object where the key needs a folder.', ['XMinioParentIsObject']],
  ['reject', 'The metadata of the object is too large for the target.',
    ['MetadataTooLarge', 'RequestHeaderSectionTooLarge', 431]],
  ['reject', 'The target does not accept the tags of the object.', ['InvalidTag']],
  ['reject', 'The target does not implement something that the object needs.',
    ['NotImplemented', 501]],
];

/** Look the code up first, then the status. */
export const answerRules: ReadonlyMap<string | number, AnswerRule> = new Map(
  RULES.flatMap(([verdict, sentence, codes]) =>
    codes.map((code): [string | number, AnswerRule] => [code, [verdict, sentence]]),
  ),
);
