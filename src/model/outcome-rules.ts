/**
 * What a target's error answer means: the table behind model/outcome.ts.
 *
 * Sources: "Error responses" and "Amazon S3 replication failure reasons" of S3, the codes that MinIO,
 * Ceph and Swift add, and what users of Aliyun OSS, Tencent COS, Backblaze B2, Cloudflare R2 and
 * Google Cloud Storage reported.
 */
import type { RequestFailure } from './delivery.ts';

/**
 * | verdict | whose | what follows |
 * | --- | --- | --- |
 * | `target` | the target's | the lane waits |
 * | `throttled` | the target's | the lane waits and sends less |
 * | `refused` | the object's or everybody's: one answer does not tell | the engine counts |
 * | `object` | the object's | the row is tried again a few times |
 * | `reject` | the object's, and final | the row fails |
 */
export type Verdict = 'target' | 'throttled' | 'refused' | 'object' | 'reject';

export type AnswerRule = readonly [verdict: Verdict, sentence: string];

export const WRONG_REGION =
  'The target does not accept the region or the form of the signature: the region must be exactly its own.';
export const ELSEWHERE =
  'The target says that the destination bucket is at another endpoint or region.';
const DENIED =
  'The target denies access: the access key may not do this in the destination bucket.';
const INCOMPATIBLE =
  'The target does not allow this kind of request: the endpoint is probably not an S3 service.';
const UNVERSIONED =
  'The target wants versioning enabled in the destination bucket, which has it not.';

type TableRow = readonly [...AnswerRule, readonly (string | number)[]];

/** Who asks, from where and when. None of it concerns the object, though its key may spoil a signature. */
// One rule on a line or two, so that the tables can be read as one.
// prettier-ignore
const CREDENTIAL_RULES: readonly TableRow[] = [
  ['target', WRONG_REGION, ['AuthorizationHeaderMalformed', 'InvalidRegion']],
  ['target', 'The target does not accept the form of the signature.',
    ['AuthorizationQueryParametersError', 'CredentialsNotSupported', 'MissingSecurityHeader',
      'MissingSecurityElement', 'MissingAuthenticationToken']],
  ['refused', 'The target does not accept the signature: the secret access key is probably wrong.',
    ['SignatureDoesNotMatch']],
  ['target', 'The target does not know the access key id.', ['InvalidAccessKeyId']],
  ['target', 'The target has disabled the access key.',
    ['XMinioInvalidIAMCredentials', 'AccessKeyDisabled', 'InactiveAccessKey']],
  ['target', 'The target does not accept the credentials.',
    ['InvalidSecurity', 'InvalidToken', 'InvalidClientTokenId', 'Unauthorized', 401]],
  ['target', 'The credentials for the target have expired.',
    ['ExpiredToken', 'TokenRefreshRequired']],
  ['target', 'The account of the access key cannot use the target.',
    ['NotSignedUp', 'AccountProblem', 'UserSuspended', 'InvalidPayer', 'UserDisable',
      'UserProjectAccountProblem', 'UserProjectMissing', 'DeregisterUserId']],
  ['target', 'The clocks of this server and of the target differ by too much.',
    ['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']],
];

