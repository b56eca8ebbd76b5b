/**
 * The server's JSON log (pino, on stderr) and its one line per request.
 *
 * Headers, bodies and queries are never logged: they carry credentials. Of an error only named
 * fields are, because libraries hang the whole request body on theirs.
 */
import type { Middleware } from 'koa';
import { destination, pino } from 'pino';
import type { Logger } from '../host.ts';
import { requestId } from '../json-api/answers.ts';

const STDERR = 2;
const CAUSES_MAX = 4;

interface LoggedError {
  readonly type: string;
  readonly code?: unknown;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/** Writes in the background; what is left is flushed when the process ends. */
export function createLogger(): Logger {
  return pino(
    {
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      serializers: { err: loggedError },
    },
    destination({ dest: STDERR, sync: false }),
  );
}

/** Type, code, message, stack and cause of what was thrown, and nothing else that hangs on it. */
export function loggedError(thrown: unknown, depth = 0): LoggedError {
  if (!(thrown instanceof Error)) return { type: typeof thrown, message: 'not an Error' };
  return {
    type: thrown.name,
    ...('code' in thrown ? { code: thrown.code } : {}),
    message: thrown.message,
    ...(thrown.stack === undefined ? {} : { stack: thrown.stack }),
    ...(thrown.cause === undefined || depth >= CAUSES_MAX
      ? {}
      : { cause: loggedError(thrown.cause, depth + 1) }),
  };
}

/**
 * Koa middleware that gives every request an id and logs it once its connection is done with it.
 *
 * @param monotonicMs a clock that never goes back
 */
export function logRequests(logger: Logger, monotonicMs: () => number): Middleware {
  return async function logRequestsMiddleware(ctx, next) {
    const startedMs = monotonicMs();
    const id = requestId(ctx);
    const { method, path } = ctx;
    ctx.res.once('close', () => {
      const fields = {
        requestId: id,
        method,
        path,
        status: ctx.res.statusCode,
        ms: Math.round(monotonicMs() - startedMs),
      };
      if (ctx.res.writableFinished) logger.info(fields, 'request');
      else logger.info({ ...fields, aborted: true }, 'request');
    });
    await next();
  };
}
