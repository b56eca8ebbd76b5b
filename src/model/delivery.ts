/**
 * What one request to a target came to, as a value. The S3 client reports it, the engine judges it
 * (model/outcome.ts); nothing here throws.
 */

/**
 * How long a request may still be applied at the target after it was given up: twice the time after
 * which a silent connection is (egress/idle-watch.ts).
 */
export const LINGER_MS = 60_000;

/** How far a request got before it failed. */
export type Stage =
  /** The name has no address, or the resolver did not answer. */
  | 'resolve'
  /** An address is not one that this target may have; nothing was connected. */
  | 'refused-address'
  | 'connect'
  | 'tls'
  /** The connection broke or fell silent; whether the target applied the request is unknown. */
  | 'transfer'
  /** The target answered with an error. */
  | 'answer'
  /** The target answered with 2xx, but with nothing that proves that it did what was asked. */
  | 'unproven'
  /** The answer arrived but contradicts what was sent, for instance another ETag. */
  | 'integrity'
  /** The object cannot be sent as it is: a header value that HTTP cannot carry. */
  | 'unsendable';

/** A failed request. No field holds a secret, an address or a path of this machine. */
export interface RequestFailure {
  readonly stage: Stage;
  /** HTTP status; present at the stages `answer` and `unproven`. */
  readonly status?: number;
  /** S3 error code, `[A-Za-z0-9]{1,64}`; a node or undici error code at the stages before an answer. */
  readonly code?: string;
  /** The target's id of the request, printable, at most 128 characters. */
  readonly requestId?: string;
  /** The target's own message: at most 200 printable characters, from public addresses only. */
  readonly message?: string;
  /** From Retry-After, at least 0. */
  readonly retryAfterMs?: number;
  /**
   * How long the target had been let be silent, in milliseconds. Present where a request was given up
   * (stage `transfer`, code `ETIMEDOUT`) after its last byte had left and before an answer began.
   */
  readonly silenceMs?: number;
  /** Whether the target may have applied the request, or may still do so. */
  readonly ambiguous: boolean;
}

export type RequestResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: RequestFailure };
