/** Answers that show a configuration: the entity tag that the next change can be made conditional on. */
import type { Context } from 'koa';
import type { Configuration } from '../model/configuration.ts';
import { formatETag } from '../model/etag.ts';

/**
 * Makes the text of an answer from a configuration, once for each that is read again and again: the
 * store hands out the same object until it changes.
 */
export function rememberAnswers(
  answer: (configuration: Configuration) => object,
): (configuration: Configuration) => string {
  const texts = new WeakMap<Configuration, string>();
  return (configuration) => {
    const known = texts.get(configuration);
    if (known !== undefined) return known;
    const text = JSON.stringify(answer(configuration));
    texts.set(configuration, text);
    return text;
  };
}

/** 200 with the JSON text `body`, or 304 where the caller's If-None-Match names this revision (GET alone). */
export function sendConfiguration(ctx: Context, revision: string, body: string): void {
  ctx.res.setHeader('ETag', formatETag(revision));
  ctx.res.setHeader('Cache-Control', 'private, no-cache');
  ctx.status = 200;
  if (ctx.headers['if-none-match'] !== undefined && ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.res.setHeader('Content-Type', 'application/json; charset=utf-8');
  ctx.body = body;
}

/** The request's If-Match header; undefined where it was not sent. */
export function ifMatchHeader(ctx: Context): string | undefined {
  return ctx.headers['if-match'];
}