// prettier-ignore
const OTHER_RULES: readonly TableRow[] = [
  // May be the object's or everybody's.
  ['refused', DENIED, ['AccessDenied', 'AllAccessDisabled', 'Forbidden', 'UnauthorizedAccess',
    'DstPutObjectNotPermitted', 'DstDeleteObjectNotPermitted', 'DstMultipartUploadNotPermitted',
    403]],
  ['refused', INCOMPATIBLE, ['MethodNotAllowed', 405]],
  // Bucket and endpoint.
  ['target', 'The destination bucket does not exist at the target.',
    ['NoSuchBucket', 'DstBucketNotFound', 'XMinioRemoteDestinationNotFoundError']],
  ['target', UNVERSIONED, ['DstBucketUnversioned', 'XMinioRemoteTargetNotVersionedError']],
  ['target', 'The target wants Object Lock enabled in the destination bucket, which has it not.',
    ['DstBucketObjectLockConfigMissing', 'InvalidBucketObjectLockConfiguration',
      'ObjectLockConfigurationNotFoundError', 'ReplicationDestinationMissingLockError']],
  ['target', 'The target does not accept the name of the destination bucket.',
    ['InvalidBucketName']],
  ['target', 'The destination bucket is in a state that does not allow this write.',
    ['InvalidBucketState']],
  ['target', 'The target says that the destination bucket is in another region.',
    ['IllegalLocationConstraintException', 'DstBucketInvalidRegion']],
  ['target', 'The target wants the bucket in the host name and refuses it in the path (path style), the only way in which this server sends.',
    ['SecondLevelDomainForbidden', 'PathStyleDomainForbidden', 'PathStyleNotAllowed']],
  ['target', 'The target cannot use the encryption key of the destination bucket.',
    ['DstKmsKeyInvalidState', 'DstKmsKeyNotFound', 'KMSDisabledException',
      'KMSInvalidStateException', 'KMSNotFoundException', 'KMSKeyNotFoundException',
      'KMSNotConfigured', 'KmsServiceNotEnabled']],
  ['target', ELSEWHERE,
    ['PermanentRedirect', 'TemporaryRedirect', 'Redirect', 301, 302, 303, 307, 308]],
  ['target', 'A proxy before the target asks for credentials.', [407]],
  // Room and load.
  ['target', 'The quota of the target is used up.',
    ['QuotaExceeded', 'ServiceQuotaExceeded', 'XMinioAdminBucketQuotaExceeded',
      'StorageCapExceeded', 'TransactionCapExceeded']],
  ['target', 'The target has no space left.', ['InsufficientStorage', 'XMinioStorageFull', 507]],
  ['target', 'The target reports an internal error.', ['InternalError', 500]],
  ['target', 'The target has not started completely, or lacks disks of its own.',
    ['XMinioServerNotInitialized', 'XMinioIAMNotInitialized', 'XMinioBackendDown',
      'XMinioReadQuorum', 'XMinioWriteQuorum']],
  ['throttled', 'The target is not available at the moment.', ['ServiceUnavailable', 'Busy', 503]],
  ['throttled', 'The target asks for fewer requests.',
    ['SlowDown', 'SlowDownRead', 'SlowDownWrite', 'TooManyRequests', 'RequestLimitExceeded',
      'Throttling', 'ThrottlingException', 'BandwidthLimitExceeded', 'DownloadTrafficRateLimitExceeded',
      'UploadTrafficRateLimitExceeded', 'QpsLimitExceeded', 429]],
  ['target', 'The target waited too long for the data.', ['RequestTimeout', 408]],
  ['target', 'The target received less data than was sent.', ['IncompleteBody']],
  ['target', 'The target says that this server ended the connection.',
    ['ClientDisconnected', 'XMinioClientDisconnected', 499]],
  // This object, perhaps only this time.
  ['object', 'The target received other data than was sent.',
    ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch']],
  ['object', 'The target is busy with another change of the same object.',
    ['OperationAborted', 'ConditionalRequestConflict', 409]],
  ['object', 'The target has given up the multipart upload; it begins anew.', ['NoSuchUpload']],
  ['object', 'The target lacks a part of the multipart upload; it begins anew.',
    ['InvalidPart', 'InvalidPartOrder']],
  ['object', 'The target does not find the object.',
    ['NoSuchKey', 'DstObjectHardDeleted', 'DstVersionNotFound']],
  ['object', 'A condition of the target does not hold for the object.',
    ['PreconditionFailed', 412]],
  ['object', 'The target protects the present object against changes.',
    ['ObjectLocked', 'FileImmutable', 'FileAlreadyExists', 'InvalidObjectState']],
  // This object, always.
  ['reject', 'The object is too large for the target.',
    ['EntityTooLarge', 'MaxMessageLengthExceeded', 413]],
  ['reject', 'The target wants larger parts than are sent.', ['EntityTooSmall']],
  ['reject', 'The key is too long for the target.', ['KeyTooLongError', 'KeyTooLong', 414]],
  ['reject', 'The target does not accept the key.',
    ['InvalidURI', 'InvalidObjectName', 'XMinioInvalidObjectName', 'XMinioInvalidResourceName']],
  ['reject', 'The target has an object where the key needs a folder.', ['XMinioParentIsObject']],
  ['reject', 'The target has a folder where the key needs an object.',
    ['XMinioObjectExistsAsDirectory']],
  ['reject', 'The metadata of the object is too large for the target.',
    ['MetadataTooLarge', 'RequestHeaderSectionTooLarge', 431]],
  ['reject', 'The target does not accept the tags of the object.', ['InvalidTag']],
  ['reject', 'The target may not have the object by law.', ['UnavailableForLegalReasons', 451]],
  ['reject', 'The target does not implement something that the object needs.',
    ['NotImplemented', 501]],
];

/** Look the code up first, then the status. */
export const answerRules: ReadonlyMap<string | number, AnswerRule> = new Map(
  [...CREDENTIAL_RULES, ...OTHER_RULES].flatMap(([verdict, sentence, codes]) =>
    codes.map((code): [string | number, AnswerRule] => [code, [verdict, sentence]]),
  ),
);

const CREDENTIAL_CODES = new Set(CREDENTIAL_RULES.flatMap(([, , codes]) => codes));
const DENYING_STATUSES: ReadonlySet<number | undefined> = new Set([403, 405, 501]);
/** With these, a service says that it does not do what it was asked to do, or not for this access key. */
const TAG_REFUSING_STATUSES: ReadonlySet<number | undefined> = new Set([400, 403, 501]);

/**
 * Whether the target answered that this kind of request is not for this access key, or not done at
 * all. What only helps (a comparison by HEAD, ListParts) may be refused so without costing the object.
 */
export function isDenied({ stage, status }: RequestFailure): boolean {
  return stage === 'answer' && DENYING_STATUSES.has(status);
}

/**
 * Whether a request that carried tags may have failed by them: Backblaze B2 answers 400
 * (InvalidArgument, "Unsupported header"), a key without the right to tag gets 403, Cloudflare R2
 * answers 501. What concerns who asks, or how much, has nothing to do with tags.
 */
export function mayRefuseTags({ stage, status, code = '' }: RequestFailure): boolean {
  if (stage !== 'answer' || !TAG_REFUSING_STATUSES.has(status)) return false;
  const verdict = answerRules.get(code)?.[0];
  return !CREDENTIAL_CODES.has(code) && verdict !== 'target' && verdict !== 'throttled';
}
