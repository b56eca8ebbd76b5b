/**
 * Reads the body of a request: as a stream for objects and parts, in memory for small documents.
 *
 * The request stream itself is never destroyed here, because that would reset the connection before
 * the client has read the error that explains it; see `answers.ts`.
 */
import type { IncomingMessage } from 'node:http';
import { BodyDigests } from '../objects/body-digests.ts';
import type { BodyInput } from '../objects/types.ts';
import type { PayloadMode } from './authentication.ts';
import { contentMd5, headerChecksums, trailerAlgorithms, trailerChecksums } from './checksums.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import { S3Error } from './errors.ts';
import { continueRequest } from './expect-continue.ts';
import type { S3Request } from './operation.ts';

/** "Uploading objects": the most that one PUT or one part may have. */
const BODY_BYTES_MAX = 5 * 1024 ** 3;
/** What must arrive within the idle time, so that a body cannot be dripped for ever. */
const PROGRESS_BYTES = 1024;

/**
 * The body as the object store takes it; reading starts when the store does.
 *
 * @throws S3Error MissingContentLength, EntityTooLarge, InvalidDigest, InvalidRequest
 */
export function objectBody(request: S3Request): BodyInput {
  const { headers, identity } = request;
  const contentLength = announcedLength(request);
  if (contentLength > BODY_BYTES_MAX) throw new S3Error('EntityTooLarge');
  const md5 = contentMd5(headers);
  const decoder = newDecoder(identity.payload);
  const trailers = decoder === undefined ? [] : trailerAlgorithms(headers);
  return {
    body: readBody(request, decoder),
    expected: {
      contentLength,
      ...(md5 !== undefined && { md5 }),
      ...(identity.payload.kind === 'signed' && { sha256: identity.payload.sha256 }),
      checksums: headerChecksums(headers),
    },
    ...(decoder !== undefined &&
      trailers.length > 0 && {
        trailer: { algorithms: trailers, read: () => trailerChecksums(decoder.trailers) },
      }),
  };
}

/**
 * A small body, verified against whatever the request says about it.
 *
 * @throws S3Error EntityTooLarge beyond `bytesMax`, and those of {@link objectBody}; ObjectError
 *   BadDigest, XAmzContentSHA256Mismatch
 */
export async function documentBody(request: S3Request, bytesMax: number): Promise<Buffer> {
  if (!hasBody(request.headers)) return Buffer.alloc(0);
  const input = objectBody(request);
  if ((input.expected?.contentLength ?? 0) > bytesMax) throw new S3Error('EntityTooLarge');
  const digests = new BodyDigests(input);
  const pieces: Uint8Array[] = [];
  for await (const piece of input.body) {
    digests.update(piece);
    pieces.push(piece);
  }
  digests.finish();
  return Buffer.concat(pieces);
}

/** Whether the message has a body at all (RFC 9112, section 6.3). */
export function hasBody(headers: IncomingMessage['headers']): boolean {
  return 'transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0;
}

/** The length of the decoded body. */
function announcedLength({ headers, identity }: S3Request): number {
  const isChunked = identity.payload.kind === 'chunked';
  const value = isChunked ? headers['x-amz-decoded-content-length'] : headers['content-length'];
  if (typeof value !== 'string') throw new S3Error('MissingContentLength');
  if (!/^\d{1,15}$/.test(value)) {
    throw new S3Error('InvalidArgument', { message: 'The length of the body is not a number.' });
  }
  return Number(value);
}

function newDecoder(payload: PayloadMode): ChunkedDecoder | undefined {
  return payload.kind === 'chunked' ? new ChunkedDecoder(payload) : undefined;
}

/** Decoded; whoever consumes it compares the length, see `body-digests.ts`. */
async function* readBody(
  request: S3Request,
  decoder: ChunkedDecoder | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of receive(request)) {
    if (decoder === undefined) yield bytes;
    else yield* decoder.push(bytes);
  }
  decoder?.finish();
}

/** The bytes on the wire; only time spent waiting for the client counts as idle. */
async function* receive({ ctx, bodyIdleMs }: S3Request): AsyncGenerator<Uint8Array> {
  continueRequest(ctx.req, ctx.res);
  const source = ctx.req.iterator({ destroyOnReturn: false });
  let leftMs = bodyIdleMs;
  let progress = 0;
  let timedOut = false;
  try {
    for (;;) {
      const before = performance.now();
      const next = await withinTime(source.next(), leftMs, () => (timedOut = true));
      if (next.done === true) return;
      const bytes = next.value as Uint8Array;
      progress += bytes.length;
      leftMs -= performance.now() - before;
      if (progress >= PROGRESS_BYTES) [leftMs, progress] = [bodyIdleMs, 0];
      yield bytes;
    }
  } finally {
    // After a timeout a read is under way, and returning would wait for it.
    if (!timedOut) await source.return?.();
  }
}

/** @throws S3Error RequestTimeout, IncompleteBody when the client went away */
async function withinTime<T>(
  reading: Promise<T>,
  milliseconds: number,
  onTimeout: () => void,
): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const timer = setTimeout(
      () => {
        onTimeout();
        reject(new S3Error('RequestTimeout'));
      },
      Math.max(0, milliseconds),
    );
    reading.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(new S3Error('IncompleteBody', { cause: error }));
      },
    );
  });
}
