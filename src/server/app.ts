/**
 * The server's Koa application: which part sees a request first.
 *
 * Order: log and request id, JSON errors, the internal API, the plugin, a JSON 404 for what is left
 * under `/api`, and last the S3 API, whose first path segment is a bucket. A bucket cannot be called
 * `api`, so nothing of S3 hides behind the first ones.
 */
import Koa, { type Middleware } from 'koa';
import type { Logger } from '../host.ts';
import { answerErrors } from '../json-api/answers.ts';
import { translateStorageFailures } from './storage-failures.ts';
import { serverError } from './errors.ts';
import { logRequests } from './log.ts';
import { continueRequest } from './s3/expect-continue.ts';

/** How long a request under `/api` may take to send its body, in milliseconds; it has at most 1 MiB. */
const API_BODY_MS_MAX = 30_000;

export interface AppOptions {
  readonly logger: Logger;
  readonly monotonicMs: () => number;
  readonly internalApi: Middleware;
  readonly plugin: Middleware;
  readonly s3: Middleware;
}

export function createApp(options: AppOptions): Koa {
  const { logger } = options;
  const app = new Koa();
  // What reaches this was thrown after the answer had begun, or while it was sent.
  app.on('error', (error: unknown) => logger.info({ err: error }, 'an answer was cut off'));
  app.use(logRequests(logger, options.monotonicMs));
  app.use(answerErrors(logger));
  app.use(translateStorageFailures);
  app.use(awaitApiBody);
  app.use(options.internalApi);
  app.use(options.plugin);
  app.use(answerUnknownApiPaths);
  app.use(options.s3);
  return app;
}

/**
 * Bodies of the JSON APIs, the plugin's included. The S3 API holds back "100 Continue" until it has
 * seen the signature; a small JSON body is asked for at once. And the HTTP server gives uploads of
 * objects a day; nobody may hold a parser of JSON open that long.
 */
const awaitApiBody: Middleware = (ctx, next) => {
  if (isApiPath(ctx.path) && !ctx.req.complete) {
    continueRequest(ctx.req, ctx.res);
    const deadline = setTimeout(() => ctx.req.destroy(), API_BODY_MS_MAX);
    const done = (): void => clearTimeout(deadline);
    ctx.req.once('end', done);
    ctx.req.once('close', done);
  }
  return next();
};

const answerUnknownApiPaths: Middleware = (ctx, next) => {
  if (isApiPath(ctx.path)) throw serverError('NotFound');
  return next();
};

function isApiPath(path: string): boolean {
  return path === '/api' || path.startsWith('/api/');
}
