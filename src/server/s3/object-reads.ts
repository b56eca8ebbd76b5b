/**
 * GetObject and HeadObject.
 */
import type { Bucket, ByteRange } from '../../host.ts';
import type { StoredHead } from '../objects/types.ts';
import { answerHead, answerStream } from './answers.ts';
import { checkReadConditions, selectRange } from './conditions.ts';
import { S3Error } from './errors.ts';
import { objectHeaders, overrideParameters, requestedChecksums } from './object-headers.ts';
import { ownBucket, type Operation, type S3Request, type S3Services } from './operation.ts';
import { replicationHeader, versionHeader } from './version-headers.ts';
import { versionIdOf } from './version-ids.ts';

export const getObject: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  const versionId = versionIdOf(target.query);
  const overrides = responseOverrides(request);
  const opened = await services.objects.open(bucket, target.key, {
    ...(versionId !== undefined && { versionId }),
    select: (head) => {
      if (head.deleteMarker) return undefined;
      checkReadConditions(headers, head);
      return selectRange(headers.range, head.size);
    },
  });
  const head = existing(opened?.head ?? null, bucket, versionId);
  const { body, range } = opened!;
  try {
    ctx.set(await versionHeaders(request, services, bucket, head));
    ctx.set(overrides);
    setLength(request, head, range);
  } catch (error) {
    body!.destroy();
    throw error;
  }
  await answerStream(ctx, range === undefined ? 200 : 206, body!);
};

export const headObject: Operation = async (request, services) => {
  const { ctx, headers, target } = request;
  const bucket = ownBucket(request, services);
  const versionId = versionIdOf(target.query);
  const overrides = responseOverrides(request);
  const found = await services.objects.head(bucket, target.key, versionId);
  const head = existing(found, bucket, versionId);
  checkReadConditions(headers, head);
  const range = selectRange(headers.range, head.size);
  ctx.set(await versionHeaders(request, services, bucket, head));
  ctx.set(overrides);
  setLength(request, head, range);
  await answerHead(ctx, range === undefined ? 200 : 206);
};

/** @throws S3Error NoSuchKey, NoSuchVersion; for a delete marker NoSuchKey, or MethodNotAllowed when it was named */
function existing(
  head: StoredHead | null,
  bucket: Bucket,
  versionId: string | undefined,
): StoredHead {
  if (head === null) throw new S3Error(versionId === undefined ? 'NoSuchKey' : 'NoSuchVersion');
  if (!head.deleteMarker) return head;
  throw new S3Error(versionId === undefined ? 'NoSuchKey' : 'MethodNotAllowed', {
    headers: {
      'x-amz-delete-marker': 'true',
      ...versionHeader(bucket, head.versionId),
      ...(versionId !== undefined && {
        'Last-Modified': new Date(head.lastModified).toUTCString(),
      }),
    },
  });
}

async function versionHeaders(
  { headers }: S3Request,
  services: S3Services,
  bucket: Bucket,
  head: StoredHead,
): Promise<Record<string, string>> {
  return {
    ...objectHeaders(head),
    ...versionHeader(bucket, head.versionId),
    // A checksum of the whole object says nothing of a part of it.
    ...(headers.range === undefined && requestedChecksums(headers, head)),
    ...(await replicationHeader(services, bucket, head)),
  };
}

function setLength({ ctx }: S3Request, head: StoredHead, range: ByteRange | undefined): void {
  if (range === undefined) {
    ctx.set('Content-Length', String(head.size));
    return;
  }
  ctx.set('Content-Length', String(range.end - range.start + 1));
  ctx.set('Content-Range', `bytes ${range.start}-${range.end}/${head.size}`);
}

/** `response-content-type` and the like. @throws S3Error InvalidArgument for what no header can carry */
function responseOverrides({ target }: S3Request): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const parameter of overrideParameters) {
    const value = target.query.get(parameter);
    if (value === undefined) continue;
    if (!/^[\t\x20-\x7e\xa0-\xff]*$/.test(value)) {
      throw new S3Error('InvalidArgument', {
        message: `${parameter} cannot be represented in a header.`,
      });
    }
    overrides[parameter.slice('response-'.length)] = value;
  }
  return overrides;
}
