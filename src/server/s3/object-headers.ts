/**
 * Object metadata in HTTP headers, both ways.
 *
 * Values are the bytes on the wire, one character each, as Node gives and takes them: what a client
 * stored comes back byte for byte whatever its encoding.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { SystemHeaders } from '../../host.ts';
import type { Metadata, StoredHead, Tags } from '../objects/types.ts';
import { checksumHeaders } from './checksums.ts';
import { S3Error } from './errors.ts';
import { parseTagHeader } from './tags.ts';

const META_PREFIX = 'x-amz-meta-';
/** "Working with object metadata": names and values together. */
const USER_METADATA_BYTES_MAX = 2048;
const DEFAULT_TYPE = 'binary/octet-stream';

const systemHeaderNames = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const satisfies readonly (keyof SystemHeaders)[];

/** What a PUT may ask for that is the same as asking for nothing; anything else is NotImplemented. */
const acceptedOptions: Readonly<Record<string, readonly string[]>> = {
  'x-amz-acl': ['private', 'bucket-owner-full-control'],
  'x-amz-storage-class': ['STANDARD'],
};
const REFUSED_OPTIONS =
  /^x-amz-(grant-|server-side-encryption|copy-source-server-side-encryption|object-lock-|bucket-object-lock|object-ownership|website-redirect-location|write-offset-bytes|mfa$)/;

/** Response headers that a GET may override, by query parameter. */
export const overrideParameters = systemHeaderNames.map((name) => `response-${name}`);

/**
 * Refuses what would be silently ignored otherwise: encryption, locks, grants, storage classes.
 *
 * @throws S3Error NotImplemented
 */
export function refuseUnsupportedHeaders(headers: IncomingHttpHeaders): void {
  for (const [name, value] of Object.entries(headers)) {
    const accepted = Object.hasOwn(acceptedOptions, name) ? acceptedOptions[name] : undefined;
    const isRefused = accepted === undefined ? REFUSED_OPTIONS.test(name) : false;
    if (isRefused || (accepted !== undefined && !accepted.includes(String(value)))) {
      throw new S3Error('NotImplemented', { message: `The header ${name} is not supported.` });
    }
  }
}

/** System headers and user metadata of a PUT. @throws S3Error MetadataTooLarge */
export function readMetadata(headers: IncomingHttpHeaders): Metadata {
  const entries = Object.entries(headers)
    .filter(([name]) => name.startsWith(META_PREFIX))
    .map(([name, value]) => [name.slice(META_PREFIX.length), String(value)] as const);
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes > USER_METADATA_BYTES_MAX) throw new S3Error('MetadataTooLarge');
  return { systemHeaders: readSystemHeaders(headers), userMetadata: Object.fromEntries(entries) };
}

/** The tags of a PUT. @throws S3Error InvalidTag, InvalidArgument */
export function readTags(headers: IncomingHttpHeaders): Tags {
  const value = headers['x-amz-tagging'];
  return typeof value === 'string' ? parseTagHeader(value) : {};
}

/** The headers of a GET or HEAD of that version. */
export function objectHeaders(head: StoredHead): Record<string, string> {
  const metadata = Object.entries(head.userMetadata);
  const tagCount = Object.keys(head.tags).length;
  return {
    'content-type': DEFAULT_TYPE,
    ...head.systemHeaders,
    etag: `"${head.etag}"`,
    'last-modified': new Date(head.lastModified).toUTCString(),
    'accept-ranges': 'bytes',
    ...Object.fromEntries(metadata.map(([name, value]) => [META_PREFIX + name, value])),
    ...(tagCount > 0 && { 'x-amz-tagging-count': String(tagCount) }),
  };
}

/** Checksums of the whole object, where the client asked for them. */
export function requestedChecksums(
  headers: IncomingHttpHeaders,
  head: StoredHead,
): Record<string, string> {
  const isAsked = String(headers['x-amz-checksum-mode']).toUpperCase() === 'ENABLED';
  return isAsked ? checksumHeaders(head.checksums) : {};
}

function readSystemHeaders(headers: IncomingHttpHeaders): SystemHeaders {
  const found: Partial<Record<keyof SystemHeaders, string>> = {};
  for (const name of systemHeaderNames) {
    const value = name === 'content-encoding' ? contentEncoding(headers) : headers[name];
    if (typeof value === 'string' && value !== '') found[name] = value;
  }
  return found;
}

/** `aws-chunked` tells how the body travels and is not part of the object. */
function contentEncoding(headers: IncomingHttpHeaders): string | undefined {
  return headers['content-encoding']
    ?.split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding.toLowerCase() !== 'aws-chunked')
    .join(', ');
}
