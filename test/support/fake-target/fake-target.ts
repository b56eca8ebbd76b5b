/**
 * One S3 service on a real socket of loopback that does whatever a test wants it to: it keeps objects
 * and uploads, answers as S3 does, and lets two hooks do otherwise, one when the head of a request has
 * come (and its body has not), one when all of it has.
 *
 * It speaks HTTP by itself, so that it may send any bytes at any time, read slowly or not at all, and
 * end a connection in any way.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { FarStore } from './far-store.ts';
import {
  parseHead,
  type LoggedRequest,
  type Operation,
  type ReceivedHead,
} from './received-request.ts';
import type { ReceivedRequest } from './received-request.ts';
import { react, type Exchange, type Reaction } from './reactions.ts';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

export interface TargetClock {
  nowMs(): number;
  monotonicMs(): number;
  after(delayMs: number, callback: () => void): () => void;
}

/** `whenHead` comes before the body: a reaction there ends the reading of it. */
export interface TargetHooks {
  readonly whenHead?: (head: ReceivedHead) => Reaction;
  readonly whenWhole?: (request: ReceivedRequest) => Reaction;
  /** A connection was made; true where the hook keeps it for itself. */
  readonly whenConnected?: (socket: Socket) => boolean;
}

export interface FakeTarget extends FarStore {
  readonly url: string;
  readonly port: number;
  /** All of them, in the order of their heads. */
  readonly requests: readonly LoggedRequest[];
  /** Replaced by tests as they go, for instance once the target is healed. */
  hooks: TargetHooks;
  /** Connections accepted so far. */
  readonly accepted: number;
  /** Those of one operation, perhaps of one key. */
  requestsOf(operation: Operation, key?: string): readonly LoggedRequest[];
  /** Ends all connections; what the target keeps stays. */
  close(): Promise<void>;
  /** Again, after {@link close}. */
  listen(port?: number): Promise<void>;
}

export interface FakeTargetOptions {
  readonly clock: TargetClock;
  readonly hooks?: TargetHooks;
}

export async function startFakeTarget(
  t: Cleanup,
  { clock, hooks = {} }: FakeTargetOptions,
): Promise<FakeTarget> {
  const target = new ListeningTarget(clock, hooks);
  await target.listen();
  t.after(() => target.close());
  return target;
}

const HEAD_END = '\r\n\r\n';

/** A request whose body has not come whole. */
interface Arriving {
  readonly head: ReceivedHead;
  readonly logged: LoggedRequest;
  readonly chunks: Buffer[];
  missingBytes: number;
}

class ListeningTarget extends FarStore implements FakeTarget {
  hooks: TargetHooks;
  readonly requests: LoggedRequest[] = [];
  accepted = 0;
  port = 0;
  readonly #clock: TargetClock;
  readonly #open = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  readonly #server = createServer({ noDelay: true }, (socket) => this.#accept(socket));

  constructor(clock: TargetClock, hooks: TargetHooks) {
    super({ nowMs: () => clock.nowMs() });
    this.#clock = clock;
    this.hooks = hooks;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async listen(port = 0): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
  }

  requestsOf(operation: Operation, key?: string): readonly LoggedRequest[] {
    return this.requests.filter(
      (request) => request.operation === operation && (key === undefined || request.key === key),
    );
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #accept(socket: Socket): void {
    this.accepted += 1;
    this.#open.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#open.delete(socket));
    if (this.hooks.whenConnected?.(socket) === true) return;
    this.#serve(socket);
  }

  /** One request after the other, until the connection ends. */
  #serve(socket: Socket): void {
    let pending: Buffer = Buffer.alloc(0);
    let arriving: Arriving | null = null;
    const read = (chunk: Buffer): void => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      do {
        if (arriving === null) {
          const end = pending.indexOf(HEAD_END);
          if (end < 0) return;
          arriving = this.#arrive(pending.toString('latin1', 0, end));
          pending = pending.subarray(end + HEAD_END.length);
          const early = this.hooks.whenHead?.(arriving.head);
          if (early !== undefined) {
            // What follows on this connection is the rest of a body that nobody looks at.
            socket.off('data', read);
            if (socket.readableFlowing === true) socket.pause();
            void this.#react(early, { ...arriving.head, body: Buffer.alloc(0) }, socket);
            return;
          }
        }
        pending = takeBody(arriving, pending);
        if (arriving.missingBytes > 0) return;
        const request = { ...arriving.head, body: Buffer.concat(arriving.chunks) };
        arriving = null;
        void this.#react(this.hooks.whenWhole?.(request), request, socket);
      } while (pending.length > 0);
    };
    socket.on('data', read);
  }

  #arrive(text: string): Arriving {
    const parsed = parseHead(text, this.#clock.monotonicMs());
    const name = `${parsed.operation} ${parsed.key}`;
    const nth = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, nth);
    const head = { ...parsed, nth };
    const logged = { ...head, bodyBytes: 0 };
    this.requests.push(logged);
    const missingBytes = Number(head.headers.get('content-length') ?? 0);
    return { head, logged, chunks: [], missingBytes };
  }

  #react(reaction: Reaction, request: ReceivedRequest, socket: Socket): Promise<void> {
    let isApplied = false;
    const exchange: Exchange = {
      request,
      socket,
      apply: () => {
        if (isApplied) throw new Error('A request is applied once.');
        isApplied = true;
        return this.apply(request);
      },
      pass: (delayMs) => new Promise((resolve) => void this.#clock.after(delayMs, resolve)),
    };
    return react(reaction, exchange);
  }
}

/** Returns what is left. */
function takeBody(arriving: Arriving, bytes: Buffer): Buffer {
  const taken = bytes.subarray(0, arriving.missingBytes);
  arriving.missingBytes -= taken.length;
  arriving.logged.bodyBytes += taken.length;
  arriving.chunks.push(taken);
  return bytes.subarray(taken.length);
}
