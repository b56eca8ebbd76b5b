/**
 * How a JSON API answers: a request id on everything, errors in one shape, and 405 for every method
 * that a resource does not have.
 *
 * Errors: `{"error": true, "reason": …, "code": …, "details": [{"path", "message"}]}`.
 */
import { randomUUID } from 'node:crypto';
import type { Middleware, ParameterizedContext } from 'koa';
import { ApiError, transportError, type ErrorDetail } from './errors.ts';

const REQUEST_ID_HEADER = 'X-Request-Id';
const DETAILS_MAX = 32;

export interface ErrorBody {
  readonly error: true;
  readonly reason: string;
  readonly code: string;
  readonly details: readonly ErrorDetail[];
}

/** What this module needs of a logger. */
interface FailureLogger {
  error(fields: object, message: string): void;
}

/** The body of the answer to `error`, at most 32 details. */
export function errorBody(error: ApiError): ErrorBody {
  return {
    error: true,
    reason: error.message,
    code: error.code,
    details: error.details.slice(0, DETAILS_MAX),
  };
}

/** The id that the answer carries; made on first use, kept where a host set one before. */
export function requestId({ res }: Pick<ParameterizedContext, 'res'>): string {
  const known = res.getHeader(REQUEST_ID_HEADER);
  if (typeof known === 'string') return known;
  const id = randomUUID();
  res.setHeader(REQUEST_ID_HEADER, id);
  return id;
}

/**
 * Gives the answer a request id and turns what `work` throws into an answer. An unexpected error is
 * logged under that id, without the request's body or headers.
 */
export async function answerWith(
  ctx: ParameterizedContext,
  logger: FailureLogger,
  work: () => Promise<unknown>,
): Promise<void> {
  const id = requestId(ctx);
  try {
    await work();
  } catch (thrown) {
    const error = thrown instanceof ApiError ? thrown : transportError('InternalError');
    // 503 says what the log has said once: a disk without room, a server that stops.
    if (error.status === 500) {
      logger.error({ requestId: id, method: ctx.method, err: thrown }, 'request failed');
    }
    ctx.status = error.status;
    ctx.body = errorBody(error);
    ctx.set('Cache-Control', 'no-store');
  }
}

/** {@link answerWith} for everything below it, as Koa middleware. */
export function answerErrors(logger: FailureLogger): Middleware {
  return (ctx, next) => answerWith(ctx, logger, next);
}

/** Koa middleware for a resource's last route: 405 with `Allow` for every method that came this far. */
export function methodNotAllowed(
  methods: readonly string[],
): (ctx: Pick<ParameterizedContext, 'set'>) => never {
  const allow = methods.join(', ');
  return function methodNotAllowedMiddleware(ctx) {
    ctx.set('Allow', allow);
    throw transportError('MethodNotAllowed', { reason: `Use one of ${allow} on this resource.` });
  };
}
