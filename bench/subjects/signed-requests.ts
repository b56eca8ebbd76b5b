/** undici, a signature, and nothing else: what the bare peers send their requests with. */
import { hash } from 'node:crypto';
import { Pool } from 'undici';
import { createSigner, formatAmzDate } from '../../src/egress/sigv4.ts';

export const CREDENTIALS = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
} as const;
export const REGION = 'us-east-1';
export const TARGET_BUCKET = 'replica';

export interface BareRequest {
  readonly method: 'PUT' | 'POST';
  /** Below the target's bucket, percent-encoded. */
  readonly key: string;
  /** Sorted, each name followed by `=`. */
  readonly query?: string;
  readonly body: Buffer;
}

export interface BareAnswer {
  readonly etag: string;
  readonly text: string;
}

/** @throws Error, from the returned function, for every status but 200 */
export function createBareClient(
  endpoint: string,
  connections: number,
): (request: BareRequest) => Promise<BareAnswer> {
  const pool = new Pool(endpoint, { connections, pipelining: 1 });
  const signer = createSigner({ ...CREDENTIALS, region: REGION });
  const host = new URL(endpoint).host;
  return async ({ method, key, query = '', body }) => {
    const path = `/${TARGET_BUCKET}/${key}`;
    const payloadHash = hash('sha256', body);
    const amzDate = formatAmzDate(Date.now());
    const headers: [string, string][] = [
      ['host', host],
      ['content-md5', hash('md5', body, 'base64')],
      ['content-type', 'application/octet-stream'],
      ['x-amz-content-sha256', payloadHash],
      ['x-amz-date', amzDate],
    ];
    const signature = signer.sign({ method, path, query, headers, payloadHash, amzDate });
    headers.push(['authorization', signature]);
    const answer = await pool.request({
      method,
      path: query === '' ? path : `${path}?${query}`,
      headers: headers.flat(),
      body,
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`${method} answered ${answer.statusCode}.`);
    return { etag: String(answer.headers['etag'] ?? ''), text };
  };
}
