/**
 * The listening socket: limits for slow clients, and an end that lets requests finish.
 *
 * States: `starting` (bound, answers 503) → `serving` → `stopping` → `stopped`. The socket is bound
 * before anything else is opened, so that a port that is taken costs nothing; see serve.ts.
 * Transitions happen in `serve` and `stop` only; further calls of `stop` share the first one's promise.
 *
 * A request lasts until its handler is done, which may be later than its connection: what handlers use
 * can be closed only after {@link HttpServer.handlersEnded}.
 */
import { once } from 'node:events';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { isIPv6, type AddressInfo } from 'node:net';

/**
 * Request line and headers together. S3 takes 8 KiB; the rest is room for proxies. Tags that need more
 * are put with `?tagging`, whose document may have 64 KiB.
 */
const HEAD_BYTES_MAX = 16 * 1024;
/** The whole head of a request must arrive within this time. */
const HEADERS_TIMEOUT_MS = 20_000;
/**
 * The whole request, body included: a single PUT of 5 GiB (S3's limit) at 64 KiB/s takes 23 hours.
 * Zero would leave no bound at all; what stalls is ended much sooner by the next limit.
 */
const REQUEST_TIMEOUT_MS = 24 * 60 * 60 * 1000;
/** A connection on which no byte moves in either direction. */
const IDLE_TIMEOUT_MS = 5 * 60 * 1000;
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

/** Resolves once the request needs nothing of the server any more; never rejects. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

type State = 'starting' | 'serving' | 'stopping' | 'stopped';

export class HttpServer {
  readonly #server: Server;
  #state: State = 'starting';
  #listener: RequestListener = answerUnavailable;
  readonly #handling = new Set<Promise<void>>();
  #stopped: Promise<void> | undefined;

  /** @param attach gets the server before it listens, for events that no request listener sees */
  constructor(attach: (server: Server) => void) {
    this.#server = createServer(
      {
        maxHeaderSize: HEAD_BYTES_MAX,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      },
      (request, response) => {
        // A connection is idle only after its answer is complete, and then nobody else closes it.
        response.once('close', () => {
          if (this.isStopping) setImmediate(() => this.#server.closeIdleConnections());
        });
        if (this.isStopping) response.setHeader('Connection', 'close');
        this.#listener(request, response);
      },
    );
    this.#server.timeout = IDLE_TIMEOUT_MS;
    attach(this.#server);
  }

  get isStopping(): boolean {
    return this.#state === 'stopping' || this.#state === 'stopped';
  }

  /**
   * Binds the address; requests are answered with 503 until {@link serve}.
   *
   * @returns the base URL, with the port that the system chose where `port` is 0
   * @throws Error with the `code` of the system call, for instance EADDRINUSE
   */
  async listen(hostname: string, port: number): Promise<string> {
    this.#server.listen(port, hostname);
    await once(this.#server, 'listening');
    const { address, port: actualPort } = this.#server.address() as AddressInfo;
    return `http://${hostOf(address)}:${actualPort}`;
  }

  serve(handler: RequestHandler): void {
    if (this.#state !== 'starting') return;
    this.#listener = (request, response) => {
      const handled = handler(request, response).finally(() => this.#handling.delete(handled));
      this.#handling.add(handled);
    };
    this.#state = 'serving';
  }

  /** Ends at once what {@link stop} still waits for. */
  cutConnections(): void {
    this.#server.closeAllConnections();
  }

  /** Waits for handlers whose connections are gone; false where some still run after `limitMs`. */
  async handlersEnded(limitMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
    await Promise.race([Promise.all(this.#handling), late]);
    clearTimeout(timer);
    return this.#handling.size === 0;
  }

  /** Takes no new connections, lets requests finish for at most `graceMs`, then cuts them off. */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#state = 'stopping';
    if (this.#server.listening) {
      const closed = once(this.#server, 'close');
      // Closes idle connections too; those that become idle later are closed above.
      this.#server.close();
      const deadline = setTimeout(() => this.#server.closeAllConnections(), graceMs);
      await closed;
      clearTimeout(deadline);
    }
    this.#state = 'stopped';
  }
}

const answerUnavailable: RequestListener = (_request, response) => {
  response.writeHead(503, { 'Retry-After': '1', Connection: 'close' });
  response.end();
};

/** For a client on this machine: a wildcard address is reached through loopback. */
function hostOf(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1';
  if (address === '::') return '[::1]';
  return isIPv6(address) ? `[${address}]` : address;
}
