/**
 * Signs requests to targets with AWS Signature Version 4 (service `s3`).
 *
 * Written by hand because it runs once per delivered object: the signing key is derived once per
 * day, and a request costs two hashes of short texts. The caller gives the path and the query as
 * they will be sent, so that the text that is signed is the text on the wire; nothing here parses
 * or normalises an address.
 *
 * Header values are byte strings (one character per byte, as HTTP carries them), hence latin1.
 */
import { createHmac, hash } from 'node:crypto';
import { canonicalValue } from '../model/header-value.ts';

const ALGORITHM = 'AWS4-HMAC-SHA256';

/** SHA-256 of no bytes. */
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

export type Header = readonly [name: string, value: string];

export interface RequestToSign {
  readonly method: string;
  /** Percent-encoded, exactly as sent, without the query. */
  readonly path: string;
  /** Without `?`; percent-encoded, sorted, every name followed by `=`. */
  readonly query: string;
  /** All headers to be signed, `host` and `x-amz-date` among them: names unique and in lower case. */
  readonly headers: readonly Header[];
  /** The value of `x-amz-content-sha256`. */
  readonly payloadHash: string;
  /** As {@link formatAmzDate} writes it. */
  readonly amzDate: string;
}

export interface Signer {
  /** The value of `authorization`. */
  sign(request: RequestToSign): string;
}

let formattedSecond = -1;
let formatted = '';

/** `20130524T000000Z`, UTC. Many requests are signed in one second. */
export function formatAmzDate(wallClockMs: number): string {
  const second = Math.floor(wallClockMs / 1000);
  if (second !== formattedSecond) {
    const iso = new Date(second * 1000).toISOString();
    formatted = `${iso.slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
    formattedSecond = second;
  }
  return formatted;
}

/** Keeps the signing key of one day; a signer belongs to one target's connection. */
export function createSigner(credentials: SigningCredentials): Signer {
  let keyDay = '';
  let key: Buffer = Buffer.alloc(0);
  return {
    sign(request) {
      const day = request.amzDate.slice(0, 8);
      if (day !== keyDay) {
        key = deriveKey(credentials, day);
        keyDay = day;
      }
      const scope = `${day}/${credentials.region}/s3/aws4_request`;
      const [canonical, signedHeaders] = canonicalRequest(request);
      const digest = hash('sha256', Buffer.from(canonical, 'latin1'));
      const text = `${ALGORITHM}\n${request.amzDate}\n${scope}\n${digest}`;
      const signature = createHmac('sha256', key).update(text, 'latin1').digest('hex');
      return `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
    },
  };
}

function canonicalRequest(request: RequestToSign): [text: string, signedHeaders: string] {
  const headers = request.headers.toSorted(([a], [b]) => (a < b ? -1 : 1));
  let lines = '';
  let names = '';
  for (const [name, value] of headers) {
    lines += `${name}:${canonicalValue(value)}\n`;
    names += names === '' ? name : `;${name}`;
  }
  const { method, path, query, payloadHash } = request;
  return [`${method}\n${path}\n${query}\n${lines}\n${names}\n${payloadHash}`, names];
}

function deriveKey(credentials: SigningCredentials, day: string): Buffer {
  let key: Buffer = Buffer.from(`AWS4${credentials.secretAccessKey}`, 'utf8');
  for (const part of [day, credentials.region, 's3', 'aws4_request']) {
    key = createHmac('sha256', key).update(part).digest();
  }
  return key;
}
