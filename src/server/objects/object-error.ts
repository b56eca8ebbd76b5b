/**
 * What can be wrong with a request to the object store, by S3's own error codes, so that the S3 API
 * answers them without a table of translations. Whatever else the store throws is the server's fault.
 */

/** S3's codes (API reference, "Error responses"), with the sentence used where nothing more exact is known. */
export const objectErrorReasons = {
  BadDigest: 'The body does not match the digest that was sent with it.',
  EntityTooLarge: 'The object is larger than 5 TiB.',
  EntityTooSmall: 'Every part but the last must have at least 5 MiB.',
  InsufficientStorage: 'The disk of the server is nearly full: only deletions are accepted.',
  IncompleteBody: 'The body has not the number of bytes that was announced.',
  InvalidArgument: 'An argument is malformed.',
  InvalidPart: 'A part was not uploaded, or its ETag or checksum differs.',
  InvalidPartOrder: 'The parts must be listed in ascending order of their numbers, each one once.',
  InvalidRange: 'The range lies outside the object.',
  KeyTooLongError: 'A key has at most 1,024 bytes in UTF-8.',
  MethodNotAllowed: 'The version is a delete marker.',
  NoSuchBucket: 'The bucket does not exist.',
  NoSuchKey: 'The key does not exist.',
  NoSuchUpload: 'The upload does not exist; it may have been completed or aborted.',
  NoSuchVersion: 'The version does not exist.',
  PreconditionFailed: 'A precondition of the request does not hold.',
  ServiceUnavailable: 'The write cannot be replicated at the moment; try again later.',
  XAmzContentSHA256Mismatch: 'The body does not match x-amz-content-sha256.',
} as const satisfies Record<string, string>;

export type ObjectErrorCode = keyof typeof objectErrorReasons;

export class ObjectError extends Error {
  readonly code: ObjectErrorCode;

  /** @param reason one sentence; the code's own where absent */
  constructor(code: ObjectErrorCode, reason?: string, options?: { cause: unknown }) {
    super(reason ?? objectErrorReasons[code], options);
    this.name = 'ObjectError';
    this.code = code;
  }
}
