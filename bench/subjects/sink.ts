/**
 * An S3 service that keeps nothing: it reads what it is sent and answers as S3 would, with the right
 * ETags. It is the target of the delivery benches, and must be faster than everything that delivers
 * to it; so it believes a Content-MD5 instead of computing the ETag again, and checks no signature.
 *
 * It counts: `{kind: 'expect', objects}` resolves once that many objects have arrived since the last
 * count, with the time from the first request to the last answer, so that no side pays for how it is
 * started. `delayMs` answers that much later; `silent` never answers.
 */
import { createHash, randomUUID, type Hash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serveSubject } from '../harness/subject.ts';
import type { Work } from '../harness/pairs.ts';
import { listen, stopListening } from './bench-host.ts';

interface Parameters {
  readonly silent?: boolean;
}

export type SinkCommand =
  | { readonly kind: 'expect'; readonly objects: number }
  | { readonly kind: 'delay'; readonly delayMs: number };

interface Stored {
  readonly size: number;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

const stored = new Map<string, Stored>();
const uploads = new Map<string, Map<number, Stored>>();
let delayMs = 0;
let firstAt: number | null = null;
let arrived = 0;
let expected: { objects: number; resolve(work: Work): void } | null = null;

await serveSubject(async ({ silent = false }: Parameters) => {
  const { server, port } = await listen((request, response) => {
    if (silent) {
      request.resume();
      return;
    }
    firstAt ??= performance.now();
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  return {
    ready: { port },
    async run(parameters) {
      const command = parameters as SinkCommand;
      if (command.kind === 'delay') {
        delayMs = command.delayMs;
        return null;
      }
      return await new Promise<Work>((resolve) => {
        firstAt = null;
        arrived = 0;
        expected = { objects: command.objects, resolve };
      });
    },
    close: () => stopListening(server),
  };
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const parameters = new URLSearchParams(query);
  const body = await readBody(request);
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  const uploadId = parameters.get('uploadId');
  switch (request.method ?? '') {
    case 'PUT':
      if (uploadId === null) putObject(path, body, request, response);
      else putPart(uploadId, Number(parameters.get('partNumber')), body, response);
      return;
    case 'POST':
      if (uploadId === null) createUpload(path, response);
      else completeUpload(path, uploadId, response);
      return;
    case 'HEAD':
      head(path, response);
      return;
    case 'DELETE':
      stored.delete(path);
      response.writeHead(204).end();
      arrive();
      return;
    default:
      sendXml(response, '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');
  }
}

/** Without a Content-MD5 the ETag has to be computed. */
async function readBody(request: IncomingMessage): Promise<{ size: number; md5: string }> {
  const announced = request.headers['content-md5'];
  const hash: Hash | null = typeof announced === 'string' ? null : createHash('md5');
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    hash?.update(chunk);
  });
  await new Promise((resolve, reject) => {
    request.once('end', resolve);
    request.once('error', reject);
  });
  const md5 = hash?.digest('hex') ?? Buffer.from(String(announced), 'base64').toString('hex');
  return { size, md5 };
}

function putObject(
  path: string,
  { size, md5 }: { size: number; md5: string },
  request: IncomingMessage,
  response: ServerResponse,
): void {
  stored.set(path, { size, etag: md5, headers: metadataOf(request) });
  response.writeHead(200, { etag: `"${md5}"`, 'content-length': 0 }).end();
  // A bucket's own PUT has no key.
  if (path.indexOf('/', 1) > 0) arrive();
}

function metadataOf(request: IncomingMessage): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.startsWith('x-amz-meta-') || name === 'content-type') kept[name] = String(value);
  }
  return kept;
}

function putPart(
  uploadId: string,
  partNumber: number,
  { size, md5 }: { size: number; md5: string },
  response: ServerResponse,
): void {
  uploads.get(uploadId)?.set(partNumber, { size, etag: md5, headers: {} });
  response.writeHead(200, { etag: `"${md5}"`, 'content-length': 0 }).end();
}

function createUpload(path: string, response: ServerResponse): void {
  const uploadId = randomUUID();
  uploads.set(uploadId, new Map());
  const [, bucket = '', key = ''] = /^\/([^/]*)\/(.*)$/.exec(path) ?? [];
  sendXml(
    response,
    `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>${key}</Key>` +
      `<UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`,
  );
}

function completeUpload(path: string, uploadId: string, response: ServerResponse): void {
  const parts = [...(uploads.get(uploadId) ?? [])].sort(([a], [b]) => a - b);
  uploads.delete(uploadId);
  const hash = createHash('md5');
  for (const [, part] of parts) hash.update(Buffer.from(part.etag, 'hex'));
  const etag = `${hash.digest('hex')}-${parts.length}`;
  const size = parts.reduce((sum, [, part]) => sum + part.size, 0);
  stored.set(path, { size, etag, headers: {} });
  sendXml(
    response,
    `<CompleteMultipartUploadResult><ETag>"${etag}"</ETag></CompleteMultipartUploadResult>`,
  );
  arrive();
}

function head(path: string, response: ServerResponse): void {
  const object = stored.get(path);
  if (object === undefined) {
    response.writeHead(404, { 'content-length': 0 }).end();
    return;
  }
  const { size, etag, headers } = object;
  response.writeHead(200, {
    ...headers,
    'content-length': size,
    etag: `"${etag}"`,
    'last-modified': new Date().toUTCString(),
  });
  response.end();
}

function sendXml(response: ServerResponse, content: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?>\n${content}`;
  const headers = { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) };
  response.writeHead(200, headers).end(body);
}

function arrive(): void {
  arrived += 1;
  if (expected === null || arrived < expected.objects) return;
  const done = expected;
  expected = null;
  done.resolve({ operations: arrived, elapsedMs: performance.now() - (firstAt ?? 0) });
}
