/**
 * `/api/v1/buckets`: a user's buckets and whether they keep versions. Another user's bucket reads
 * the same as one that does not exist.
 */
import type { Router } from '@koa/router';
import { methodNotAllowed } from '../../json-api/answers.ts';
import { readJsonBody } from '../../json-api/body.ts';
import type { Authenticator } from '../authenticator.ts';
import type { BucketLifecycle } from '../bucket-lifecycle.ts';
import type { BucketRecord, Buckets, VersioningChange } from '../buckets.ts';
import { createBodyReader } from './request-body.ts';

export interface BucketRoutesOptions {
  readonly buckets: Buckets;
  readonly lifecycle: BucketLifecycle;
  readonly authenticator: Authenticator;
}

const BUCKETS = '/api/v1/buckets';
const BUCKET = `${BUCKETS}/:bucketName`;
const VERSIONING = `${BUCKET}/versioning`;

export function addBucketRoutes(router: Router, options: BucketRoutesOptions): void {
  addCollection(router, options);
  addBucket(router, options);
  addVersioning(router, options);
}

function addCollection(router: Router, options: BucketRoutesOptions): void {
  const { authenticator, buckets, lifecycle } = options;
  const readBucket = createBodyReader<{ name: string; versioningEnabled?: boolean }>('new-bucket');
  router.get(BUCKETS, async (ctx) => {
    const { userId } = await authenticator.require(ctx);
    ctx.body = { buckets: buckets.list(userId).map(toAnswer) };
  });
  router.post(BUCKETS, async (ctx) => {
    const { userId: ownerId } = await authenticator.require(ctx);
    await readJsonBody(ctx);
    const { name, versioningEnabled = false } = readBucket(ctx);
    const bucket = await lifecycle.create({ name, ownerId, versioningEnabled });
    ctx.status = 201;
    ctx.body = toAnswer(bucket);
  });
  router.all(BUCKETS, methodNotAllowed(['GET', 'HEAD', 'POST']));
}

function addBucket(router: Router, options: BucketRoutesOptions): void {
  router.delete(BUCKET, async (ctx) => {
    const { userId } = await options.authenticator.require(ctx);
    await options.lifecycle.remove(bucketName(ctx), userId);
    ctx.status = 204;
  });
  router.all(BUCKET, methodNotAllowed(['DELETE']));
}

function addVersioning(router: Router, options: BucketRoutesOptions): void {
  const { authenticator, lifecycle } = options;
  const readVersioning = createBodyReader<{ status: VersioningChange }>('versioning');
  router.get(VERSIONING, async (ctx) => {
    const { userId } = await authenticator.require(ctx);
    ctx.body = { status: lifecycle.find(bucketName(ctx), userId).versioning };
  });
  router.put(VERSIONING, async (ctx) => {
    const { userId } = await authenticator.require(ctx);
    const name = bucketName(ctx);
    lifecycle.find(name, userId);
    await readJsonBody(ctx);
    const { status } = readVersioning(ctx);
    const bucket = await lifecycle.setVersioning(name, userId, status);
    ctx.body = { status: bucket.versioning };
  });
  router.all(VERSIONING, methodNotAllowed(['GET', 'HEAD', 'PUT']));
}

function bucketName(ctx: { readonly params: Readonly<Record<string, string>> }): string {
  return ctx.params['bucketName'] ?? '';
}

function toAnswer(bucket: BucketRecord): object {
  return {
    name: bucket.name,
    versioning: bucket.versioning,
    createdAt: new Date(bucket.createdAt).toISOString(),
  };
}
