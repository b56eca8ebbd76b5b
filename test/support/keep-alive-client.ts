/** Sends one request after the other over one connection, each within a bounded time (until.ts). */
import { Agent, request } from 'node:http';
import { LIMIT_MS } from './until.ts';

export interface ClientAnswer {
  readonly status: number;
  readonly etag: string | undefined;
  readonly text: string;
}

export interface ClientRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export class KeepAliveClient {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#url = url;
  }

  /** Rejects where no complete answer came in time. */
  send({ method, path, headers, body }: ClientRequest): Promise<ClientAnswer> {
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(LIMIT_MS);
      const options = { method, headers, agent: this.#agent, signal };
      const sent = request(this.#url + path, options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => (text += part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, etag: answer.headers.etag, text }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
