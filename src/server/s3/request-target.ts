/**
 * Reads bucket, key and query from the request target as it was received.
 *
 * Path style only: `/bucket/key?query`. Each part is decoded exactly once.
 */
import { S3Error } from './errors.ts';
import { decodePercent } from './percent-encoding.ts';

const KEY_BYTES_MAX = 1024;

export interface RequestTarget {
  /** The decoded path, with its leading slash. */
  readonly path: string;
  /** Empty for the service itself. */
  readonly bucket: string;
  /** Empty for the bucket itself. */
  readonly key: string;
  readonly query: Query;
}

/** Decoded query parameters in the order received; a parameter without `=` has the value "". */
export class Query {
  readonly pairs: readonly (readonly [string, string])[];
  readonly #first = new Map<string, string>();

  constructor(pairs: readonly (readonly [string, string])[]) {
    this.pairs = pairs;
    for (const [name, value] of pairs) {
      if (!this.#first.has(name)) this.#first.set(name, value);
    }
  }

  has(name: string): boolean {
    return this.#first.has(name);
  }

  /** The first value of that name. */
  get(name: string): string | undefined {
    return this.#first.get(name);
  }
}

/**
 * @param url the request target of the request line
 * @throws S3Error InvalidURI, KeyTooLongError (over 1,024 bytes of UTF-8)
 */
export function parseRequestTarget(url: string): RequestTarget {
  if (!url.startsWith('/')) throw new S3Error('InvalidURI');
  const mark = url.indexOf('?');
  const rawPath = mark === -1 ? url : url.slice(0, mark);
  const slash = rawPath.indexOf('/', 1);
  const rawBucket = slash === -1 ? rawPath.slice(1) : rawPath.slice(1, slash);
  const key = slash === -1 ? '' : decodePercent(rawPath.slice(slash + 1));
  return {
    path: decodePercent(rawPath),
    bucket: decodePercent(rawBucket),
    key: checkKey(key),
    query: new Query(mark === -1 ? [] : parseQuery(url.slice(mark + 1))),
  };
}

/** @throws S3Error KeyTooLongError */
export function checkKey(key: string): string {
  if (Buffer.byteLength(key) > KEY_BYTES_MAX) throw new S3Error('KeyTooLongError');
  return key;
}

function parseQuery(text: string): (readonly [string, string])[] {
  return text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=');
      const name = equals === -1 ? pair : pair.slice(0, equals);
      const value = equals === -1 ? '' : pair.slice(equals + 1);
      return [decodeQueryPart(name), decodeQueryPart(value)] as const;
    });
}

/** In a query, S3 reads `+` as a space. */
function decodeQueryPart(text: string): string {
  return decodePercent(text.replaceAll('+', '%20'));
}
