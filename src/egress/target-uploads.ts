/**
 * Lists the unfinished multipart uploads of one key: ListMultipartUploads, of which one page is read.
 *
 * The uploads of a key come first where it is the prefix, so one page nearly always has them all; the
 * result says where it may not. Any answer but such a document is a failure.
 */
import type { RequestResult } from '../model/delivery.ts';
import { UPLOAD_ID } from './target-multipart.ts';
import { UNSENDABLE, type TargetRequester } from './target-request.ts';
import type { RequestOptions } from './target-sending.ts';
import { elements, elementText, rootName } from './target-xml.ts';
import { encodeComponent } from './uri-encoding.ts';

/** Fifty uploads of every service known fit into the 64 KiB that are read of an answer. */
const LISTED_UPLOADS_MAX = 50;
/** Keys that stand in XML as they are; all others are asked for in URL encoding. */
const PLAIN_KEY = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

export interface ListedUpload {
  readonly key: string;
  readonly uploadId: string;
  /** Milliseconds since the epoch, by the target's clock; null where it does not say. */
  readonly initiatedAtMs: number | null;
}

export interface ListedUploads {
  /** Those whose key is exactly the one asked for. */
  readonly uploads: readonly ListedUpload[];
  /** The answer's Date, in milliseconds since the epoch; null where it has none. */
  readonly dateMs: number | null;
  /** Whether there can be no others. */
  readonly complete: boolean;
}

export interface TargetUploads {
  listMultipartUploads(
    key: string,
    options?: RequestOptions,
  ): Promise<RequestResult<ListedUploads>>;
}

export async function listMultipartUploads(
  requester: TargetRequester,
  key: string,
  options: RequestOptions = {},
): Promise<RequestResult<ListedUploads>> {
  const prefix = encodeComponent(key);
  if (prefix === null) return { ok: false, failure: UNSENDABLE };
  const encoding = PLAIN_KEY.test(key) ? '' : 'encoding-type=url&';
  const result = await requester.sendProven(
    {
      ...options,
      method: 'GET',
      key: '',
      query: `${encoding}max-uploads=${LISTED_UPLOADS_MAX}&prefix=${prefix}&uploads=`,
    },
    ({ status, body }) =>
      status === 200 && rootName(body.toString('utf8')) === 'ListMultipartUploadsResult',
  );
  if (!result.ok) return result;
  const { body, bodyCut, headers } = result.value;
  const xml = body.toString('utf8');
  const isEncoded = elementText(xml, 'EncodingType') === 'url';
  const listed = elements(xml, 'Upload').map((upload) => readUpload(upload, key, isEncoded));
  const isReadable = listed.every((upload) => upload !== 'unreadable');
  const isTruncated = elementText(xml, 'IsTruncated') !== 'false';
  return {
    ok: true,
    value: {
      uploads: listed.filter((upload) => typeof upload === 'object'),
      dateMs: parseDate(headers.date),
      complete: isReadable && !isTruncated && !bodyCut,
    },
  };
}

function readUpload(
  xml: string,
  key: string,
  isEncoded: boolean,
): ListedUpload | 'other' | 'unreadable' {
  const written = elementText(xml, 'Key');
  const uploadId = elementText(xml, 'UploadId');
  if (written === null || uploadId === null || !UPLOAD_ID.test(uploadId)) return 'unreadable';
  if (!isWrittenAs(written, key, isEncoded)) return 'other';
  return { key, uploadId, initiatedAtMs: parseDate(elementText(xml, 'Initiated')) };
}

/** Services write a blank as `+` or as `%20`, and a plus as `%2B` or as it is. */
function isWrittenAs(written: string, key: string, isEncoded: boolean): boolean {
  if (!isEncoded) return written === key;
  try {
    return (
      decodeURIComponent(written) === key ||
      decodeURIComponent(written.replaceAll('+', ' ')) === key
    );
  } catch {
    // Not of that encoding, and so not a way to write the key.
    return false;
  }
}

/** An HTTP date or one of ISO 8601. */
function parseDate(date: string | null | undefined): number | null {
  const ms = /^(?:[A-Za-z]{3}, |\d{4}-\d\d-\d\dT)/.test(date ?? '') ? Date.parse(date ?? '') : NaN;
  return Number.isNaN(ms) ? null : ms;
}
