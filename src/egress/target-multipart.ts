/**
 * Multipart uploads to a target: the six operations, each one request.
 *
 * The engine stores the upload id before the first part, and after a crash resumes with what
 * ListParts says or aborts; nothing here remembers an upload.
 */
import type { RequestResult } from '../model/delivery.ts';
import { PARTS_MAX } from '../model/transfer-plan.ts';
import type { ObjectMetadata } from './object-headers.ts';
import { bodyFromMemory, bodyFromSource, type BodySource } from './request-body.ts';
import { contradictsEtag, integrityFailure, normalizeEtag } from './target-answer.ts';
import type { TargetRequester } from './target-request.ts';
import { deleteIfPresent, sendWithMetadata, type RequestOptions } from './target-sending.ts';
import { completeMultipartXml, elements, elementText, rootName } from './target-xml.ts';
import { encodeComponent } from './uri-encoding.ts';

/** A hundred parts of every service known fit into the 64 KiB that are read of an answer. */
const LISTED_PARTS_MAX = 100;
/** Printable and of such a length; those of S3 have some 130 characters, the longest known under 1,000. */
const UPLOAD_ID = /^[\x21-\x7e]{1,2048}$/;
/** What this client compares a listed part with. */
const MD5_ETAG = /^[0-9a-f]{32}$/i;
/** "Processing of a CompleteMultipartUpload request could take several minutes": blanks drip meanwhile. */
const COMPLETE_SLOW_WINDOW_MS = 600_000;

export interface UploadRef {
  readonly key: string;
  readonly uploadId: string;
}

export interface ListedPart {
  readonly partNumber: number;
  /** Without quotes; null where it is no MD5. */
  readonly etag: string | null;
  readonly size: number | null;
}

export interface TargetMultipart {
  createMultipartUpload(
    key: string,
    object: ObjectMetadata,
    options?: RequestOptions,
  ): Promise<RequestResult<{ readonly uploadId: string; readonly tagsRefused: boolean }>>;
  /**
   * A source is opened twice, to be hashed and to be sent. The part's ETag is the target's, or the
   * MD5 of what was sent where it gave none; `md5` is what the final ETag is predicted from. A buffer
   * is its caller's again after a success; after a failure a socket may still hold it.
   *
   * @throws SourceFailure
   */
  uploadPart(
    upload: UploadRef,
    partNumber: number,
    body: Buffer | BodySource,
    options?: RequestOptions,
  ): Promise<RequestResult<{ readonly etag: string; readonly md5: Buffer }>>;
  /** One page, in order of part numbers; `next` is the `after` of the following one, or null. */
  listParts(
    upload: UploadRef,
    after?: number,
    options?: RequestOptions,
  ): Promise<
    RequestResult<{ readonly parts: readonly ListedPart[]; readonly next: number | null }>
  >;
  /**
   * An `etag` of null means that the target did not say what it made of the parts: ask with HEAD.
   *
   * @param predictedEtag `md5(md5s)-n`; compared where the target's ETag is of that form
   */
  completeMultipartUpload(
    upload: UploadRef,
    parts: readonly { readonly partNumber: number; readonly etag: string }[],
    predictedEtag: string,
    options?: RequestOptions,
  ): Promise<RequestResult<{ readonly etag: string | null }>>;
  /** Succeeds too where there is no such upload. */
  abortMultipartUpload(upload: UploadRef, options?: RequestOptions): Promise<RequestResult<null>>;
}

export function createMultipart(requester: TargetRequester): TargetMultipart {
  return {
    createMultipartUpload: (key, object, options) => create(requester, key, object, options),
    uploadPart: (upload, partNumber, body, options) =>
      uploadPart(requester, upload, partNumber, body, options),
    listParts: (upload, after = 0, options) => listParts(requester, upload, after, options),
    completeMultipartUpload: (upload, parts, predictedEtag, options) =>
      complete(requester, upload, { parts, predictedEtag }, options),
    abortMultipartUpload: (upload, { signal } = {}) =>
      deleteIfPresent(
        requester,
        { method: 'DELETE', key: upload.key, query: uploadQuery(upload), signal },
        ['NoSuchUpload', 'NoSuchKey'],
      ),
  };
}

