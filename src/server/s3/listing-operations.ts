/**
 * ListObjects (V1 and V2) and ListObjectVersions.
 */
import type { StoredHead, VersionEntry } from '../objects/types.ts';
import { answerXml } from './answers.ts';
import { S3Error } from './errors.ts';
import { ownBucket, type Operation, type S3Request, type S3Services } from './operation.ts';
import { encodePath } from './percent-encoding.ts';
import { readPageSize } from './query-numbers.ts';
import type { Query } from './request-target.ts';
import { document, element, field } from './xml.ts';

/** Writes a key as the client asked for it: plain, or percent-encoded. */
export type KeyEncoder = (text: string | undefined) => string | undefined;

export const listObjects: Operation = async (request, services) => {
  const { query } = request.target;
  const marker = query.get('marker');
  const page = await listPage(request, services, marker);
  const { encode, result } = page;
  await answerXml(
    request.ctx,
    document(
      'ListBucketResult',
      ...page.head,
      field('Marker', encode(marker ?? '')),
      field('NextMarker', encode(result.next)),
      ...result.objects.map((head) => contents(head, encode, page.ownerId)),
      ...commonPrefixes(result.commonPrefixes, encode),
    ),
  );
};

export const listObjectsV2: Operation = async (request, services) => {
  const { query } = request.target;
  if (query.get('list-type') !== '2') throw invalid('list-type must be 2.');
  const token = query.get('continuation-token');
  const startAfter = query.get('start-after');
  const after = token === undefined ? startAfter : decodeToken(token);
  const page = await listPage(request, services, after);
  const { encode, result } = page;
  const owner = query.get('fetch-owner') === 'true' ? page.ownerId : undefined;
  await answerXml(
    request.ctx,
    document(
      'ListBucketResult',
      ...page.head,
      field('KeyCount', result.objects.length + result.commonPrefixes.length),
      field('StartAfter', encode(startAfter)),
      field('ContinuationToken', token),
      field(
        'NextContinuationToken',
        result.next === undefined ? undefined : encodeToken(result.next),
      ),
      ...result.objects.map((head) => contents(head, encode, owner)),
      ...commonPrefixes(result.commonPrefixes, encode),
    ),
  );
};

export const listObjectVersions: Operation = async (request, services) => {
  const { query } = request.target;
  const bucket = ownBucket(request, services);
  const encode = keyEncoder(query);
  const maxKeys = readPageSize(query, 'max-keys');
  const keyMarker = query.get('key-marker') || undefined;
  const versionIdMarker = query.get('version-id-marker') || undefined;
  if (versionIdMarker !== undefined && keyMarker === undefined) {
    throw invalid('version-id-marker needs key-marker.');
  }
  const result = await services.objects.listVersions(bucket, {
    ...prefixAndDelimiter(query),
    ...(keyMarker !== undefined && { keyMarker }),
    ...(versionIdMarker !== undefined && { versionIdMarker }),
    maxKeys,
  });
  await answerXml(
    request.ctx,
    document(
      'ListVersionsResult',
      ...listHead(request, bucket.name, maxKeys, result.next !== undefined),
      field('KeyMarker', encode(keyMarker ?? '')),
      field('VersionIdMarker', versionIdMarker ?? ''),
      field('NextKeyMarker', encode(result.next?.key)),
      field('NextVersionIdMarker', result.next?.versionId),
      ...result.versions.map((version) => versionElement(version, encode, bucket.ownerId)),
      ...commonPrefixes(result.commonPrefixes, encode),
    ),
  );
};

/** @throws S3Error InvalidArgument for an encoding other than `url` */
export function keyEncoder(query: Query): KeyEncoder {
  const encoding = query.get('encoding-type');
  if (encoding === undefined || encoding === '') return (text) => text;
  if (encoding !== 'url') throw invalid('encoding-type must be url.');
  return (text) => (text === undefined ? undefined : encodePath(text));
}

export function commonPrefixes(prefixes: readonly string[], encode: KeyEncoder): string[] {
  return prefixes.map((prefix) => element('CommonPrefixes', field('Prefix', encode(prefix))));
}

/** Prefix and delimiter where they are given and not empty. */
export function prefixAndDelimiter(query: Query): { prefix?: string; delimiter?: string } {
  const prefix = query.get('prefix');
  const delimiter = query.get('delimiter');
  return { ...(prefix && { prefix }), ...(delimiter && { delimiter }) };
}

async function listPage(request: S3Request, services: S3Services, after: string | undefined) {
  const { query } = request.target;
  const bucket = ownBucket(request, services);
  const encode = keyEncoder(query);
  const maxKeys = readPageSize(query, 'max-keys');
  const result = await services.objects.list(bucket, {
    ...prefixAndDelimiter(query),
    ...(after && { after }),
    maxKeys,
  });
  const head = listHead(request, bucket.name, maxKeys, result.next !== undefined);
  return { result, encode, head, ownerId: bucket.ownerId };
}

/** The elements that all three answers begin with. */
function listHead(
  { target: { query } }: S3Request,
  name: string,
  maxKeys: number,
  isTruncated: boolean,
): string[] {
  const encode = keyEncoder(query);
  return [
    field('Name', name),
    field('Prefix', encode(query.get('prefix') ?? '')),
    field('Delimiter', encode(query.get('delimiter') || undefined)),
    field('MaxKeys', maxKeys),
    field('EncodingType', query.get('encoding-type') || undefined),
    field('IsTruncated', isTruncated),
  ];
}

function contents(head: StoredHead, encode: KeyEncoder, ownerId: string | undefined): string {
  return element('Contents', field('Key', encode(head.key)), ...objectFields(head), owner(ownerId));
}

function versionElement(version: VersionEntry, encode: KeyEncoder, ownerId: string): string {
  const common = [
    field('Key', encode(version.key)),
    field('VersionId', version.versionId),
    field('IsLatest', version.isLatest),
  ];
  if (version.deleteMarker) {
    return element('DeleteMarker', ...common, lastModified(version), owner(ownerId));
  }
  return element('Version', ...common, ...objectFields(version), owner(ownerId));
}

function objectFields(head: StoredHead): string[] {
  return [
    lastModified(head),
    field('ETag', `"${head.etag}"`),
    field('Size', head.size),
    field('StorageClass', 'STANDARD'),
  ];
}

function lastModified(head: StoredHead): string {
  return field('LastModified', new Date(head.lastModified).toISOString());
}

function owner(id: string | undefined): string {
  return id === undefined ? '' : element('Owner', field('ID', id));
}

function encodeToken(next: string): string {
  return Buffer.from(next).toString('base64url');
}

function decodeToken(token: string): string {
  const next = Buffer.from(token, 'base64url').toString();
  if (next === '' || encodeToken(next) !== token)
    throw invalid('The continuation token is not valid.');
  return next;
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidArgument', { message });
}
