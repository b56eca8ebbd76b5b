/**
 * Who signed a request of the S3 API, and how its body is protected.
 *
 * Signatures are read from the `Authorization` header only: presigned URLs are answered with
 * NotImplemented. Checks come in the order in which AWS makes them, so that a client that is wrong in
 * several ways learns of them in the order that it can mend them.
 */
import type { IncomingMessage } from 'node:http';
import type { AccessKey } from '../access-keys.ts';
import { S3Error } from './errors.ts';
import type { RequestTarget } from './request-target.ts';
import {
  canonicalRequests,
  ChunkSigner,
  deriveSigningKey,
  parseAuthorization,
  sign,
  signaturesEqual,
  stringToSign,
  type Authorization,
  type HeaderValues,
} from './signature-v4.ts';

const SKEW_MS_MAX = 15 * 60 * 1000;
const AMZ_DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** How the body is to be read and checked, from `x-amz-content-sha256`. */
export type PayloadMode =
  | { readonly kind: 'signed'; readonly sha256: string }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'chunked'; readonly trailers: boolean; readonly signer?: ChunkSigner };

export interface Identity {
  readonly userId: string;
  /** Lower-case names of the headers that the signature covers. */
  readonly signedHeaders: ReadonlySet<string>;
  readonly payload: PayloadMode;
}

export interface AuthenticationOptions {
  /** The one region whose signatures are accepted. */
  readonly region: string;
  /** The key of that id, or null. */
  readonly findAccessKey: (accessKeyId: string) => AccessKey | null;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
}

/** What is read of a request. */
export type SignedRequest = Pick<IncomingMessage, 'method' | 'headersDistinct'>;

/**
 * @throws S3Error AccessDenied without credentials or with unsigned `x-amz-*` headers, NotImplemented
 *   for presigned URLs and other payload modes, AuthorizationHeaderMalformed (with the expected
 *   Region), MissingSecurityHeader, RequestTimeTooSkewed, InvalidAccessKeyId, SignatureDoesNotMatch
 */
export function authenticate(
  request: SignedRequest,
  target: RequestTarget,
  options: AuthenticationOptions,
): Identity {
  const headers: HeaderValues = request.headersDistinct;
  const authorization = readAuthorization(headers, target);
  checkRegion(authorization, options.region);
  const time = requestTime(headers, authorization);
  if (Math.abs(options.clock() - time.milliseconds) > SKEW_MS_MAX) {
    throw new S3Error('RequestTimeTooSkewed');
  }
  checkSignedHeaders(headers, authorization);
  const payloadHash = headers['x-amz-content-sha256']?.[0];
  if (payloadHash === undefined) throw missingHeader('x-amz-content-sha256');
  const accessKey = options.findAccessKey(authorization.accessKeyId);
  if (accessKey === null) throw new S3Error('InvalidAccessKeyId');

  const { scope, signedHeaders } = authorization;
  const method = request.method ?? '';
  const parts = { method, target, headers, signedHeaders, payloadHash };
  const signingKey = deriveSigningKey(accessKey.secretAccessKey, scope);
  const signature = canonicalRequests(parts)
    .map((canonical) => sign(signingKey, stringToSign(time.text, scope, canonical)))
    .find((expected) => signaturesEqual(expected, authorization.signature));
  if (signature === undefined) throw new S3Error('SignatureDoesNotMatch');
  const chunkSigner = new ChunkSigner(signingKey, time.text, scope, signature);
  return {
    userId: accessKey.userId,
    signedHeaders: new Set(signedHeaders),
    payload: payloadMode(payloadHash, chunkSigner),
  };
}

function readAuthorization(headers: HeaderValues, target: RequestTarget): Authorization {
  const values = headers['authorization'] ?? [];
  const isPresigned = ['X-Amz-Signature', 'X-Amz-Algorithm', 'Signature'].some((name) =>
    target.query.has(name),
  );
  if (isPresigned) {
    throw new S3Error('NotImplemented', {
      message: 'Presigned requests are not supported: sign the request in its headers.',
    });
  }
  const [value] = values;
  if (value === undefined) throw new S3Error('AccessDenied');
  if (values.length > 1) throw new S3Error('AuthorizationHeaderMalformed');
  return parseAuthorization(value);
}

/** The answer names the region, and clients such as the AWS CLI then sign again for it. */
function checkRegion(authorization: Authorization, region: string): void {
  if (authorization.scope.region === region) return;
  throw new S3Error('AuthorizationHeaderMalformed', {
    message: `The authorization header is malformed; the region is wrong; expecting '${region}'`,
    elements: { Region: region },
    headers: { 'x-amz-bucket-region': region },
  });
}

/** `x-amz-date`, or `Date` where that is missing, as text for signing and as milliseconds. */
function requestTime(
  headers: HeaderValues,
  authorization: Authorization,
): { text: string; milliseconds: number } {
  const text = headers['x-amz-date']?.[0] ?? fromHttpDate(headers['date']?.[0]);
  const fields = AMZ_DATE.exec(text);
  if (fields === null) throw missingHeader('x-amz-date');
  const [year, month, day, hour, minute, second] = fields.slice(1).map(Number);
  if (!text.startsWith(authorization.scope.date)) {
    throw new S3Error('AuthorizationHeaderMalformed', {
      message: 'The date of the credential is not the date of x-amz-date.',
    });
  }
  return { text, milliseconds: Date.UTC(year!, month! - 1, day, hour, minute, second) };
}

function fromHttpDate(value: string | undefined): string {
  const milliseconds = Date.parse(value ?? '');
  if (Number.isNaN(milliseconds)) throw missingHeader('x-amz-date');
  return new Date(milliseconds).toISOString().replace(/[-:]|\.\d{3}/g, '');
}

/** `host` and every `x-amz-*` header must be covered, or a third party could add them. */
function checkSignedHeaders(headers: HeaderValues, authorization: Authorization): void {
  const covered = new Set(authorization.signedHeaders);
  const uncovered = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const missing = uncovered.filter((name) => !covered.has(name));
  if (missing.length === 0) return;
  throw new S3Error('AccessDenied', {
    message: 'There were headers present in the request which were not signed',
    elements: { HeadersNotSigned: missing.join(', ') },
  });
}

function payloadMode(hash: string, signer: ChunkSigner): PayloadMode {
  switch (hash) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', trailers: false, signer };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', trailers: true, signer };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', trailers: true };
  }
  if (/^[0-9a-f]{64}$/.test(hash)) return { kind: 'signed', sha256: hash };
  if (hash.startsWith('STREAMING-')) throw new S3Error('NotImplemented');
  throw new S3Error('InvalidArgument', {
    message:
      'x-amz-content-sha256 must be a SHA-256 in hex, UNSIGNED-PAYLOAD or a STREAMING- value.',
  });
}

function missingHeader(name: string): S3Error {
  return new S3Error('MissingSecurityHeader', {
    message: `The header ${name} is missing or not valid.`,
  });
}
