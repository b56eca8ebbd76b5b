/**
 * Every error that the server's internal API answers beyond those of the transport: one table, so
 * that a code has one status everywhere. Where S3 has a code for the same thing, it is S3's.
 */
import { ApiError, type ErrorKind } from '../json-api/errors.ts';

export const serverErrors = {
  InvalidCredentials: {
    status: 401,
    reason: 'The user name or the password is wrong.',
  },
  AccountCreationDisabled: {
    status: 403,
    reason: 'This server does not create accounts; ask its operator.',
  },
  NotFound: {
    status: 404,
    reason: 'There is nothing at this path; see the documentation for the paths of the API.',
  },
  NoSuchBucket: {
    status: 404,
    reason: 'You have no bucket of that name.',
  },
  InvalidBucketName: {
    status: 400,
    reason:
      'A bucket name has 3 to 63 characters of a-z, 0-9, "." and "-", starts and ends with a letter or digit, has no ".." and is not an IPv4 address.',
  },
  BucketAlreadyOwnedByYou: {
    status: 409,
    reason: 'You have a bucket of that name already.',
  },
  BucketAlreadyExists: {
    status: 409,
    reason: 'The name is taken; names are unique on a server, so choose another one.',
  },
  BucketNotEmpty: {
    status: 409,
    reason: 'The bucket still has objects, versions or delete markers; delete them first.',
  },
  InvalidBucketState: {
    status: 409,
    reason:
      'Versioning stays enabled while the bucket has replication rules; remove the rules first.',
  },
  UsernameTaken: {
    status: 409,
    reason: 'There is an account of that user name already; choose another one.',
  },
  TooManyAccessKeys: {
    status: 409,
    reason: 'The account has as many access keys as it may have.',
  },
  TooManyRequests: {
    status: 429,
    reason: 'Too many logins at the moment; try again after the seconds in "Retry-After".',
  },
  InsufficientStorage: {
    status: 503,
    reason: 'The disk of the server is full; nothing can be stored until there is room again.',
  },
  ServiceUnavailable: {
    status: 503,
    reason: 'The disk of the server refuses to write; try again later.',
  },
  ShuttingDown: {
    status: 503,
    reason: 'The server is shutting down; try again in a moment.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ServerErrorCode = keyof typeof serverErrors;

export function serverError(
  code: ServerErrorCode,
  options?: ConstructorParameters<typeof ApiError>[2],
): ApiError {
  return new ApiError(code, serverErrors[code], options);
}

/** 429, with the number of seconds that `Retry-After` tells. */
export class TooManyRequestsError extends ApiError {
  readonly retryAfterSeconds: number;

  constructor(retryAfterSeconds: number) {
    super('TooManyRequests', serverErrors.TooManyRequests);
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export function tooManyRequests(retryAfterSeconds: number): TooManyRequestsError {
  return new TooManyRequestsError(Math.max(1, Math.ceil(retryAfterSeconds)));
}
