/**
 * Servers on loopback that play a target, well or badly, and clients that talk to them. What tests
 * of the guard count is sockets that a listener accepted: an error alone proves nothing.
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
import { createAddressPolicy } from '../../src/egress/address.ts';
import {
  BoundedResolver,
  type Resolution,
  createResolverClock,
  type Lookup,
  type ResolverClock,
} from '../../src/egress/resolver.ts';
import { createTargetClient, type TargetClient } from '../../src/egress/target-client.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { parseEndpoint } from '../../src/model/endpoint.ts';

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

export interface FakeTarget {
  readonly port: number;
  /** How many connections were accepted so far. */
  sockets(): number;
  readonly requests: ReceivedRequest[];
}

/** Reads each request to its end, then lets `answer` reply. */
export async function startHttpTarget(
  t: TestContext,
  answer: (request: ReceivedRequest, response: ServerResponse) => void,
): Promise<FakeTarget> {
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
): Promise<FakeTarget> {
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
): Promise<Pick<FakeTarget, 'port' | 'sockets'>> {
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

export interface ClientSettings {
  readonly port: number;
  readonly scheme?: 'http' | 'https';
  /** As it stands in an endpoint. */
  readonly host?: string;
  readonly pathPrefix?: string;
  readonly exemptKinds?: readonly string[];
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly lookup?: Lookup;
  readonly clock?: ResolverClock;
  readonly wallClockMs?: () => number;
  readonly region?: string;
  readonly connections?: number;
  readonly certificateAuthorities?: readonly string[];
}

/** A client of a target saved by an administrator on loopback, unless the settings say otherwise. */
export function openClient(t: TestContext, settings: ClientSettings): TargetClient {
  const { scheme = 'http', host = '127.0.0.1', port, pathPrefix = '' } = settings;
  const endpoint = parseEndpoint(`${scheme}://${host}:${port}${pathPrefix}`);
  if (endpoint === null) throw new Error(`Not an endpoint: ${host}`);
  const clock = settings.clock ?? createResolverClock();
  const client = createTargetClient({
    connection: {
      endpoint,
      targetBucket: 'backup',
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'secret',
      region: settings.region ?? 'us-east-1',
      exemptKinds: settings.exemptKinds ?? ['loopback'],
    },
    addresses: createAddressPolicy({
      allow: settings.allow ?? [],
      deny: settings.deny ?? [],
      ownAddresses: () => [],
    }),
    resolver: ofOneOwner(
      new BoundedResolver({
        lookup: settings.lookup ?? (() => Promise.reject(new Error('No DNS in tests.'))),
        clock: createResolverClock(),
        concurrency: 2,
        cacheMs: 0,
      }),
    ),
    clock: {
      nowMs: () => clock.nowMs(),
      after: (delayMs, callback) => clock.after(delayMs, callback),
      wallClockMs: settings.wallClockMs ?? Date.now,
    },
    connections: settings.connections ?? 2,
    ...(settings.certificateAuthorities === undefined
      ? {}
      : { certificateAuthorities: settings.certificateAuthorities }),
  });
  t.after(() => client.destroy());
  return client;
}

export const PLAIN = { systemHeaders: {}, userMetadata: {}, tags: {} } as const;

export function valueOf<T>(result: RequestResult<T>): T {
  if (!result.ok) throw new Error(`Failed: ${JSON.stringify(result.failure)}`);
  return result.value;
}

export function failureOf(result: RequestResult<unknown>): RequestFailure {
  if (result.ok) throw new Error(`Succeeded: ${JSON.stringify(result.value)}`);
  return result.failure;
}

export function errorXml(code: string, inner = ''): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>Their words.</Message>${inner}<RequestId>REQ1</RequestId></Error>`;
}

function ofOneOwner(resolver: BoundedResolver): { resolve(name: string): Promise<Resolution> } {
  return { resolve: (name) => resolver.resolve(name, 'owner') };
}
