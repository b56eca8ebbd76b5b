/**
 * The form of a header's value that S3 signs: outer blanks go, inner runs of blanks and tabs become
 * one blank ("Signature Version 4", canonical request). Values that differ only in such blanks are
 * the same value; RFC 9110 section 5.5 says so of the outer ones.
 */
export function canonicalValue(value: string): string {
  return /^[\t ]|[\t ]{2}|\t|[\t ]$/.test(value)
    ? value.replaceAll(/[\t ]+/g, ' ').replace(/^ | $/g, '')
    : value;
}
