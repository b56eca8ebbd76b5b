/**
 * Entity tags of a configuration and the If-Match precondition (RFC 9110 sections 8.8.3 and 13.1.1).
 * The tag is the revision in quotes, strong, and covers targets and rules together. A revision is the
 * count of the bucket's own changes and eight random digits of the last one: a number of the server's
 * would tell its tenants about each other, and a count alone would come again in a bucket that is
 * deleted and made anew.
 */
import { replicationError } from './errors.ts';

/** Which revisions a change may replace. */
export type Precondition =
  { readonly kind: 'any' } | { readonly kind: 'oneOf'; tags: readonly string[] };

const ENTITY_TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;
const SEPARATORS = /^[ \t,]*$/;

/** Of a bucket in which nothing was ever set. */
export const FIRST_REVISION = '0';

/** @param nonce eight random hex digits */
export function nextRevision(revision: string, nonce: string): string {
  return `${Number.parseInt(revision, 10) + 1}-${nonce}`;
}

export function formatETag(revision: string): string {
  return `"${revision}"`;
}

/**
 * @param header the If-Match header's value; undefined where it was not sent
 * @throws ApiError InvalidPrecondition for anything but `*` or a list of entity tags
 */
export function parseIfMatch(header: string | undefined): Precondition {
  if (header === undefined || header.trim() === '*') return { kind: 'any' };
  const tags = header.match(ENTITY_TAGS);
  if (tags === null || !SEPARATORS.test(header.replaceAll(ENTITY_TAGS, ''))) {
    throw replicationError('InvalidPrecondition');
  }
  return { kind: 'oneOf', tags };
}

/** Strong comparison: a weak tag never matches. */
export function allows(precondition: Precondition, revision: string): boolean {
  return precondition.kind === 'any' || precondition.tags.includes(formatETag(revision));
}
