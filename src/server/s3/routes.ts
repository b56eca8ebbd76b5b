/**
 * Which operation a request asks for.
 *
 * S3 tells operations apart by method, resource and query: a *subresource* is a query parameter that
 * names an operation. Every operation lists the further parameters that it understands, and whatever
 * else is in the query is NotImplemented: to ignore, say, `?acl` would be to answer something else
 * than what was asked.
 */
import {
  bucketReplication,
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
  putBucketVersioning,
} from './bucket-operations.ts';
import { copyObject, uploadPartCopy } from './copy-operations.ts';
import { S3Error } from './errors.ts';
import { listObjects, listObjectsV2, listObjectVersions } from './listing-operations.ts';
import {
  abortUpload,
  completeUpload,
  createUpload,
  listParts,
  listUploads,
  uploadPart,
} from './multipart-operations.ts';
import { overrideParameters } from './object-headers.ts';
import { getObject, headObject } from './object-reads.ts';
import { deleteObject, deleteObjects, putObject } from './object-writes.ts';
import type { Operation } from './operation.ts';
import type { RequestTarget } from './request-target.ts';
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './tagging-operations.ts';

type Resource = 'service' | 'bucket' | 'object';

interface Route {
  readonly method: string;
  readonly resource: Resource;
  readonly subresource?: string;
  /** Whether the route is the one with `x-amz-copy-source`. */
  readonly copies?: true;
  /** Further query parameters that the operation reads or may safely ignore. */
  readonly parameters?: readonly string[];
  readonly run: Operation;
}

const listing = ['prefix', 'delimiter', 'encoding-type'];
const version = ['versionId'];
const part = ['partNumber'];
/** The SDKs name the operation in it, for their logs. */
const OPERATION_NAME = 'x-id';

// prettier-ignore
const routes: readonly Route[] = [
  { method: 'GET', resource: 'service', parameters: ['prefix'], run: listBuckets },

  { method: 'PUT', resource: 'bucket', run: createBucket },
  { method: 'HEAD', resource: 'bucket', run: headBucket },
  { method: 'DELETE', resource: 'bucket', run: deleteBucket },
  { method: 'GET', resource: 'bucket', subresource: 'location', run: getBucketLocation },
  { method: 'GET', resource: 'bucket', subresource: 'versioning', run: getBucketVersioning },
  { method: 'PUT', resource: 'bucket', subresource: 'versioning', run: putBucketVersioning },
  { method: 'GET', resource: 'bucket', subresource: 'replication', run: bucketReplication },
  { method: 'PUT', resource: 'bucket', subresource: 'replication', run: bucketReplication },
  { method: 'DELETE', resource: 'bucket', subresource: 'replication', run: bucketReplication },
  { method: 'POST', resource: 'bucket', subresource: 'delete', run: deleteObjects },

  { method: 'GET', resource: 'bucket', parameters: [...listing, 'marker', 'max-keys'], run: listObjects },
  { method: 'GET', resource: 'bucket', subresource: 'list-type', parameters: [...listing, 'continuation-token', 'start-after', 'fetch-owner', 'max-keys'], run: listObjectsV2 },
  { method: 'GET', resource: 'bucket', subresource: 'versions', parameters: [...listing, 'key-marker', 'version-id-marker', 'max-keys'], run: listObjectVersions },
  { method: 'GET', resource: 'bucket', subresource: 'uploads', parameters: [...listing, 'key-marker', 'upload-id-marker', 'max-uploads'], run: listUploads },

  { method: 'PUT', resource: 'object', run: putObject },
  { method: 'PUT', resource: 'object', copies: true, run: copyObject },
  { method: 'GET', resource: 'object', parameters: [...version, ...overrideParameters], run: getObject },
  { method: 'HEAD', resource: 'object', parameters: [...version, ...overrideParameters], run: headObject },
  { method: 'DELETE', resource: 'object', parameters: version, run: deleteObject },

  { method: 'GET', resource: 'object', subresource: 'tagging', parameters: version, run: getObjectTagging },
  { method: 'PUT', resource: 'object', subresource: 'tagging', parameters: version, run: putObjectTagging },
  { method: 'DELETE', resource: 'object', subresource: 'tagging', parameters: version, run: deleteObjectTagging },

  { method: 'POST', resource: 'object', subresource: 'uploads', run: createUpload },
  { method: 'POST', resource: 'object', subresource: 'uploadId', run: completeUpload },
  { method: 'PUT', resource: 'object', subresource: 'uploadId', parameters: part, run: uploadPart },
  { method: 'PUT', resource: 'object', subresource: 'uploadId', copies: true, parameters: part, run: uploadPartCopy },
  { method: 'DELETE', resource: 'object', subresource: 'uploadId', run: abortUpload },
  { method: 'GET', resource: 'object', subresource: 'uploadId', parameters: ['max-parts', 'part-number-marker', 'encoding-type'], run: listParts },
];

const methods = new Set(routes.map(({ method }) => method));

/**
 * @param copies whether the request carries `x-amz-copy-source`
 * @throws S3Error NotImplemented, MethodNotAllowed for a method that S3 does not have
 */
export function findOperation(method: string, target: RequestTarget, copies: boolean): Operation {
  if (!methods.has(method)) throw new S3Error('MethodNotAllowed');
  const { query } = target;
  const candidates = routes.filter(
    (route) =>
      route.method === method &&
      route.resource === resourceOf(target) &&
      (route.copies ?? false) === (copies && method === 'PUT'),
  );
  const route =
    candidates.find(({ subresource }) => subresource !== undefined && query.has(subresource)) ??
    candidates.find(({ subresource }) => subresource === undefined);
  if (route === undefined) throw new S3Error('NotImplemented');
  const known = new Set([OPERATION_NAME, route.subresource, ...(route.parameters ?? [])]);
  const unknown = query.pairs.find(([name]) => !known.has(name));
  if (unknown === undefined) return route.run;
  throw new S3Error('NotImplemented', {
    message: 'A parameter of the query is not supported here.',
    elements: { ArgumentName: unknown[0] },
  });
}

function resourceOf({ bucket, key }: RequestTarget): Resource {
  if (bucket === '') return 'service';
  return key === '' ? 'bucket' : 'object';
}
