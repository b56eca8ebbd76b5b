/**
 * The server's own JSON API under `/api/v1`, and the health checks: what the reference server offers
 * besides S3 and its plugin.
 */
import { Router } from '@koa/router';
import type { Context, Middleware, Next } from 'koa';
import { ApiError } from '../../json-api/errors.ts';
import { TooManyRequestsError } from '../errors.ts';
import { addBucketRoutes, type BucketRoutesOptions } from './buckets.ts';
import { addHealthRoutes, type HealthRoutesOptions } from './health.ts';
import { addUserRoutes, type UserRoutesOptions } from './users.ts';

export interface InternalApiOptions
  extends UserRoutesOptions, BucketRoutesOptions, HealthRoutesOptions {}

/** What the API answers; a plugin must not claim any of these, nor a path above one. */
export const INTERNAL_ROUTES: readonly string[] = [
  '/livez',
  '/readyz',
  '/metrics',
  '/api/v1/users',
  '/api/v1/users/login',
  '/api/v1/users/accessKeys',
  '/api/v1/buckets',
  '/api/v1/buckets/:bucketName',
  '/api/v1/buckets/:bucketName/versioning',
];

/** Koa middleware that serves the routes and passes every other path on. */
export function createInternalApi(options: InternalApiOptions): Middleware {
  const router = new Router({ strict: true, sensitive: true });
  router.use(prepareAnswer);
  addHealthRoutes(router, options);
  addUserRoutes(router, options);
  addBucketRoutes(router, options);
  return router.routes() as unknown as Middleware;
}

/** Headers that belong to certain answers: tokens and keys are not cached, refusals say what to do. */
async function prepareAnswer(ctx: Context, next: Next): Promise<void> {
  ctx.set('Cache-Control', 'no-store');
  try {
    await next();
  } catch (error) {
    if (error instanceof TooManyRequestsError) {
      ctx.set('Retry-After', String(error.retryAfterSeconds));
    }
    if (error instanceof ApiError && error.status === 401) {
      ctx.set('WWW-Authenticate', 'Bearer');
    }
    throw error;
  }
}
