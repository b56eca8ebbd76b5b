/**
 * Multipart uploads: create, part, complete, abort, and both listings.
 */
import type { Checksums, CompletedPart } from '../objects/types.ts';
import { answerEmpty, answerXml } from './answers.ts';
import { documentBody, objectBody } from './body.ts';
import { checksumAlgorithms, checksumElement, checksumHeaders } from './checksums.ts';
import { bareEtag, writeConditions } from './conditions.ts';
import { commonPrefixes, keyEncoder, prefixAndDelimiter } from './listing-operations.ts';
import { readMetadata, readTags, refuseUnsupportedHeaders } from './object-headers.ts';
import { isReplica, ownBucket, type Operation } from './operation.ts';
import { checkPartNumber, readCount, readPageSize, readPartNumber } from './query-numbers.ts';
import type { Query } from './request-target.ts';
import { S3Error } from './errors.ts';
import { versionHeader } from './version-headers.ts';
import {
  childrenNamed,
  childText,
  document,
  element,
  field,
  requiredText,
  type XmlElement,
} from './xml.ts';
import { readDocument } from './xml-reader.ts';

/** 10,000 parts with ETag, number and a SHA-256 each, with room for white space. */
const COMPLETE_DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;
const PARTS_MAX = 10_000;
/** A part has a number, an ETag and one value for each checksum. */
const COMPLETE_LIMITS = { nodesMax: PARTS_MAX * 8 + 16 };

export const createUpload: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(headers);
  const { uploadId } = await services.objects.createUpload(bucket, target.key, {
    ...readMetadata(headers),
    tags: readTags(headers),
    replica: isReplica(request),
  });
  const fields = [
    field('Bucket', bucket.name),
    field('Key', target.key),
    field('UploadId', uploadId),
  ];
  await answerXml(ctx, document('InitiateMultipartUploadResult', ...fields));
};

export const uploadPart: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(headers);
  const part = await services.objects.uploadPart(
    bucket,
    target.key,
    uploadIdOf(target.query),
    readPartNumber(target.query),
    objectBody(request),
  );
  ctx.set('ETag', `"${part.etag}"`);
  ctx.set(checksumHeaders(part.checksums));
  await answerEmpty(ctx, 200);
};

export const completeUpload: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  const body = await documentBody(request, COMPLETE_DOCUMENT_BYTES_MAX);
  const parts = readParts(readDocument(body, 'CompleteMultipartUpload', COMPLETE_LIMITS));
  const conditions = writeConditions(headers);
  const result = await services.objects.completeUpload(
    bucket,
    target.key,
    uploadIdOf(target.query),
    { parts, ...(conditions !== undefined && { conditions }) },
  );
  ctx.set(versionHeader(bucket, result.versionId));
  const fields = [
    field('Location', `http://${headers.host ?? ''}${ctx.req.url?.split('?', 1)[0] ?? ''}`),
    field('Bucket', bucket.name),
    field('Key', target.key),
    field('ETag', `"${result.etag}"`),
  ];
  await answerXml(ctx, document('CompleteMultipartUploadResult', ...fields));
};

export const abortUpload: Operation = async (request, services) => {
  const { ctx, target } = request;
  const bucket = ownBucket(request, services);
  await services.objects.abortUpload(bucket, target.key, uploadIdOf(target.query));
  await answerEmpty(ctx, 204);
};

export const listParts: Operation = async (request, services) => {
  const { ctx, target } = request;
  const bucket = ownBucket(request, services);
  const encode = keyEncoder(target.query);
  const uploadId = uploadIdOf(target.query);
  const maxParts = readPageSize(target.query, 'max-parts');
  const partNumberMarker = readCount(target.query, 'part-number-marker');
  const result = await services.objects.listParts(bucket, target.key, uploadId, {
    maxParts,
    ...(partNumberMarker !== undefined && { partNumberMarker }),
  });
  const parts = result.parts.map((part) =>
    element(
      'Part',
      field('PartNumber', part.partNumber),
      field('LastModified', new Date(part.lastModified).toISOString()),
      field('ETag', `"${part.etag}"`),
      field('Size', part.size),
      ...checksumAlgorithms.map((name) => field(checksumElement(name), part.checksums[name])),
    ),
  );
  const fields = [
    field('Bucket', bucket.name),
    field('Key', encode(target.key)),
    field('UploadId', uploadId),
    field('EncodingType', target.query.get('encoding-type') || undefined),
    field('StorageClass', 'STANDARD'),
    field('PartNumberMarker', partNumberMarker ?? 0),
    field('NextPartNumberMarker', result.next),
    field('MaxParts', maxParts),
    field('IsTruncated', result.next !== undefined),
  ];
  await answerXml(ctx, document('ListPartsResult', ...fields, ...parts));
};

export const listUploads: Operation = async (request, services) => {
  const { query } = request.target;
  const bucket = ownBucket(request, services);
  const encode = keyEncoder(query);
  const maxUploads = readPageSize(query, 'max-uploads');
  const keyMarker = query.get('key-marker') || undefined;
  const uploadIdMarker = query.get('upload-id-marker') || undefined;
  const result = await services.objects.listUploads(bucket, {
    ...prefixAndDelimiter(query),
    ...(keyMarker !== undefined && { keyMarker }),
    ...(keyMarker !== undefined && uploadIdMarker !== undefined && { uploadIdMarker }),
    maxUploads,
  });
  const uploads = result.uploads.map((upload) =>
    element(
      'Upload',
      field('Key', encode(upload.key)),
      field('UploadId', upload.uploadId),
      field('StorageClass', 'STANDARD'),
      field('Initiated', new Date(upload.initiated).toISOString()),
    ),
  );
  const fields = [
    field('Bucket', bucket.name),
    field('Prefix', encode(query.get('prefix') ?? '')),
    field('Delimiter', encode(query.get('delimiter') || undefined)),
    field('EncodingType', query.get('encoding-type') || undefined),
    field('KeyMarker', encode(keyMarker ?? '')),
    field('UploadIdMarker', uploadIdMarker ?? ''),
    field('NextKeyMarker', encode(result.next?.key)),
    field('NextUploadIdMarker', result.next?.uploadId),
    field('MaxUploads', maxUploads),
    field('IsTruncated', result.next !== undefined),
  ];
  const prefixes = commonPrefixes(result.commonPrefixes, encode);
  await answerXml(
    request.ctx,
    document('ListMultipartUploadsResult', ...fields, ...uploads, ...prefixes),
  );
};

function uploadIdOf(query: Query): string {
  return query.get('uploadId') ?? '';
}

/** @throws S3Error MalformedXML, InvalidArgument for a part number */
function readParts(root: XmlElement): CompletedPart[] {
  const parts = childrenNamed(root, 'Part');
  if (parts.length === 0 || parts.length > PARTS_MAX) {
    throw new S3Error('MalformedXML', { message: 'Name 1 to 10,000 parts.' });
  }
  return parts.map((part) => {
    const checksums = partChecksums(part);
    return {
      partNumber: checkPartNumber(requiredText(part, 'PartNumber').trim()),
      etag: bareEtag(requiredText(part, 'ETag')),
      ...(Object.keys(checksums).length > 0 && { checksums }),
    };
  });
}

function partChecksums(part: XmlElement): Checksums {
  const found = checksumAlgorithms.flatMap((algorithm) => {
    const value = childText(part, checksumElement(algorithm));
    return value === undefined ? [] : [[algorithm, value] as const];
  });
  return Object.fromEntries(found);
}
