/**
 * Percent-encoding exactly as S3 wants it: strict when read, AWS's own alphabet when written.
 *
 * WHATWG `URL` is never used here: it would turn `/bucket/../other` into `/other`, while "..", "//"
 * and the like are ordinary parts of an S3 key.
 */
import { S3Error } from './errors.ts';

const NOT_ASCII = /[^\x21-\x7e]/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;

/**
 * Decodes once.
 *
 * @throws S3Error InvalidURI for a bare `%`, bytes outside printable ASCII, or escapes that are not UTF-8
 */
export function decodePercent(text: string): string {
  if (NOT_ASCII.test(text) || BAD_ESCAPE.test(text)) throw new S3Error('InvalidURI');
  try {
    return decodeURIComponent(text);
  } catch {
    throw new S3Error('InvalidURI');
  }
}

/** UriEncode of the SigV4 documentation: everything but unreserved characters, as UTF-8. */
export function encodePercent(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** As {@link encodePercent}, with the slashes left as they are. */
export function encodePath(text: string): string {
  return encodePercent(text).replaceAll('%2F', '/');
}
