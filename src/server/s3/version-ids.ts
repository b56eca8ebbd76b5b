/**
 * The version that a request names.
 *
 * What no version id can be is refused, as AWS does, before it is looked for: answers repeat the id in
 * a header, and not every text can be one.
 */
import { S3Error } from './errors.ts';
import type { Query } from './request-target.ts';

/** AWS: "Version IDs are Unicode, UTF-8 encoded, URL-ready, opaque strings … no more than 1,024 bytes". */
const VERSION_ID = /^[!-~]{1,1024}$/;

/** `versionId` of the query, undefined where it is missing. @throws S3Error InvalidArgument */
export function versionIdOf(query: Query): string | undefined {
  const text = query.get('versionId');
  return text === undefined ? undefined : checkVersionId(text);
}

/** @throws S3Error InvalidArgument */
export function checkVersionId(text: string): string {
  if (VERSION_ID.test(text)) return text;
  throw new S3Error('InvalidArgument', {
    message: 'Invalid version id specified.',
    elements: { ArgumentName: 'versionId' },
  });
}
