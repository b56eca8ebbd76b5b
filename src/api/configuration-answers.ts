/** Answers that show a configuration: the entity tag that the next change can be made conditional on. */
import type { Context } from 'koa';
import { formatETag } from '../model/etag.ts';

/** 200 with `body`, or 304 where the caller's If-None-Match names this revision (GET alone). */
export function sendConfiguration(ctx: Context, revision: number, body: object): void {
  ctx.set('ETag', formatETag(revision));
  ctx.set('Cache-Control', 'private, no-cache');
  ctx.status = 200;
  if (ctx.headers['if-none-match'] !== undefined && ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.body = body;
}

/** The request's If-Match header; undefined where it was not sent. */
export function ifMatchHeader(ctx: Context): string | undefined {
  return ctx.headers['if-match'];
}
