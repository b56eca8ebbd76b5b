/**
 * Who asks, and for which bucket: the checks before any route's own, in the order 401, 400, 404.
 *
 * A bucket that is missing, whose name no bucket can have, or that is somebody else's gives one and
 * the same answer, and administrators have no special right to other people's buckets.
 */
import type { Context } from 'koa';
import type { Bucket, Host, Principal } from '../host.ts';
import { replicationError } from '../model/errors.ts';

/** What the checks leave behind in `ctx.state` for the routes. */
export interface RequestState {
  principal: Principal;
  bucket: Bucket;
}

/** Every name that a host may give a bucket; anything else is not asked for. */
const BUCKET_NAME = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/;

/**
 * Leaves the principal and the bucket in `ctx.state`.
 *
 * @throws ApiError Unauthenticated, MissingBucketName, or NoSuchBucket
 */
export async function checkCaller(
  ctx: Context,
  host: Pick<Host, 'authenticate' | 'findBucket'>,
): Promise<void> {
  const principal = await host.authenticate(ctx);
  if (principal === null) {
    ctx.set('WWW-Authenticate', 'Bearer');
    throw replicationError('Unauthenticated');
  }
  const { bucketName } = ctx.params as { bucketName?: string };
  if (bucketName === undefined) throw replicationError('MissingBucketName');
  const bucket = BUCKET_NAME.test(bucketName) ? await host.findBucket(bucketName) : null;
  if (bucket === null || bucket.ownerId !== principal.userId)
    throw replicationError('NoSuchBucket');
  const { state } = ctx;
  state.principal = principal;
  state.bucket = bucket;
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

export function requestState(ctx: Context): RequestState {
  return ctx.state;
}
