/**
 * Percent-encoding as S3 wants it, for paths and queries that are signed and sent as they are.
 *
 * A path must never pass through `URL`, which would turn `/bucket/../other` into `/other`: keys such
 * as `..`, `a//b` or `.` are ordinary keys.
 */

/**
 * A key as a path: every byte of its UTF-8 form but the unreserved ones of RFC 3986 and `/` is
 * encoded. Null where the key holds a lone surrogate and so has no UTF-8 form.
 */
export function encodeKey(key: string): string | null {
  if (/^[A-Za-z0-9\-._~/]*$/.test(key)) return key;
  const encoded = encodeComponent(key);
  return encoded === null ? null : encoded.replaceAll('%2F', '/');
}

/** A value of a query parameter; `/` is encoded too. Null as for {@link encodeKey}. */
export function encodeComponent(text: string): string | null {
  try {
    return encodeURIComponent(text).replaceAll(
      /[!'()*]/g,
      (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}
