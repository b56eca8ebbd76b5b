/**
 * What the S3 API needs of the HTTP server itself, below Koa.
 *
 * Node answers requests that its parser refuses with an empty 400 or 431. Clients of S3 read XML, and
 * log "unknown error" for anything else.
 */
import type { Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { S3Error, type S3ErrorCode } from './errors.ts';
import { deferContinue } from './expect-continue.ts';
import { field, plainDocument } from './xml.ts';

/** By the code of Node's error; everything else is a malformed request. */
const codes: Readonly<Record<string, S3ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'RequestHeaderSectionTooLarge',
  ERR_HTTP_REQUEST_TIMEOUT: 'RequestTimeout',
};

const LINGER_MS_MAX = 10_000;
const LINGER_IDLE_MS = 1_000;
const LINGER_BYTES_MAX = 16 * 1024 * 1024;

/** Call once, before the server listens. */
export function attachToServer(server: Server): void {
  deferContinue(server);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || error.code === 'ECONNRESET' || hasAnswerUnderWay(socket)) {
      socket.destroy();
      return;
    }
    linger(socket);
    socket.end(rawAnswer(new S3Error(codes[error.code ?? ''] ?? 'InvalidRequest')));
  });
}

/**
 * Reads and forgets what the client still sends, for a bounded time: to close with bytes unread would
 * reset the connection, and the client would see that instead of the answer. The parser is let go of
 * first, or it would find the next bytes at fault as well.
 */
function linger(socket: Duplex): void {
  let left = LINGER_BYTES_MAX;
  const done = (): void => {
    clearTimeout(deadline);
    clearTimeout(idle);
    socket.destroy();
  };
  const deadline = setTimeout(done, LINGER_MS_MAX);
  const idle = setTimeout(done, LINGER_IDLE_MS);
  socket.removeAllListeners('data');
  socket.removeAllListeners('end');
  socket.on('data', (bytes: Buffer) => {
    left -= bytes.length;
    idle.refresh();
    if (left < 0) done();
  });
  socket.once('end', done);
  socket.once('close', done);
  socket.resume();
}

/** Bytes of ours in the middle of another answer would corrupt it. */
function hasAnswerUnderWay(socket: Duplex): boolean {
  const response = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage;
  return response?.headersSent === true;
}

function rawAnswer({ code, status, message }: S3Error): string {
  const xml = plainDocument('Error', field('Code', code), field('Message', message));
  return [
    `HTTP/1.1 ${status} ${code}`,
    'Connection: close',
    'Content-Type: application/xml',
    `Content-Length: ${Buffer.byteLength(xml)}`,
    '',
    xml,
  ].join('\r\n');
}
