/**
 * The connections of one lane: a fixed number of undici clients, each with one socket at most and
 * one request at a time, all behind the guarded connector.
 *
 * undici's own Pool is not used, because it does not tell which socket carries a request; progress
 * of that socket is what the idle limit is about, and whether its address is public decides what
 * may be quoted.
 *
 * States of a connection: free → taken → free; one that was aborted is replaced. After `close` and
 * `destroy` nothing is handed out any more. No proxy is ever used, whatever the environment says.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { Client } from 'undici';
import { createGuardedConnector, type ConnectorOptions } from './connector.ts';
import { skipInterimAnswers, type AnswerGate } from './interim-answers.ts';

const RESPONSE_HEADER_BYTES_MAX = 32 * 1024;

export interface Connection {
  readonly client: Client;
  /** The latest socket; null before the first one. */
  socket: Socket | null;
  /** Tells when an answer begins on `socket`; null before the first one. */
  gate: AnswerGate | null;
  /** Whether `socket` leads to a public address. */
  isPublic: boolean;
}

export interface TargetConnectionsOptions extends Omit<ConnectorOptions, 'signal' | 'onSocket'> {
  /** How many at a time, at least 1. */
  readonly connections: number;
}

export class TargetConnections {
  readonly #options: TargetConnectionsOptions;
  readonly #all = new Set<Connection>();
  /** The one used last is taken first: its socket is the likeliest to be alive. */
  readonly #free: Connection[] = [];
  readonly #waiting = new Set<(connection: Connection | null) => void>();
  readonly #abort = new AbortController();
  #closed: Promise<void> | null = null;
  #whenAllFree: (() => void) | null = null;

  constructor(options: TargetConnectionsOptions) {
    this.#options = options;
    // One listener for each connection that is being made is no leak.
    setMaxListeners(0, this.#abort.signal);
  }

  /** Waits for a free connection; null where the signal says so meanwhile, or after the end. */
  acquire(signal: AbortSignal | undefined): Promise<Connection | null> | Connection | null {
    if (this.#closed !== null || signal?.aborted === true) return null;
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#all.size < this.#options.connections) return this.#open();
    return new Promise((resolve) => {
      const settle = (connection: Connection | null): void => {
        this.#waiting.delete(settle);
        signal?.removeEventListener('abort', giveUp);
        resolve(connection);
      };
      const giveUp = (): void => settle(null);
      this.#waiting.add(settle);
      signal?.addEventListener('abort', giveUp);
    });
  }

  /** Whether any of them has a socket that stands. */
  get isConnected(): boolean {
    for (const { socket } of this.#all) if (socket?.destroyed === false) return true;
    return false;
  }

  release(connection: Connection): void {
    if (!this.#all.has(connection)) return;
    const [next] = this.#waiting;
    if (next !== undefined) {
      next(connection);
      return;
    }
    this.#free.push(connection);
    this.#reportIfAllFree();
  }

  /** Ends whatever the connection does; instead of {@link release}. */
  discard(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    void connection.client.destroy();
    const [next] = this.#waiting;
    if (next !== undefined) next(this.#open());
    this.#reportIfAllFree();
  }

  /** Waits for the requests on the wire, refuses those that wait or connect, then ends. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Ends everything now; requests that run fail. */
  async destroy(): Promise<void> {
    this.#closed ??= Promise.resolve();
    for (const settle of this.#waiting) settle(null);
    this.#abort.abort();
    const clients = [...this.#all].map(({ client }) => client);
    this.#all.clear();
    this.#free.length = 0;
    this.#whenAllFree?.();
    await Promise.all(clients.map((client) => client.destroy()));
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    for (const settle of this.#waiting) settle(null);
    await new Promise<void>((resolve) => {
      this.#whenAllFree = resolve;
      this.#reportIfAllFree();
    });
    await this.destroy();
  }

  #reportIfAllFree(): void {
    if (this.#free.length === this.#all.size) this.#whenAllFree?.();
  }

  #open(): Connection {
    const connect = createGuardedConnector({
      ...this.#options,
      signal: this.#abort.signal,
      onSocket: (socket, isPublic) =>
        Object.assign(connection, { socket, isPublic, gate: skipInterimAnswers(socket) }),
    });
    const connection: Connection = {
      client: new Client(this.#options.endpoint.origin, {
        connect,
        pipelining: 1,
        // Both are the idle watch's business.
        headersTimeout: 0,
        bodyTimeout: 0,
        maxHeaderSize: RESPONSE_HEADER_BYTES_MAX,
        allowH2: false,
      }),
      socket: null,
      gate: null,
      isPublic: false,
    };
    this.#all.add(connection);
    return connection;
  }
}
