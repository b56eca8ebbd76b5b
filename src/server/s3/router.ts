/**
 * The S3 API as one Koa middleware, the last of the chain: whatever comes this far is S3's.
 *
 * Each request is taken apart from its raw target, authenticated, and given to its operation; what
 * the operation throws becomes S3's XML. Nothing that a client sends gets further than that.
 */
import type { Context, Middleware } from 'koa';
import type { Logger } from '../../host.ts';
import { ApiError } from '../../json-api/errors.ts';
import type { AccessKeys } from '../access-keys.ts';
import { ObjectError } from '../objects/object-error.ts';
import { storageAnswer } from '../storage-failures.ts';
import { answerError, setRequestIds } from './answers.ts';
import { authenticate } from './authentication.ts';
import { S3Error, s3Errors, type S3ErrorCode } from './errors.ts';
import type { S3Services } from './operation.ts';
import { parseRequestTarget } from './request-target.ts';
import { findOperation } from './routes.ts';

const BODY_IDLE_MS = 30_000;

export interface S3Dependencies extends S3Services {
  readonly accessKeys: Pick<AccessKeys, 'find'>;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  readonly logger: Logger;
  /** How long a request body may make no progress; default 30 s. */
  readonly bodyIdleMs?: number;
}

/**
 * @example
 * app.use(createS3Middleware({ region, buckets, lifecycle, objects, accessKeys, principalOf, clock, logger }));
 * deferContinue(server); // so that a refused upload is not sent first
 */
export function createS3Middleware(dependencies: S3Dependencies): Middleware {
  const { logger } = dependencies;
  return async function s3(ctx) {
    const requestId = setRequestIds(ctx);
    try {
      await handle(ctx, requestId, dependencies);
    } catch (thrown) {
      if (ctx.res.headersSent || ctx.res.destroyed) {
        // The answer is under way: either the client left, or the body failed and was cut off.
        logger.debug({ requestId, err: thrown }, 'S3 answer was cut short');
        ctx.res.destroy();
        return;
      }
      const error = toS3Error(thrown);
      if (isUnexpected(error)) {
        logger.error({ requestId, method: ctx.method, err: thrown }, 'S3 request failed');
      }
      clearEntityHeaders(ctx);
      await answerError(ctx, error, requestId);
    }
  };
}

async function handle(
  ctx: Context,
  requestId: string,
  dependencies: S3Dependencies,
): Promise<void> {
  const { req } = ctx;
  const target = parseRequestTarget(req.url ?? '');
  const identity = authenticate(req, target, {
    region: dependencies.region,
    findAccessKey: (id) => dependencies.accessKeys.find(id),
    clock: dependencies.clock,
  });
  const operation = findOperation(req.method ?? '', target, 'x-amz-copy-source' in req.headers);
  const bodyIdleMs = dependencies.bodyIdleMs ?? BODY_IDLE_MS;
  const request = { ctx, requestId, headers: req.headers, target, identity, bodyIdleMs };
  await operation(request, dependencies);
}

/** Errors of the layers below carry S3's codes; whatever has none is the server's own fault. */
function toS3Error(thrown: unknown): S3Error {
  if (thrown instanceof S3Error) return thrown;
  if (thrown instanceof ObjectError || thrown instanceof ApiError) {
    const { code, message } = thrown;
    if (isS3ErrorCode(code)) return new S3Error(code, { message, cause: thrown });
  }
  const answer = storageAnswer(thrown);
  if (answer !== null) return new S3Error(answer.code, { message: answer.message, cause: thrown });
  return new S3Error('InternalError', { cause: thrown });
}

/** A full or failing disk is logged once, where it is noticed. */
function isUnexpected({ status, code, cause }: S3Error): boolean {
  if (status < 500 || code === 'NotImplemented' || code === 'InsufficientStorage') return false;
  return storageAnswer(cause) === null;
}

function isS3ErrorCode(code: string): code is S3ErrorCode {
  return Object.hasOwn(s3Errors, code);
}

/** An operation that failed late may have described the object already. */
function clearEntityHeaders(ctx: Context): void {
  for (const name of ctx.res.getHeaderNames()) {
    if (/^(content-|x-amz-meta-|etag$|last-modified$|accept-ranges$)/.test(name)) ctx.remove(name);
  }
}
