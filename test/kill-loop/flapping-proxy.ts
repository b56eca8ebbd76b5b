/**
 * A way to a server that is open and closed in turns, byte for byte: while it is closed connections
 * are refused, and those that were open are reset.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../simulation/random.ts';

const OPEN_MS = { min: 1_000, max: 8_000 };
const CLOSED_MS = { min: 500, max: 6_000 };

export class FlappingProxy {
  readonly url: string;
  #server: Server;
  readonly #port: number;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.#targetPort = targetPort;
    this.url = `http://127.0.0.1:${this.#port}`;
    server.on('connection', (socket: Socket) => this.#serve(socket));
  }

  static async start(targetPort: number): Promise<FlappingProxy> {
    return new FlappingProxy(await listen(0), targetPort);
  }

  /** Resolves after the signal, with the way open; returns how often it was closed. */
  async flap(random: Random, signal: AbortSignal): Promise<number> {
    let closed = 0;
    for (;;) {
      await pause(random.between(OPEN_MS.min, OPEN_MS.max), signal);
      if (signal.aborted) return closed;
      await this.close();
      closed += 1;
      await pause(random.between(CLOSED_MS.min, CLOSED_MS.max), signal);
      this.#server = await listen(this.#port);
      this.#server.on('connection', (socket: Socket) => this.#serve(socket));
    }
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  #serve(socket: Socket): void {
    const onward = connect(this.#targetPort, '127.0.0.1');
    for (const [one, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }
}

async function listen(port: number): Promise<Server> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  await sleep(delayMs, undefined, { signal }).catch(() => undefined);
}
