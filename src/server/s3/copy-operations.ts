/**
 * CopyObject and UploadPartCopy, which read their source from `x-amz-copy-source`.
 */
import type { CopySource, Metadata, StoredHead } from '../objects/types.ts';
import { answerXml } from './answers.ts';
import { checkCopyConditions, parseCopyRange, writeConditions } from './conditions.ts';
import { S3Error } from './errors.ts';
import { readMetadata, readTags, refuseUnsupportedHeaders } from './object-headers.ts';
import {
  isReplica,
  ownBucket,
  ownBucketNamed,
  type Operation,
  type S3Request,
} from './operation.ts';
import type { S3Services } from './operation.ts';
import { decodePercent } from './percent-encoding.ts';
import { checkKey } from './request-target.ts';
import { readPartNumber } from './query-numbers.ts';
import { versionHeader } from './version-headers.ts';
import { checkVersionId } from './version-ids.ts';
import { document, field } from './xml.ts';

const SOURCE_VERSION_HEADER = 'x-amz-copy-source-version-id';
/** "Copying objects": larger ones are copied in parts. */
const COPY_BYTES_MAX = 5 * 1024 ** 3;

export const copyObject: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(headers);
  const source = readSource(request, services);
  const replaces = {
    metadata: directive(request, 'x-amz-metadata-directive'),
    tags: directive(request, 'x-amz-tagging-directive'),
  };
  const isSelf = source.bucket.id === bucket.id && source.key === target.key;
  if (isSelf && source.versionId === undefined && !replaces.metadata && !replaces.tags) {
    throw new S3Error('InvalidRequest', {
      message: 'A copy of an object onto itself has to change its metadata or tags.',
    });
  }
  const metadata: Metadata | undefined = replaces.metadata ? readMetadata(headers) : undefined;
  const conditions = writeConditions(headers);
  const { head, sourceVersionId } = await services.objects.copy(bucket, target.key, {
    source,
    ...(metadata !== undefined && { metadata }),
    ...(replaces.tags && { tags: readTags(headers) }),
    replica: isReplica(request),
    ...(conditions !== undefined && { conditions }),
    checkSource: (found) => {
      checkCopyConditions(headers, found);
      if (found.size > COPY_BYTES_MAX) {
        throw new S3Error('InvalidRequest', { message: 'Copy more than 5 GiB in parts.' });
      }
    },
  });
  ctx.set(versionHeader(bucket, head.versionId));
  ctx.set(versionHeader(source.bucket, sourceVersionId, SOURCE_VERSION_HEADER));
  await answerXml(ctx, copyDocument('CopyObjectResult', head));
};

export const uploadPartCopy: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  refuseUnsupportedHeaders(headers);
  const source = readSource(request, services);
  const rangeHeader = headers['x-amz-copy-source-range'];
  const part = await services.objects.uploadPartCopy(
    bucket,
    target.key,
    target.query.get('uploadId') ?? '',
    readPartNumber(target.query),
    {
      source,
      ...(typeof rangeHeader === 'string' && { range: parseCopyRange(rangeHeader) }),
      checkSource: (found) => checkCopyConditions(headers, found),
    },
  );
  ctx.set(versionHeader(source.bucket, part.sourceVersionId, SOURCE_VERSION_HEADER));
  await answerXml(ctx, copyDocument('CopyPartResult', part));
};

/**
 * `[/]bucket/key[?versionId=…]`, percent-encoded.
 *
 * @throws S3Error InvalidArgument, and NoSuchBucket or AccessDenied for the source's bucket
 */
function readSource(request: S3Request, services: S3Services): SourceInOwnBucket {
  const text = String(request.headers['x-amz-copy-source'] ?? '').replace(/^\//, '');
  const [path = '', versionId] = text.split('?versionId=');
  const slash = path.indexOf('/');
  const bucketName = slash === -1 ? '' : decodePercent(path.slice(0, slash));
  const key = slash === -1 ? '' : checkKey(decodePercent(path.slice(slash + 1)));
  if (bucketName === '' || key === '') {
    throw new S3Error('InvalidArgument', {
      message: 'x-amz-copy-source must be bucket/key, percent-encoded.',
    });
  }
  return {
    bucket: ownBucketNamed(bucketName, request, services),
    key,
    ...(versionId !== undefined && { versionId: checkVersionId(decodePercent(versionId)) }),
  };
}

interface SourceInOwnBucket extends CopySource {
  readonly bucket: ReturnType<typeof ownBucketNamed>;
}

/** Whether a directive says REPLACE. @throws S3Error InvalidArgument */
function directive({ headers }: S3Request, name: string): boolean {
  const value = headers[name] ?? 'COPY';
  if (value === 'REPLACE' || value === 'COPY') return value === 'REPLACE';
  throw new S3Error('InvalidArgument', { message: `${name} must be COPY or REPLACE.` });
}

function copyDocument(
  root: string,
  { etag, lastModified }: Pick<StoredHead, 'etag' | 'lastModified'>,
): string {
  return document(
    root,
    field('ETag', `"${etag}"`),
    field('LastModified', new Date(lastModified).toISOString()),
  );
}
