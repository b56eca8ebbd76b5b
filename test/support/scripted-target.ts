/**
 * Listeners on loopback that answer each request as a test says, and keep nothing: what plays a whole
 * S3 service is test/support/fake-target/. What tests of the guard count is sockets that a listener
 * accepted: an error alone proves nothing.
 */
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';

export interface TestContext {
  after(cleanup: () => void | Promise<void>): void;
}

export interface ReceivedRequest {
  readonly method: string;
  /** As it came on the wire. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface ScriptedTarget {
  readonly port: number;
  /** How many connections were accepted so far. */
  sockets(): number;
  readonly requests: ReceivedRequest[];
}

/** Reads each request to its end, then lets `answer` reply. */
export async function startHttpTarget(
  t: TestContext,
  answer: (request: ReceivedRequest, response: ServerResponse) => void,
): Promise<ScriptedTarget> {
  const requests: ReceivedRequest[] = [];
  const server = createHttpServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', () => undefined);
    incoming.on('end', () => {
      const { method = '', url = '', headers, rawHeaders } = incoming;
      const request = { method, url, headers, rawHeaders, body: Buffer.concat(chunks) };
      requests.push(request);
      answer(request, response);
    });
  });
  return { ...(await listen(t, server)), requests };
}

/** Gives each accepted connection to `serve`, byte for byte. */
export async function startRawTarget(
  t: TestContext,
  serve: (socket: Socket) => void,
  host?: string,
): Promise<ScriptedTarget> {
  return { ...(await listen(t, createTcpServer(serve), host)), requests: [] };
}

/** Calls `reply` once per request head, with bodies of known length skipped. */
export function onEachRequest(socket: Socket, reply: (head: string) => void): void {
  let pending = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = pending.toString('latin1', 0, end);
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (pending.length < end + 4 + length) return;
      pending = pending.subarray(end + 4 + length);
      reply(head);
    }
  });
}

async function listen(
  t: TestContext,
  server: Server,
  host = '127.0.0.1',
): Promise<Pick<ScriptedTarget, 'port' | 'sockets'>> {
  const open = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets: () => accepted };
}

export function errorXml(code: string, inner = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>Their words.</Message>${inner}<RequestId>REQ1</RequestId></Error>`;
}
