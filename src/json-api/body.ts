/**
 * Reads a JSON request body, strictly and without leaking it.
 *
 * koa-body by default also parses text, forms and vendor types, and its errors carry the whole body
 * and quote it in the message; every failure becomes a fresh error here, without a cause.
 */
import { koaBody } from 'koa-body';
import type { Middleware } from 'koa';
import { transportError, type ApiError } from './errors.ts';

const BODY_BYTES_MAX = 1024 * 1024;

const NOTHING_NEXT = (): Promise<void> => Promise.resolve();

const parse = koaBody({
  text: false,
  urlencoded: false,
  multipart: false,
  jsonTypes: ['application/json'],
  jsonLimit: BODY_BYTES_MAX,
  jsonStrict: true,
});

/**
 * Leaves the parsed body of a PUT or POST in `ctx.request.body`.
 *
 * @throws ApiError EntityTooLarge (over 1 MiB, measured after decompression), UnsupportedMediaType
 *   (any type but application/json, or an unknown Content-Encoding), MalformedJSON
 */
export async function readJsonBody(ctx: Parameters<typeof parse>[0]): Promise<void> {
  if ((ctx.request.length ?? 0) > BODY_BYTES_MAX) throw transportError('EntityTooLarge');
  try {
    await parse(ctx, NOTHING_NEXT);
  } catch (error) {
    throw bodyError(error);
  }
  if (ctx.request.body === undefined) throw transportError('UnsupportedMediaType');
}

/** {@link readJsonBody} as Koa middleware. */
export const parseJsonBody: Middleware = async (ctx, next) => {
  await readJsonBody(ctx);
  await next();
};

/** Translates by status and type alone: nothing of the original error survives. */
function bodyError(error: unknown): ApiError {
  const status = error instanceof Error && 'status' in error ? error.status : undefined;
  if (status === 413) return transportError('EntityTooLarge');
  if (status === 415) return transportError('UnsupportedMediaType');
  return transportError('MalformedJSON');
}
