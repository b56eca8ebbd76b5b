/**
 * Who asks, and for which bucket: the checks before any route's own, in the order 401, 400, 404.
 *
 * A bucket that is missing, whose name no bucket can have, or that is somebody else's gives one and
 * the same answer, and administrators have no special right to other people's buckets.
 */
import type { Context, Middleware } from 'koa';
import type { Bucket, Host, Principal } from '../host.ts';
import { replicationError } from '../model/errors.ts';

/** What the checks leave behind in `ctx.state` for the routes. */
export interface RequestState {
  principal: Principal;
  bucket: Bucket;
}

/** Every name that a host may give a bucket; anything else is not asked for. */
const BUCKET_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/;

/** @throws ApiError Unauthenticated */
export function requirePrincipal(host: Pick<Host, 'authenticate'>): Middleware {
  return async function requirePrincipalMiddleware(ctx, next) {
    const principal = await host.authenticate(ctx);
    if (principal === null) {
      ctx.set('WWW-Authenticate', 'Bearer');
      throw replicationError('Unauthenticated');
    }
    ctx.state.principal = principal;
    await next();
  };
}

/** @throws ApiError NoSuchBucket */
export function requireOwnBucket(host: Pick<Host, 'findBucket'>): Middleware {
  return async function requireOwnBucketMiddleware(ctx, next) {
    const { principal } = requestState(ctx);
    const name = (ctx.params as { bucketName: string }).bucketName;
    ctx.state.bucket = assertOwned(
      BUCKET_NAME.test(name) ? await host.findBucket(name) : null,
      principal,
    );
    await next();
  };
}

/** @throws ApiError NoSuchBucket where the bucket is missing or somebody else's */
function assertOwned(bucket: Bucket | null, principal: Principal): Bucket {
  if (bucket === null || bucket.ownerId !== principal.userId)
    throw replicationError('NoSuchBucket');
  return bucket;
}

/**
 * The bucket as it is under its lock: it may have been deleted since the request's checks, and its
 * name taken by another, whose configuration this request must not touch.
 *
 * @throws ApiError NoSuchBucket
 */
export function assertSame(locked: Bucket | null, bucket: Bucket): Bucket {
  if (locked?.id !== bucket.id) throw replicationError('NoSuchBucket');
  return locked;
}

/** The route of a path without a bucket's name, which the parameter's route does not match. */
export const refuseMissingBucketName: Middleware = () => {
  throw replicationError('MissingBucketName');
};

export function requestState(ctx: Context): RequestState {
  return ctx.state;
}
