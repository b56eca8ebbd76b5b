/**
 * The error that a caller of a JSON API caused, and the codes that belong to the transport alone.
 *
 * An {@link ApiError} is everything that an answer may say: nothing of the request's values, no
 * stack, no path of this machine. Whatever else is thrown is answered as `InternalError`.
 */

/** One thing to mend. `path` is a JSON Pointer (RFC 6901) into the request body. */
export interface ErrorDetail {
  readonly path: string;
  readonly message: string;
}

/** What one code means: the HTTP status, and the sentence used where nothing more exact is known. */
export interface ErrorKind {
  readonly status: number;
  readonly reason: string;
}

/** Codes that every JSON API here shares. */
export const transportErrors = {
  Unauthenticated: {
    status: 401,
    reason: 'Log in and send the token as "Authorization: Bearer <token>".',
  },
  MalformedJSON: {
    status: 400,
    reason: 'The body must be one JSON object (RFC 8259), not compressed or compressed as stated.',
  },
  InvalidRequest: { status: 400, reason: 'The body does not fit; "details" names each field.' },
  MethodNotAllowed: {
    status: 405,
    reason:
      'The resource does not support this method; the "Allow" header lists those that it does.',
  },
  EntityTooLarge: { status: 413, reason: 'The body must be at most 1 MiB after decompression.' },
  UnsupportedMediaType: {
    status: 415,
    reason: 'Send the body as "Content-Type: application/json".',
  },
  InternalError: {
    status: 500,
    reason:
      'The server failed to carry out the request; its log has the cause under the request id.',
  },
} as const satisfies Record<string, ErrorKind>;

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: readonly ErrorDetail[];

  /**
   * @param code a key of the table that `kind` comes from; callers branch on it
   * @param reason one sentence that says what to mend; the kind's own where absent
   */
  constructor(
    code: string,
    kind: ErrorKind,
    options: { reason?: string; details?: readonly ErrorDetail[]; cause?: unknown } = {},
  ) {
    super(options.reason ?? kind.reason, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = 'ApiError';
    this.status = kind.status;
    this.code = code;
    this.details = options.details ?? [];
  }
}

export function transportError(
  code: keyof typeof transportErrors,
  options?: ConstructorParameters<typeof ApiError>[2],
): ApiError {
  return new ApiError(code, transportErrors[code], options);
}
