/**
 * An object's headers, metadata and tags as HTTP headers, both ways.
 *
 * Values are byte strings, one character per byte, as node:http reads them and as the host keeps
 * them: UTF-8 that a client sent raw goes on byte for byte, and what it encoded (RFC 2047) stays
 * encoded. A value with any other character has no bytes, and is unsendable.
 */
import type { ObjectHead, SystemHeaders } from '../host.ts';
import type { AnswerHeaders } from './exchange.ts';
import type { Header } from './sigv4.ts';
import { encodeComponent } from './uri-encoding.ts';

export const META_PREFIX = 'x-amz-meta-';
/** What S3 gives an object that came without one. Said aloud, because some services guess by the key. */
const DEFAULT_CONTENT_TYPE = 'binary/octet-stream';

const SYSTEM_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const satisfies readonly (keyof SystemHeaders)[];

/** What goes along with the bytes of an object. */
export type ObjectMetadata = Pick<ObjectHead, 'systemHeaders' | 'userMetadata' | 'tags'>;

export interface ObjectHeaders {
  /** `content-type` and `x-amz-meta-*`. */
  readonly signed: readonly Header[];
  /** Those that proxies may rewrite. */
  readonly unsigned: readonly Header[];
  /** The value of `x-amz-tagging`; null without tags. */
  readonly tagging: string | null;
}

/** Null where a name or value is one that HTTP cannot carry. */
export function objectHeaders(object: ObjectMetadata): ObjectHeaders | null {
  const signed: Header[] = [];
  const unsigned: Header[] = [];
  for (const name of SYSTEM_HEADERS) {
    const value =
      object.systemHeaders[name] ?? (name === 'content-type' ? DEFAULT_CONTENT_TYPE : undefined);
    if (value === undefined) continue;
    if (!isFieldValue(value)) return null;
    (name === 'content-type' ? signed : unsigned).push([name, value]);
  }
  for (const [name, value] of Object.entries(object.userMetadata)) {
    if (!isLowerCaseToken(name) || !isFieldValue(value)) return null;
    signed.push([META_PREFIX + name, value]);
  }
  let tagging: string | null = null;
  for (const [name, value] of Object.entries(object.tags)) {
    const encodedName = encodeComponent(name);
    const encodedValue = encodeComponent(value);
    if (encodedName === null || encodedValue === null) return null;
    const tag = `${encodedName}=${encodedValue}`;
    tagging = tagging === null ? tag : `${tagging}&${tag}`;
  }
  return { signed, unsigned, tagging };
}

/** The headers of an answer to HEAD that belong to the object. */
export function readObjectHeaders(headers: AnswerHeaders): {
  readonly systemHeaders: SystemHeaders;
  readonly userMetadata: Readonly<Record<string, string>>;
} {
  const systemHeaders = Object.fromEntries(
    SYSTEM_HEADERS.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  const userMetadata = Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      name.startsWith(META_PREFIX) ? [[name.slice(META_PREFIX.length), value ?? '']] : [],
    ),
  );
  return { systemHeaders, userMetadata };
}

/** RFC 9110 section 5.5. */
function isFieldValue(value: string): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(value);
}

/** RFC 9110 section 5.6.2; names that differ in case only would be one header. */
function isLowerCaseToken(name: string): boolean {
  return /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name);
}
