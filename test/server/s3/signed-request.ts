/**
 * Requests whose bytes a test controls, signed by an implementation that is not the server's own.
 */
import { SignatureV4 } from '@smithy/signature-v4';
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import { OWNER, REGION } from './s3-server.ts';

export interface RawRequest {
  readonly method?: string;
  /** As it is put into the request line, without a query. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Signed, together with `host` and the date. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent, but not signed. */
  readonly unsignedHeaders?: Readonly<Record<string, string>>;
  /** The value of x-amz-content-sha256. */
  readonly payloadHash?: string;
}

class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    if (secret === undefined) this.#hash = createHash('sha256');
    else this.#hash = createHmac('sha256', toBytes(secret));
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(toBytes(data));
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {
    throw new Error('not used');
  }
}

function toBytes(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data);
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The head of a signed request, up to and with the empty line. */
export async function signedHead(request: RawRequest): Promise<string> {
  const { method = 'GET', path, query = {}, payloadHash = 'UNSIGNED-PAYLOAD' } = request;
  const signer = new SignatureV4({
    credentials: OWNER,
    region: REGION,
    service: 's3',
    sha256: Sha256,
    uriEscapePath: false,
    applyChecksum: false,
  });
  const signed = await signer.sign({
    method,
    protocol: 'http:',
    hostname: 'localhost',
    path,
    query: { ...query },
    headers: { host: 'localhost', 'x-amz-content-sha256': payloadHash, ...request.headers },
  });
  const parameters = Object.entries(query).map(([name, value]) => `${name}=${value}`);
  const target = parameters.length === 0 ? path : `${path}?${parameters.join('&')}`;
  const headers = Object.entries({ ...signed.headers, ...request.unsignedHeaders });
  return [
    `${method} ${target} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    '',
    '',
  ].join('\r\n');
}
