/**
 * A proxy in front of a target that can hold a request back, whole, and let it go on later, also when
 * its sender is long dead: what a network or a slow service may do to a request that was given up.
 */
import { once } from 'node:events';
import {
  createServer,
  request as sendRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface HeldRequest {
  /** Resolves when the whole request is here. */
  readonly arrived: Promise<void>;
  /** Lets it go on, and returns the status that the target answers with. */
  release(): Promise<number>;
}

interface Hold {
  readonly matches: (method: string, path: string) => boolean;
  readonly arrive: (goOn: () => Promise<number>) => void;
}

export class HoldingProxy {
  readonly url: string;
  readonly #server: Server;
  readonly #targetUrl: string;
  readonly #holds = new Set<Hold>();

  private constructor(server: Server, targetUrl: string) {
    this.#server = server;
    this.#targetUrl = targetUrl;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (incoming, response) => void this.#serve(incoming, response));
  }

  static async start(targetUrl: string): Promise<HoldingProxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HoldingProxy(server, targetUrl);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  /** The next request that matches is held; later ones pass. */
  holdNext(matches: Hold['matches']): HeldRequest {
    const arrival = new Promise<() => Promise<number>>((resolve) => {
      this.#holds.add({ matches, arrive: resolve });
    });
    return {
      arrived: arrival.then(() => undefined),
      release: async () => await (await arrival)(),
    };
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = incoming;
    try {
      const body = await buffer(incoming);
      const hold = [...this.#holds].find(({ matches }) => matches(method, url));
      if (hold === undefined) {
        await this.#forward(incoming, body, response);
        return;
      }
      this.#holds.delete(hold);
      hold.arrive(() => this.#forward(incoming, body, response));
    } catch {
      // The sender sees that its connection ends.
      response.destroy();
    }
  }

  /** As it came: its signature is over the host that the sender knows. */
  async #forward(
    { method, url, rawHeaders }: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<number> {
    const forwarded = sendRequest(this.#targetUrl + url, { method, headers: rawHeaders });
    forwarded.end(body);
    const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
    const { statusCode = 0 } = answer;
    const answered = await buffer(answer);
    response.writeHead(statusCode, answer.rawHeaders);
    response.end(answered);
    return statusCode;
  }
}
