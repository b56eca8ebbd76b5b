/**
 * HTTP/1.1 over a bare socket, for requests that no client library would send: methods and paths
 * that fetch refuses or repairs, and malformed bodies.
 */
import { connect, type Socket } from 'node:net';
import { LIMIT_MS } from './until.ts';

export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Sends `request` as it is, and reads until the server closes the connection. */
export async function sendRaw(url: string, request: string | Uint8Array): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('no answer in time')));
  socket.write(request);
  return parseAnswer(await readAll(socket));
}

/** The head of a request whose connection ends with the answer. */
export function rawHead(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): string {
  const lines = Object.entries({ Host: '127.0.0.1', Connection: 'close', ...headers });
  return [`${method} ${path} HTTP/1.1`, ...lines.map((line) => line.join(': ')), '', ''].join(
    '\r\n',
  );
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function parseAnswer(bytes: Buffer): RawAnswer {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) throw new Error(`Not an HTTP answer: ${JSON.stringify(bytes.toString('latin1'))}`);
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    ),
    body: bytes.subarray(end + 4).toString('utf8'),
  };
}
