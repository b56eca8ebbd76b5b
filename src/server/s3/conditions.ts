/**
 * Conditional requests (RFC 9110, section 13) and ranges (section 14), as far as S3 has them.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ByteRange } from '../../host.ts';
import type { StoredHead, WriteConditions } from '../objects/types.ts';
import { S3Error } from './errors.ts';

const COPY_PREFIX = 'x-amz-copy-source-';

/** Conditions of a PUT or a completed upload; undefined where there are none. */
export function writeConditions(headers: IncomingHttpHeaders): WriteConditions | undefined {
  const ifMatch = parseEtags(headers['if-match']);
  const ifNoneMatch = parseEtags(headers['if-none-match']);
  if (ifMatch === undefined && ifNoneMatch === undefined) return undefined;
  return {
    ...(ifMatch !== undefined && { ifMatch }),
    ...(ifNoneMatch !== undefined && { ifNoneMatch }),
  };
}

/**
 * Conditions of a GET or HEAD.
 *
 * @throws S3Error PreconditionFailed, NotModified (with the headers that a 304 carries)
 */
export function checkReadConditions(headers: IncomingHttpHeaders, head: StoredHead): void {
  const { failed, unmodified } = evaluate(headers, '', head);
  if (failed) throw new S3Error('PreconditionFailed');
  if (unmodified) {
    throw new S3Error('NotModified', {
      headers: {
        ETag: `"${head.etag}"`,
        'Last-Modified': new Date(head.lastModified).toUTCString(),
      },
    });
  }
}

/** Conditions on the source of a copy. @throws S3Error PreconditionFailed */
export function checkCopyConditions(headers: IncomingHttpHeaders, source: StoredHead): void {
  const { failed, unmodified } = evaluate(headers, COPY_PREFIX, source);
  if (failed || unmodified) throw new S3Error('PreconditionFailed');
}

/**
 * The bytes that a `Range` header asks for; undefined where the whole object is to be sent: without
 * a range, with several, or with one that cannot be read (section 14.2).
 *
 * @throws S3Error InvalidRange when nothing of it lies inside the object
 */
export function selectRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '' && last === '') return undefined;
  const isSuffix = first === '';
  const start = isSuffix ? Math.max(0, size - Number(last)) : Number(first);
  const end = isSuffix || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (!isSuffix && last !== '' && Number(last) < start) return undefined;
  if (start >= size) {
    throw new S3Error('InvalidRange', {
      elements: { ActualObjectSize: String(size) },
      headers: { 'Content-Range': `bytes */${size}` },
    });
  }
  return { start, end };
}

/** `x-amz-copy-source-range`, which has one form only. @throws S3Error InvalidArgument */
export function parseCopyRange(header: string): ByteRange {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header);
  const range = { start: Number(match?.[1]), end: Number(match?.[2]) };
  if (match === null || range.end < range.start) {
    throw new S3Error('InvalidArgument', {
      message: 'x-amz-copy-source-range must be bytes=first-last.',
    });
  }
  return range;
}

/** An ETag without quotes and weakness. */
export function bareEtag(text: string): string {
  return text
    .trim()
    .replace(/^W\//, '')
    .replace(/^"(.*)"$/, '$1');
}

function parseEtags(header: string | undefined): string[] | undefined {
  return header?.split(',').map(bareEtag);
}

/** `failed`: an If-Match or If-Unmodified-Since does not hold; `unmodified`: the other two. */
function evaluate(
  headers: IncomingHttpHeaders,
  prefix: string,
  head: StoredHead,
): { failed: boolean; unmodified: boolean } {
  const value = (name: string): string | undefined => {
    const found = headers[prefix + name];
    return typeof found === 'string' ? found : undefined;
  };
  const matches = (etags: string[]): boolean => etags.includes('*') || etags.includes(head.etag);
  const isModifiedSince = (date: string | undefined): boolean | undefined => {
    const milliseconds = Date.parse(date ?? '');
    if (Number.isNaN(milliseconds)) return undefined;
    // HTTP dates have whole seconds only.
    return Math.floor(head.lastModified / 1000) * 1000 > milliseconds;
  };
  const ifMatch = parseEtags(value('if-match'));
  const ifNoneMatch = parseEtags(value('if-none-match'));
  const failed =
    ifMatch !== undefined
      ? !matches(ifMatch)
      : isModifiedSince(value('if-unmodified-since')) === true;
  const unmodified =
    ifNoneMatch !== undefined
      ? matches(ifNoneMatch)
      : isModifiedSince(value('if-modified-since')) === false;
  return { failed, unmodified };
}
