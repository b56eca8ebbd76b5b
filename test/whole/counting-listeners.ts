/**
 * S3 services at many addresses of this machine, all at one port, that count the connections they
 * accept: what a name leads to decides which of them is reached. Only the count proves anything; an
 * error says nothing about who was talked to. They keep nothing, so they are none of
 * test/support/fake-target/, which is one service at one address.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

export type Respond = (
  request: IncomingMessage & { readonly bytes: Buffer },
  response: ServerResponse,
) => void;

export interface Listener {
  readonly address: string;
  /** Connections accepted so far. */
  accepted(): number;
  /** Methods and queries of the requests so far. */
  readonly requests: readonly string[];
  /** Takes the place of {@link respondAsS3}. */
  respond: Respond;
}

const PORT_TRIES_MAX = 20;

/** Addresses of this machine that are not loopback, with their zones where they need one. */
export function ownAddresses(): readonly string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter(({ internal }) => !internal)
      .map(({ address }) => (/^fe[89ab]/i.test(address) ? `${address}%${name}` : address)),
  );
}

/** By address; one that this machine does not have is left out. */
export async function startListeners(
  t: Cleanup,
  addresses: readonly string[],
): Promise<{ readonly port: number; readonly listeners: ReadonlyMap<string, Listener> }> {
  for (let tries = 1; tries <= PORT_TRIES_MAX; tries++) {
    const opened: Opened[] = [];
    const close = (): void => {
      for (const { server } of opened) {
        server.closeAllConnections();
        server.close();
      }
    };
    let port = 0;
    let isTaken = false;
    for (const address of addresses) {
      const next = await listen(address, port);
      isTaken ||= next === 'taken';
      if (typeof next === 'string') continue;
      opened.push(next);
      port = (next.server.address() as AddressInfo).port;
    }
    if (!isTaken) {
      t.after(close);
      const listeners = new Map(opened.map(({ listener }) => [listener.address, listener]));
      return { port, listeners };
    }
    close();
  }
  throw new Error('There is no port that is free at all addresses.');
}

/** Takes everything, keeps nothing, and closes each connection, so that each request makes one. */
export const respondAsS3: Respond = ({ method, url = '', bytes }, response) => {
  response.setHeader('connection', 'close');
  const query = url.split('?', 2)[1] ?? '';
  const md5 = createHash('md5').update(bytes).digest('hex');
  if (method === 'PUT') response.setHeader('etag', `"${md5}"`).end();
  else if (method === 'POST' && query === 'uploads=') response.end(CREATED);
  else if (method === 'POST') response.end(COMPLETED);
  else if (method === 'GET') response.end(NO_PARTS);
  else response.writeHead(method === 'HEAD' ? 404 : 204).end();
};

const CREATED =
  '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>';
/** An ETag of a form that says nothing. */
const COMPLETED =
  '<CompleteMultipartUploadResult><ETag>opaque</ETag></CompleteMultipartUploadResult>';
const NO_PARTS = '<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>';

interface Opened {
  readonly server: Server;
  readonly listener: Listener;
}

async function listen(address: string, port: number): Promise<Opened | 'taken' | 'absent'> {
  const requests: string[] = [];
  let accepted = 0;
  const listener: Listener = { address, accepted: () => accepted, requests, respond: respondAsS3 };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      requests.push(`${request.method} ${request.url}`);
      listener.respond(Object.assign(request, { bytes: Buffer.concat(chunks) }), response);
    });
  });
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    socket.on('error', () => undefined);
  });
  try {
    server.listen({ host: address, port, ipv6Only: true });
    await once(server, 'listening');
    return { server, listener };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'taken' : 'absent';
  }
}
