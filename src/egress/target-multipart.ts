/**
 * Multipart uploads to a target: the operations on one upload, each one request.
 *
 * The engine stores the upload id before the first part, and after a crash resumes with what
 * ListParts says or aborts; nothing here remembers an upload.
 */
import type { RequestResult } from '../model/delivery.ts';
import { PARTS_MAX } from '../model/transfer-plan.ts';
import type { ObjectMetadata } from './object-headers.ts';
import { bodyFromMemory, bodyOf, type BodySource } from './request-body.ts';
import {
  contradictsEtag,
  integrityFailure,
  normalizeEtag,
  unprovenFailure,
} from './target-answer.ts';
import { isCompleted } from './target-proof.ts';
import type { TargetRequester } from './target-request.ts';
import {
  deleteIfPresent,
  readStored,
  sendWithMetadata,
  type RequestOptions,
  type Sender,
  type TagsSent,
} from './target-sending.ts';
import { completeMultipartXml, elements, elementText, rootName } from './target-xml.ts';
import { encodeComponent } from './uri-encoding.ts';

/** A hundred parts of every service known fit into the 64 KiB that are read of an answer. */
const LISTED_PARTS_MAX = 100;
/** Printable and of such a length; those of S3 have some 130 characters, the longest known under 1,000. */
export const UPLOAD_ID = /^[\x21-\x7e]{1,2048}$/;
/** What this client compares a listed part with. */
const MD5_ETAG = /^[0-9a-f]{32}$/i;
/** "Processing of a CompleteMultipartUpload request could take several minutes": blanks drip meanwhile. */
export const COMPLETE_SLOW_WINDOW_MS = 600_000;

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
  ): Promise<RequestResult<{ readonly uploadId: string; readonly tags: TagsSent }>>;
  /**
   * A source is opened twice, to be hashed and to be sent. The part's ETag is the target's; `md5` is
   * what the final ETag is predicted from.
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

export function createMultipart(sender: Sender): TargetMultipart {
  const { requester } = sender;
  return {
    createMultipartUpload: (key, object, options) => create(sender, key, object, options),
    uploadPart: (upload, partNumber, body, options) =>
      uploadPart(requester, upload, partNumber, body, options),
    listParts: (upload, after = 0, options) => listParts(requester, upload, after, options),
    completeMultipartUpload: (upload, parts, predictedEtag, options) =>
      complete(requester, upload, { parts, predictedEtag }, options),
    abortMultipartUpload: (upload, options) =>
      deleteIfPresent(
        requester,
        { ...options, method: 'DELETE', key: upload.key, query: uploadQuery(upload) },
        ['NoSuchUpload', 'NoSuchKey'],
      ),
  };
}

async function create(
  sender: Sender,
  key: string,
  object: ObjectMetadata,
  options: RequestOptions = {},
): ReturnType<TargetMultipart['createMultipartUpload']> {
  const request = { ...options, method: 'POST', key, query: 'uploads=' } as const;
  return sendWithMetadata(sender, object, request, (answer) => {
    const uploadId = elementText(answer.body.toString('utf8'), 'UploadId');
    // It is stored, and part of every request from here on.
    return uploadId === null || !UPLOAD_ID.test(uploadId)
      ? { ok: false, failure: unprovenFailure(answer, true) }
      : { ok: true, value: { uploadId } };
  });
}

async function uploadPart(
  requester: TargetRequester,
  upload: UploadRef,
  partNumber: number,
  source: Buffer | BodySource,
  options: RequestOptions = {},
): ReturnType<TargetMultipart['uploadPart']> {
  const body = await bodyOf(source);
  const result = await requester.send({
    ...options,
    method: 'PUT',
    key: upload.key,
    query: `partNumber=${partNumber}&${uploadQuery(upload)}`,
    signed: [['content-md5', body.md5.toString('base64')]],
    body,
  });
  if (!result.ok) return result;
  const stored = readStored(result.value, body.md5.toString('hex'));
  return stored.ok ? { ok: true, value: { ...stored.value, md5: body.md5 } } : stored;
}

async function listParts(
  requester: TargetRequester,
  upload: UploadRef,
  after: number,
  options: RequestOptions = {},
): ReturnType<TargetMultipart['listParts']> {
  const result = await requester.send({
    ...options,
    method: 'GET',
    key: upload.key,
    query: `max-parts=${LISTED_PARTS_MAX}&part-number-marker=${after}&${uploadQuery(upload)}`,
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
  options: RequestOptions = {},
): ReturnType<TargetMultipart['completeMultipartUpload']> {
  const request = {
    ...options,
    method: 'POST',
    key: upload.key,
    query: uploadQuery(upload),
    signed: [['content-type', 'application/xml']],
    body: bodyFromMemory(Buffer.from(completeMultipartXml(parts))),
    slowWindowMs: COMPLETE_SLOW_WINDOW_MS,
    awaits: 'completion',
  } as const;
  const result = await requester.sendProven(request, isCompleted);
  if (!result.ok) return result;
  const etag = normalizeEtag(elementText(result.value.body.toString('utf8'), 'ETag'));
  if (contradictsEtag(etag, predictedEtag, result.value.headers)) {
    return { ok: false, failure: integrityFailure(result.value) };
  }
  return { ok: true, value: { etag } };
}

/** Upload ids are printable ASCII and so always encodable. */
function uploadQuery({ uploadId }: UploadRef): string {
  return `uploadId=${encodeComponent(uploadId) ?? ''}`;
}
