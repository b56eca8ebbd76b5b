/** A server's answers, kept whole: what a run must look through when it is over. */
import { until } from '../support/until.ts';

export interface RecordedRequest {
  /** What was asked, for people. */
  readonly name: string;
  readonly method?: string;
  readonly path: string;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: string | Uint8Array | object;
}

export interface RecordedAnswer {
  readonly name: string;
  /** Status, headers and body. */
  readonly text: string;
}

export interface AnsweredRequest {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

export class RecordedServer {
  readonly answers: RecordedAnswer[] = [];
  /** The error codes that were answered. */
  readonly codes = new Set<string>();
  readonly #url: () => string;

  /** @param url of the process that runs now */
  constructor(url: () => string) {
    this.#url = url;
  }

  async send(request: RecordedRequest): Promise<AnsweredRequest> {
    const { name, method = 'GET', path, token, headers = {}, body } = request;
    const isRaw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(this.#url() + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: isRaw ? Buffer.from(body as string) : JSON.stringify(body) }),
    });
    const text = await response.text();
    const head = [...response.headers].map((header) => header.join(': ')).join('\n');
    this.answers.push({ name, text: `${response.status}\n${head}\n\n${text}` });
    const json = parse(text);
    const code = json['code'] ?? /<Code>(\w+)<\/Code>/.exec(text)?.[1];
    if (typeof code === 'string') this.codes.add(code);
    return { status: response.status, json };
  }

  /** Asks until the answer's body matches. */
  async sendUntil(request: RecordedRequest, wanted: RegExp): Promise<void> {
    await until(async () => {
      const { json } = await this.send(request);
      return wanted.test(JSON.stringify(json));
    }, `${request.name} to show ${wanted.source}`);
  }
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
