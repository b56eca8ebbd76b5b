/**
 * GetObjectTagging, PutObjectTagging and DeleteObjectTagging.
 */
import type { Tags } from '../objects/types.ts';
import { answerEmpty, answerXml } from './answers.ts';
import { documentBody } from './body.ts';
import {
  isReplica,
  ownBucket,
  type Operation,
  type S3Request,
  type S3Services,
} from './operation.ts';
import { readTagging, taggingDocument } from './tags.ts';
import { versionHeader } from './version-headers.ts';
import { versionIdOf } from './version-ids.ts';
import {} from './xml.ts';
import { readDocument } from './xml-reader.ts';

const DOCUMENT_BYTES_MAX = 64 * 1024;

export const getObjectTagging: Operation = async (request, services) => {
  const { ctx, target } = request;
  const bucket = ownBucket(request, services);
  const versionId = versionIdOf(target.query);
  const { tags, versionId: found } = await services.objects.getTags(bucket, target.key, versionId);
  ctx.set(versionHeader(bucket, found));
  await answerXml(ctx, taggingDocument(tags));
};

export const putObjectTagging: Operation = async (request, services) => {
  ownBucket(request, services);
  const body = await documentBody(request, DOCUMENT_BYTES_MAX);
  await replaceTags(request, services, readTagging(readDocument(body, 'Tagging')));
  await answerEmpty(request.ctx, 200);
};

export const deleteObjectTagging: Operation = async (request, services) => {
  await replaceTags(request, services, {});
  await answerEmpty(request.ctx, 204);
};

async function replaceTags(request: S3Request, services: S3Services, tags: Tags): Promise<void> {
  const { ctx, target } = request;
  const bucket = ownBucket(request, services);
  const versionId = versionIdOf(target.query);
  const { versionId: found } = await services.objects.putTags(bucket, target.key, tags, {
    ...(versionId !== undefined && { versionId }),
    replica: isReplica(request),
  });
  ctx.set(versionHeader(bucket, found));
}
