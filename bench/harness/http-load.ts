/**
 * A load generator for HTTP/1.1: a fixed number of keep-alive connections, one request at a time on
 * each, over plain sockets. A client library would need more of the second core than the server does
 * of the first, and the measurement would be one of the client.
 *
 * It never sleeps where it is told to keep awake: to wake a process on another core costs a virtual
 * machine 20 µs and more of the sender's CPU, as much as an answer, and only the slower of two servers
 * lets its clients fall asleep. That takes a whole core, which a server with threads of its own needs.
 *
 * It runs as a subject of its own. Requests are given as finished text. Every answer must have the
 * expected status and a Content-Length; anything else ends the run with an error, as a fast wrong
 * answer is not a result.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Work } from './pairs.ts';
import { quantile } from './statistics.ts';
import { serveSubject } from './subject.ts';

export interface LoadParameters {
  readonly port: number;
  readonly clients: number;
  readonly durationMs: number;
  /** Client n begins with the n-th; all are sent in turn. */
  readonly requests: readonly string[];
  readonly status: number;
  readonly keepAwake: boolean;
}

export interface LoadResult extends Work {
  readonly latencyMs: { readonly p50: number; readonly p99: number };
}

const HEADER_END = Buffer.from('\r\n\r\n');

await serveSubject(async () => ({
  ready: null,
  run: (parameters) => load(parameters as LoadParameters),
  close: async () => undefined,
}));

async function load(parameters: LoadParameters): Promise<LoadResult> {
  const requests = parameters.requests.map((text) => Buffer.from(text, 'utf8'));
  const sockets = await Promise.all(
    Array.from({ length: parameters.clients }, () => openSocket(parameters.port)),
  );
  const latencies: number[] = [];
  const letSleep = parameters.keepAwake ? keepAwake() : (): void => undefined;
  const start = performance.now();
  const deadline = start + parameters.durationMs;
  await Promise.all(
    sockets.map((socket, index) =>
      drive(socket, { requests, first: index, deadline, latencies, status: parameters.status }),
    ),
  );
  const elapsedMs = performance.now() - start;
  letSleep();
  for (const socket of sockets) socket.destroy();
  latencies.sort((a, b) => a - b);
  return {
    operations: latencies.length,
    elapsedMs,
    latencyMs: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
  };
}

/** Keeps the event loop turning until the returned function is called. */
function keepAwake(): () => void {
  let immediate: NodeJS.Immediate;
  const turn = (): void => {
    immediate = setImmediate(turn);
  };
  turn();
  return () => clearImmediate(immediate);
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

interface Drive {
  readonly requests: readonly Buffer[];
  readonly first: number;
  readonly deadline: number;
  readonly latencies: number[];
  readonly status: number;
}

/** Sends, waits for the whole answer, sends the next one; until the deadline. */
function drive(socket: Socket, options: Drive): Promise<void> {
  const { requests, deadline, latencies } = options;
  const statusLine = `HTTP/1.1 ${options.status} `;
  return new Promise((resolve, reject) => {
    let next = options.first;
    let sentAt = 0;
    let rest: Buffer | null = null;
    const send = (): void => {
      sentAt = performance.now();
      socket.write(requests[next++ % requests.length]!);
    };
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new Error(reason));
    };
    socket.on('error', (error) => fail(error.message));
    socket.on('close', () => fail('The server closed a connection.'));
    socket.on('data', (chunk: Buffer) => {
      const bytes: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk]);
      const size = answerSize(bytes);
      if (size === null || bytes.length < size) {
        rest = bytes;
        return;
      }
      rest = null;
      if (bytes.length > size || bytes.toString('latin1', 0, statusLine.length) !== statusLine) {
        fail(`Unexpected answer: ${bytes.toString('latin1', 0, 200)}`);
        return;
      }
      const now = performance.now();
      latencies.push(now - sentAt);
      if (now < deadline) {
        send();
        return;
      }
      socket.removeAllListeners('close');
      resolve();
    });
    send();
  });
}

/** Bytes of the whole answer; null while its headers are incomplete. */
function answerSize(bytes: Buffer): number | null {
  const end = bytes.indexOf(HEADER_END);
  if (end < 0) return null;
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, end))?.[1];
  return length === undefined ? null : end + HEADER_END.length + Number(length);
}
