/**
 * PutObject, DeleteObject and DeleteObjects.
 */
import type { DeleteEntry, DeleteResult } from '../objects/types.ts';
import { answerEmpty, answerXml } from './answers.ts';
import { documentBody, objectBody } from './body.ts';
import { checksumHeaders } from './checksums.ts';
import { writeConditions } from './conditions.ts';
import { S3Error } from './errors.ts';
import { readMetadata, readTags, refuseUnsupportedHeaders } from './object-headers.ts';
import { isReplica, ownBucket, type Operation } from './operation.ts';
import { checkKey } from './request-target.ts';
import { deletionHeaders, versionHeader } from './version-headers.ts';
import { versionIdOf } from './version-ids.ts';
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

const DELETE_ENTRIES_MAX = 1000;
/** An object has a key, a version id and up to three conditions, and the root a few elements more. */
const DELETE_LIMITS = { nodesMax: DELETE_ENTRIES_MAX * 6 + 16 };
/** 1,000 keys of 1,024 bytes, every other byte escaped. */
const DELETE_DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;

export const putObject: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(headers);
  const conditions = writeConditions(headers);
  const result = await services.objects.put(bucket, target.key, {
    ...objectBody(request),
    ...readMetadata(headers),
    tags: readTags(headers),
    replica: isReplica(request),
    ...(conditions !== undefined && { conditions }),
  });
  ctx.set('ETag', `"${result.etag}"`);
  ctx.set(versionHeader(bucket, result.versionId));
  ctx.set(checksumHeaders(result.checksums));
  await answerEmpty(ctx, 200);
};

export const deleteObject: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(headers);
  if ('if-match' in headers) throw new S3Error('NotImplemented');
  const versionId = versionIdOf(target.query);
  const entry = { key: target.key, ...(versionId !== undefined && { versionId }) };
  const result = await services.objects.delete(bucket, entry, { replica: isReplica(request) });
  ctx.set(deletionHeaders(bucket, result));
  await answerEmpty(ctx, 204);
};

export const deleteObjects: Operation = async (request, services) => {
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(request.headers);
  const body = await documentBody(request, DELETE_DOCUMENT_BYTES_MAX);
  const root = readDocument(body, 'Delete', DELETE_LIMITS);
  const isQuiet = childText(root, 'Quiet')?.trim() === 'true';
  const objects = childrenNamed(root, 'Object');
  if (objects.length === 0 || objects.length > DELETE_ENTRIES_MAX) {
    throw new S3Error('MalformedXML', { message: 'Name 1 to 1,000 objects.' });
  }
  const parsed = objects.map(readEntry);
  const valid = parsed.flatMap((one) => (one.error === undefined ? [one.entry] : []));
  const replica = isReplica(request);
  const results = await services.objects.deleteMany(bucket, valid, { replica });
  const deleted = isQuiet ? [] : valid.map((entry, index) => deletedElement(entry, results[index]));
  const failed = parsed.flatMap((one) => (one.error === undefined ? [] : [errorElement(one)]));
  await answerXml(request.ctx, document('DeleteResult', ...deleted, ...failed));
};

interface ParsedEntry {
  readonly entry: DeleteEntry;
  readonly error?: S3Error;
}

/** A key that cannot exist is an error of its own entry; the others go on. */
function readEntry(object: XmlElement): ParsedEntry {
  const key = requiredText(object, 'Key');
  const versionId = childText(object, 'VersionId');
  for (const condition of ['ETag', 'LastModifiedTime', 'Size']) {
    if (childText(object, condition) !== undefined) throw new S3Error('NotImplemented');
  }
  const entry = { key, ...(versionId !== undefined && { versionId }) };
  if (key === '') return { entry, error: new S3Error('InvalidArgument') };
  try {
    checkKey(key);
    return { entry };
  } catch (error) {
    if (error instanceof S3Error) return { entry, error };
    throw error;
  }
}

function deletedElement(entry: DeleteEntry, result: DeleteResult | undefined): string {
  const isMarker = result?.deleteMarker === true;
  return element(
    'Deleted',
    field('Key', entry.key),
    field('VersionId', entry.versionId),
    isMarker ? field('DeleteMarker', true) : '',
    isMarker ? field('DeleteMarkerVersionId', result.versionId) : '',
  );
}

function errorElement({ entry, error }: ParsedEntry): string {
  return element(
    'Error',
    field('Key', entry.key),
    field('VersionId', entry.versionId),
    field('Code', error?.code),
    field('Message', error?.message),
  );
}
