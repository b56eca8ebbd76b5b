/**
 * The one table of errors that the plugin's callers can cause or see: code, status, sentence.
 * docs/admin-api.md lists it; a test keeps both equal. Callers branch on the code.
 */
import { ApiError, transportErrors, type ErrorKind } from '../json-api/errors.ts';

export const errors = {
  ...transportErrors,
  MissingBucketName: {
    status: 400,
    reason: 'Name the bucket in the path: /api/v1/buckets/<bucket>/replication.',
  },
  NoSuchBucket: { status: 404, reason: 'There is no bucket of that name that belongs to you.' },
  EndpointNotAllowed: {
    status: 403,
    reason:
      'An endpoint is, or resolves to, an address that is not public: only an administrator may set it, or the server’s operator opens its range with the option egress.allow.',
  },
  InvalidPrecondition: {
    status: 400,
    reason: 'If-Match must be * or a list of quoted entity tags such as "17-5d8f2a40".',
  },
  PreconditionFailed: {
    status: 412,
    reason: 'Targets or rules changed since you read them; read them again and repeat the change.',
  },
  VersioningNotEnabled: {
    status: 400,
    reason: 'Rules need a bucket whose versioning status is Enabled; enable versioning first.',
  },
  NoSuchTask: {
    status: 404,
    reason: 'There is no such task; it was delivered, or its rule or target is gone.',
  },
  NoSuchRule: { status: 404, reason: 'The bucket has no rule of that id.' },
  NoSuchResync: { status: 404, reason: 'There was no resync of this rule yet.' },
  ResyncInProgress: {
    status: 409,
    reason: 'A resync of this rule is running; wait for its end or cancel it.',
  },
  RuleNotEnabled: { status: 409, reason: 'Enable the rule first.' },
  ReplicationConfigurationNotFoundError: {
    status: 404,
    reason: 'The bucket has no replication configuration.',
  },
  NotImplemented: {
    status: 501,
    reason:
      'Set targets and rules with the JSON API under /api/v1/buckets/<bucket>/replication: credentials have no place in this document.',
  },
  InsufficientStorage: {
    status: 503,
    reason:
      'The server’s disk is nearly full: objects of buckets that replicate are refused, deletions are not.',
  },
  ServiceUnavailable: { status: 503, reason: 'Replication is shutting down; try again later.' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errors;

/** An error of the table, to be thrown. */
export function replicationError(
  code: ErrorCode,
  options?: ConstructorParameters<typeof ApiError>[2],
): ApiError {
  return new ApiError(code, errors[code], options);
}
