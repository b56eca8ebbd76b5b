/**
 * AWS Signature Version 4 as S3 uses it: pure functions, checked against AWS's published examples.
 *
 * Written by hand because a verifier needs what signers hide: the canonical request of what was
 * *received*, the signing key for the chunks of the body, and no normalisation of the path (S3 signs
 * `/bucket//a/../b` as it stands). Source: "Authenticating Requests (AWS Signature Version 4)",
 * Amazon S3 API reference.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { S3Error } from './errors.ts';
import { encodePath, encodePercent } from './percent-encoding.ts';
import type { RequestTarget } from './request-target.ts';

export const ALGORITHM = 'AWS4-HMAC-SHA256';
const EMPTY_SHA256 = sha256Hex('');

/** What a signature is valid for. */
export interface CredentialScope {
  /** `YYYYMMDD`. */
  readonly date: string;
  readonly region: string;
}

/** The parsed `Authorization` header. */
export interface Authorization {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  /** Lower case, as listed by the client. */
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

/** Header values by lower-case name, one entry for each time that the header was sent. */
export type HeaderValues = Readonly<Record<string, readonly string[] | undefined>>;

export interface CanonicalParts {
  readonly method: string;
  readonly target: Pick<RequestTarget, 'path' | 'query'>;
  readonly headers: HeaderValues;
  readonly signedHeaders: readonly string[];
  /** The value of `x-amz-content-sha256`. */
  readonly payloadHash: string;
}

/**
 * @throws S3Error AuthorizationHeaderMalformed; InvalidRequest for another algorithm
 */
export function parseAuthorization(header: string): Authorization {
  if (!header.startsWith(`${ALGORITHM} `)) {
    throw new S3Error('InvalidRequest', {
      message: `The authorization mechanism is not supported: use ${ALGORITHM}.`,
    });
  }
  const fields = new Map<string, string>();
  for (const field of header.slice(ALGORITHM.length).split(',')) {
    const equals = field.indexOf('=');
    if (equals !== -1) fields.set(field.slice(0, equals).trim(), field.slice(equals + 1).trim());
  }
  const credential = (fields.get('Credential') ?? '').split('/');
  const signature = fields.get('Signature') ?? '';
  const signedHeaders = (fields.get('SignedHeaders') ?? '').split(';');
  // An access key id may itself hold slashes: the scope is what follows it.
  const [date, region, service, terminator] = credential.slice(-4);
  const accessKeyId = credential.slice(0, -4).join('/');
  if (
    accessKeyId === '' ||
    !/^\d{8}$/.test(date ?? '') ||
    service !== 's3' ||
    terminator !== 'aws4_request' ||
    !/^[0-9a-f]{64}$/.test(signature) ||
    signedHeaders.some((name) => name === '' || name !== name.toLowerCase())
  ) {
    throw new S3Error('AuthorizationHeaderMalformed');
  }
  return { accessKeyId, scope: { date: date!, region: region! }, signedHeaders, signature };
}

/**
 * The canonical requests that a client may have signed: one, or two where a signed value holds a tab.
 * The specification collapses "sequential spaces" and trims "whitespace", and clients read that in two
 * ways: the signers of Java, JavaScript, Python and curl turn every run of blanks into one space, those
 * of Go, Rust and .NET know spaces alone (aws-sdk-net#1222, aws-sdk-rust#248). Both name the same
 * values, so either signature proves the same request.
 *
 * Header values are the bytes received, one character each (latin1), which is how Node gives them.
 */
export function canonicalRequests(parts: CanonicalParts): string[] {
  const hasTab = parts.signedHeaders.some((name) =>
    (parts.headers[name] ?? []).some((value) => value.includes('\t')),
  );
  const ofBlanks = canonicalRequest(parts, collapseBlanks);
  return hasTab ? [ofBlanks, canonicalRequest(parts, collapseSpaces)] : [ofBlanks];
}

function canonicalRequest(parts: CanonicalParts, collapse: (value: string) => string): string {
  const names = [...parts.signedHeaders].sort();
  const headers = names.map((name) => {
    const values = parts.headers[name] ?? [];
    return `${name}:${values.map(collapse).join(',')}\n`;
  });
  return [
    parts.method,
    encodePath(parts.target.path),
    canonicalQuery(parts.target.query.pairs),
    headers.join(''),
    names.join(';'),
    parts.payloadHash,
  ].join('\n');
}

/** @param time `YYYYMMDDTHHMMSSZ` */
export function stringToSign(time: string, scope: CredentialScope, request: string): string {
  const hash = createHash('sha256').update(request, 'latin1').digest('hex');
  return [ALGORITHM, time, scopeText(scope), hash].join('\n');
}

export function deriveSigningKey(secret: string, scope: CredentialScope): Buffer {
  const date = hmac(`AWS4${secret}`, scope.date);
  return hmac(hmac(hmac(date, scope.region), 's3'), 'aws4_request');
}

export function sign(signingKey: Uint8Array, text: string): string {
  return hmac(signingKey, text).toString('hex');
}

/** Compares two signatures in constant time; one of another length is unequal. */
export function signaturesEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Signs the chunks of an aws-chunked body: each signature covers the one before it. */
export class ChunkSigner {
  readonly #signingKey: Uint8Array;
  readonly #prefix: string;
  readonly #trailerPrefix: string;
  #previous: string;

  /** @param seed the signature of the request's headers */
  constructor(signingKey: Uint8Array, time: string, scope: CredentialScope, seed: string) {
    this.#signingKey = signingKey;
    this.#prefix = [`${ALGORITHM}-PAYLOAD`, time, scopeText(scope)].join('\n');
    this.#trailerPrefix = [`${ALGORITHM}-TRAILER`, time, scopeText(scope)].join('\n');
    this.#previous = seed;
  }

  /** @param sha256 of the chunk's data, as hex */
  nextChunk(sha256: string): string {
    return this.#next([this.#prefix, this.#previous, EMPTY_SHA256, sha256]);
  }

  /** @param trailers `name:value\n` of every trailer */
  trailer(trailers: string): string {
    return this.#next([this.#trailerPrefix, this.#previous, sha256Hex(trailers)]);
  }

  #next(lines: readonly string[]): string {
    this.#previous = sign(this.#signingKey, lines.join('\n'));
    return this.#previous;
  }
}

function canonicalQuery(pairs: readonly (readonly [string, string])[]): string {
  return pairs
    .map(([name, value]) => [encodePercent(name), encodePercent(value)] as const)
    .sort(([a, x], [b, y]) => compareAscii(a, b) || compareAscii(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
}

function compareAscii(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Not `trim`: it takes bytes of UTF-8 away that are white space in latin1, such as 0xA0. */
function collapseBlanks(value: string): string {
  return value.replace(/[\t ]+/g, ' ').replace(/^ | $/g, '');
}

/** The blanks around a value are no part of it (RFC 9110 section 5.5), tabs among them. */
function collapseSpaces(value: string): string {
  return value
    .replace(/ +/g, ' ')
    .replace(/^[\t ]+/, '')
    .replace(/([^\t ])[\t ]+$/, '$1');
}

function scopeText(scope: CredentialScope): string {
  return `${scope.date}/${scope.region}/s3/aws4_request`;
}

function hmac(key: Uint8Array | string, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest();
}

function sha256Hex(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}
