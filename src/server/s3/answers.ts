/**
 * Writes answers, so that a client always gets to read them.
 *
 * Koa's own responding is bypassed. An answer to a request whose body is still arriving is written
 * first, then the rest of the body is read for a bounded time, and only then the connection is
 * closed: closing at once would reset it, and the client would see that instead of the error.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import type { Context } from 'koa';
import { hasBody } from './body.ts';
import type { S3Error } from './errors.ts';
import { awaitsContinue } from './expect-continue.ts';
import { field, plainDocument } from './xml.ts';

const XML_TYPE = 'application/xml';
const LINGER_MS_MAX = 10_000;
const LINGER_IDLE_MS = 1_000;
const LINGER_BYTES_MAX = 64 * 1024 * 1024;

/** Sets the ids that every answer carries; returns the request id. */
export function setRequestIds(ctx: Context): string {
  const requestId = randomBytes(8).toString('hex').toUpperCase();
  ctx.set('x-amz-request-id', requestId);
  ctx.set('x-amz-id-2', randomBytes(24).toString('base64'));
  return requestId;
}

export async function answerXml(ctx: Context, xml: string, status = 200): Promise<void> {
  ctx.set('Content-Type', XML_TYPE);
  await answer(ctx, status, Buffer.from(xml));
}

export async function answerEmpty(ctx: Context, status: number): Promise<void> {
  await answer(ctx, status);
}

/** Answers a HEAD or 304: headers that speak of a body which is not sent. */
export async function answerHead(ctx: Context, status: number): Promise<void> {
  ctx.respond = false;
  ctx.res.statusCode = status;
  await finish(ctx.req, ctx.res);
}

/**
 * Streams a body whose headers are set. When it fails half way the connection is cut, because there
 * is no other way left to say so; when the client goes away the body is destroyed.
 */
export async function answerStream(ctx: Context, status: number, body: Readable): Promise<void> {
  ctx.respond = false;
  ctx.res.statusCode = status;
  await pipeline(body, ctx.res);
}

/** The XML error document; for HEAD and 304 the status alone, as HTTP wants it. */
export async function answerError(ctx: Context, error: S3Error, requestId: string): Promise<void> {
  for (const [name, value] of Object.entries(error.headers)) ctx.set(name, value);
  if (ctx.method === 'HEAD' || error.status === 304) {
    await answerHead(ctx, error.status);
    return;
  }
  const xml = plainDocument(
    'Error',
    field('Code', error.code),
    field('Message', error.message),
    ...Object.entries(error.elements).map(([name, value]) => field(name, value)),
    field('Resource', ctx.req.url?.split('?', 1)[0]),
    field('RequestId', requestId),
  );
  // A client that sends too slowly has had its time.
  if (error.code === 'RequestTimeout') closeAfterwards(ctx.req, ctx.res);
  await answerXml(ctx, xml, error.status);
}

async function answer(ctx: Context, status: number, body?: Buffer): Promise<void> {
  ctx.respond = false;
  ctx.res.statusCode = status;
  if (status !== 204) ctx.res.setHeader('Content-Length', body?.length ?? 0);
  await finish(ctx.req, ctx.res, body);
}

async function finish(
  request: IncomingMessage,
  response: ServerResponse,
  body?: Buffer,
): Promise<void> {
  if (request.complete || !hasBody(request.headers)) {
    response.end(body);
    return;
  }
  const isClosing = response.hasHeader('Connection');
  response.setHeader('Connection', 'close');
  if (body === undefined) response.flushHeaders();
  else response.write(body);
  if (!isClosing && !awaitsContinue(request)) await drain(request);
  response.end();
}

function closeAfterwards(request: IncomingMessage, response: ServerResponse): void {
  if (!request.complete) response.setHeader('Connection', 'close');
}

/** Reads and forgets the rest of the body: up to 64 MiB, for 10 s, or until nothing came for 1 s. */
async function drain(request: IncomingMessage): Promise<void> {
  await new Promise<void>((resolve) => {
    let left = LINGER_BYTES_MAX;
    const done = (): void => {
      clearTimeout(deadline);
      clearTimeout(idle);
      request.off('data', count).off('end', done).off('close', done).off('error', done);
      resolve();
    };
    const count = (bytes: Buffer): void => {
      left -= bytes.length;
      idle.refresh();
      if (left < 0) done();
    };
    const deadline = setTimeout(done, LINGER_MS_MAX);
    const idle = setTimeout(done, LINGER_IDLE_MS);
    if (request.readableEnded || request.destroyed) {
      done();
      return;
    }
    request.on('data', count).on('end', done).on('close', done).on('error', done);
  });
}