async function create(
  requester: TargetRequester,
  key: string,
  object: ObjectMetadata,
  { signal }: RequestOptions = {},
): ReturnType<TargetMultipart['createMultipartUpload']> {
  const request = { method: 'POST', key, query: 'uploads=', signal } as const;
  const sent = await sendWithMetadata(requester, object, request);
  if (!sent.ok) return sent;
  const { answer, tagsRefused } = sent.value;
  const xml = answer.body.toString('utf8');
  if (rootName(xml) === 'Error') return { ok: false, failure: requester.describe(answer, request) };
  const uploadId = elementText(xml, 'UploadId');
  // It is stored, and part of every request from here on.
  return uploadId === null || !UPLOAD_ID.test(uploadId)
    ? { ok: false, failure: integrityFailure(answer) }
    : { ok: true, value: { uploadId, tagsRefused } };
}

async function uploadPart(
  requester: TargetRequester,
  upload: UploadRef,
  partNumber: number,
  source: Buffer | BodySource,
  { signal }: RequestOptions = {},
): ReturnType<TargetMultipart['uploadPart']> {
  const body = Buffer.isBuffer(source) ? bodyFromMemory(source) : await bodyFromSource(source);
  const result = await requester.send({
    method: 'PUT',
    key: upload.key,
    query: `partNumber=${partNumber}&${uploadQuery(upload)}`,
    signed: [['content-md5', body.md5.toString('base64')]],
    body,
    signal,
  });
  if (!result.ok) return result;
  const { headers } = result.value;
  const md5 = body.md5.toString('hex');
  const etag = normalizeEtag(headers.etag);
  if (contradictsEtag(etag, md5, headers)) {
    return { ok: false, failure: integrityFailure(result.value) };
  }
  return { ok: true, value: { etag: etag ?? md5, md5: body.md5 } };
}

async function listParts(
  requester: TargetRequester,
  upload: UploadRef,
  after: number,
  { signal }: RequestOptions = {},
): ReturnType<TargetMultipart['listParts']> {
  const result = await requester.send({
    method: 'GET',
    key: upload.key,
    query: `max-parts=${LISTED_PARTS_MAX}&part-number-marker=${after}&${uploadQuery(upload)}`,
    signal,
  });
  if (!result.ok) return result;
  const xml = result.value.body.toString('utf8');
  const parts = elements(xml, 'Part').map(readPart);
  const last = parts.at(-1)?.partNumber ?? after;
  const isTruncated = elementText(xml, 'IsTruncated') === 'true';
  const isReadable =
    rootName(xml) === 'ListPartsResult' &&
    !result.value.bodyCut &&
    parts.every(({ partNumber }) => isPartNumber(partNumber)) &&
    // A page that does not advance would be asked for without end.
    (!isTruncated || last > after);
  if (!isReadable) {
    return { ok: false, failure: { ...integrityFailure(result.value), ambiguous: false } };
  }
  return { ok: true, value: { parts, next: isTruncated ? last : null } };
}

function readPart(xml: string): ListedPart {
  const size = elementText(xml, 'Size');
  const etag = normalizeEtag(elementText(xml, 'ETag'));
  return {
    partNumber: Number(elementText(xml, 'PartNumber') ?? NaN),
    etag: etag !== null && MD5_ETAG.test(etag) ? etag : null,
    size: size === null || !/^\d{1,15}$/.test(size) ? null : Number(size),
  };
}

function isPartNumber(number: number): boolean {
  return Number.isInteger(number) && number >= 1 && number <= PARTS_MAX;
}

async function complete(
  requester: TargetRequester,
  upload: UploadRef,
  {
    parts,
    predictedEtag,
  }: {
    readonly parts: readonly { readonly partNumber: number; readonly etag: string }[];
    readonly predictedEtag: string;
  },
  { signal }: RequestOptions = {},
): ReturnType<TargetMultipart['completeMultipartUpload']> {
  const request = {
    method: 'POST',
    key: upload.key,
    query: uploadQuery(upload),
    signed: [['content-type', 'application/xml']],
    body: bodyFromMemory(Buffer.from(completeMultipartXml(parts))),
    slowWindowMs: COMPLETE_SLOW_WINDOW_MS,
    signal,
  } as const;
  const result = await requester.send(request);
  if (!result.ok) return result;
  const xml = result.value.body.toString('utf8');
  // The status goes out before the work is done, so a failure comes as a document.
  if (rootName(xml) === 'Error') {
    return { ok: false, failure: requester.describe(result.value, request) };
  }
  const etag = normalizeEtag(elementText(xml, 'ETag'));
  if (contradictsEtag(etag, predictedEtag, result.value.headers)) {
    return { ok: false, failure: integrityFailure(result.value) };
  }
  return { ok: true, value: { etag } };
}

/** Upload ids are printable ASCII and so always encodable. */
function uploadQuery({ uploadId }: UploadRef): string {
  return `uploadId=${encodeComponent(uploadId) ?? ''}`;
}
