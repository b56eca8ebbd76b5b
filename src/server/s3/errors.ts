/**
 * The one table of S3 errors that this server answers, and the error that carries one of them.
 *
 * Codes and statuses are those of AWS ("Error responses", Amazon S3 API reference), because clients
 * branch on them. An {@link S3Error} holds everything that an answer may say.
 */

interface S3ErrorKind {
  readonly status: number;
  readonly message: string;
}

export const s3Errors = {
  AccessDenied: { status: 403, message: 'Access Denied' },
  AuthorizationHeaderMalformed: {
    status: 400,
    message:
      'The Authorization header is malformed: expected AWS4-HMAC-SHA256 with Credential, SignedHeaders and Signature.',
  },
  BadDigest: {
    status: 400,
    message: 'A digest or checksum that was sent does not match the body.',
  },
  BucketAlreadyExists: { status: 409, message: 'The bucket name belongs to another user.' },
  BucketAlreadyOwnedByYou: { status: 409, message: 'You own this bucket already.' },
  BucketNotEmpty: { status: 409, message: 'The bucket still holds objects or versions.' },
  EntityTooLarge: { status: 400, message: 'The body is larger than this operation allows.' },
  EntityTooSmall: { status: 400, message: 'A part other than the last is smaller than 5 MiB.' },
  IllegalLocationConstraintException: {
    status: 400,
    message: 'The location constraint is not the region of this server.',
  },
  IncompleteBody: { status: 400, message: 'The body does not have the length that was announced.' },
  InsufficientStorage: {
    status: 503,
    message: 'The disk of the server is nearly full: only deletions are accepted.',
  },
  InternalError: { status: 500, message: 'The server failed to carry out the request.' },
  InvalidAccessKeyId: { status: 403, message: 'The access key id does not exist.' },
  InvalidArgument: { status: 400, message: 'An argument is not valid.' },
  InvalidBucketName: { status: 400, message: 'The bucket name is not valid.' },
  InvalidBucketState: {
    status: 409,
    message: 'Versioning cannot be suspended while the bucket has replication rules.',
  },
  InvalidDigest: {
    status: 400,
    message: 'Content-MD5 or a checksum is not valid base64 of its length.',
  },
  InvalidPart: { status: 400, message: 'A part is missing, or its ETag does not match.' },
  InvalidPartOrder: { status: 400, message: 'The parts are not in ascending order.' },
  InvalidRange: { status: 416, message: 'The range lies outside the object.' },
  InvalidRequest: { status: 400, message: 'The request is not valid.' },
  InvalidTag: { status: 400, message: 'A tag is not valid.' },
  InvalidURI: { status: 400, message: 'The request path or query is not percent-encoded UTF-8.' },
  KeyTooLongError: { status: 400, message: 'The key is longer than 1,024 bytes.' },
  MalformedXML: {
    status: 400,
    message: 'The XML is not well-formed or has not the expected shape.',
  },
  MetadataTooLarge: { status: 400, message: 'The user metadata exceeds 2 KiB.' },
  MethodNotAllowed: { status: 405, message: 'The method is not allowed on this resource.' },
  MissingContentLength: { status: 411, message: 'The Content-Length header is required.' },
  MissingRequestBodyError: { status: 400, message: 'The request body is empty.' },
  MissingSecurityHeader: { status: 400, message: 'A header that the signature needs is missing.' },
  NoSuchBucket: { status: 404, message: 'The bucket does not exist.' },
  NoSuchKey: { status: 404, message: 'The key does not exist.' },
  NoSuchUpload: {
    status: 404,
    message: 'The upload does not exist; it may be completed or aborted.',
  },
  NoSuchVersion: { status: 404, message: 'The version does not exist.' },
  NotImplemented: { status: 501, message: 'This server does not implement what was asked for.' },
  NotModified: { status: 304, message: 'Not Modified' },
  PreconditionFailed: { status: 412, message: 'A precondition does not hold.' },
  RequestHeaderSectionTooLarge: {
    status: 400,
    message: 'The request line and the headers are too large together.',
  },
  RequestTimeTooSkewed: {
    status: 403,
    message: 'The time of the request differs from the time of the server by more than 15 minutes.',
  },
  RequestTimeout: { status: 400, message: 'The body was not received in time.' },
  ServiceUnavailable: {
    status: 503,
    message: 'The write cannot be accepted now; try again later.',
  },
  SignatureDoesNotMatch: {
    status: 403,
    message:
      'The signature does not match: check the secret access key and how the request is signed.',
  },
  XAmzContentSHA256Mismatch: {
    status: 400,
    message: 'x-amz-content-sha256 does not match the body.',
  },
} as const satisfies Record<string, S3ErrorKind>;

export type S3ErrorCode = keyof typeof s3Errors;

/** An answer that is not a success; `code` is what callers branch on. */
export class S3Error extends Error {
  readonly code: S3ErrorCode;
  readonly status: number;
  /** Further elements of the error document, for instance `Region`. */
  readonly elements: Readonly<Record<string, string>>;
  /** Further headers of the answer, for instance `x-amz-delete-marker`. */
  readonly headers: Readonly<Record<string, string>>;

  /** @param options.message one sentence; the table's own where absent */
  constructor(
    code: S3ErrorCode,
    options: {
      message?: string;
      elements?: Readonly<Record<string, string>>;
      headers?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    const kind = s3Errors[code];
    super(
      options.message ?? kind.message,
      'cause' in options ? { cause: options.cause } : undefined,
    );
    this.name = 'S3Error';
    this.code = code;
    this.status = kind.status;
    this.elements = options.elements ?? {};
    this.headers = options.headers ?? {};
  }
}
