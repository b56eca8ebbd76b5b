/**
 * Entity tags of a configuration and the If-Match precondition (RFC 9110 sections 8.8.3 and 13.1.1).
 * The tag is the revision in quotes, strong, and covers targets and rules together.
 */
import { replicationError } from './errors.ts';

/** Which revisions a change may replace. */
export type Precondition =
  { readonly kind: 'any' } | { readonly kind: 'oneOf'; tags: readonly string[] };

const ENTITY_TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;
const SEPARATORS = /^[ \t,]*$/;

export function formatETag(revision: number): string {
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
export function allows(precondition: Precondition, revision: number): boolean {
  return precondition.kind === 'any' || precondition.tags.includes(formatETag(revision));
}
