/**
 * Verifies AWS Signature Version 4 of a received request, so that the fake target can be as strict as
 * the services that it stands for. Written from the specification, apart from the code that signs.
 */
import { createHash, createHmac } from 'node:crypto';
import type { ReceivedHead } from './received-request.ts';

/** How a service reads a header's value before it compares: not all collapse tabs. */
export type Canonical = (value: string) => string;

/** As in AWS's documents: trimmed, and runs of spaces become one. */
export const collapsingSpaces: Canonical = (value) =>
  value.replace(/^[ \t]+|[ \t]+$/g, '').replaceAll(/ +/g, ' ');

/** As in MinIO (`strings.Fields`): any blanks become one space. */
export const collapsingBlanks: Canonical = (value) => value.trim().replaceAll(/\s+/g, ' ');

/** As in services that compare what came. */
export const asItCame: Canonical = (value) => value;

export function isSignedWith(secret: string, head: ReceivedHead, canonical: Canonical): boolean {
  const { method, target, headers } = head;
  const match =
    /^AWS4-HMAC-SHA256 Credential=[^/]+\/(\d{8}\/[^/]+\/s3\/aws4_request), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.get('authorization') ?? '',
    );
  if (match === null) return false;
  const [, scope = '', signedNames = '', signature = ''] = match;
  const [path = '', search = ''] = target.split('?', 2);
  const query = search
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .sort();
  const lines = signedNames
    .split(';')
    .map((name) => `${name}:${canonical(headers.get(name) ?? '')}\n`);
  const request = [
    method,
    path,
    query.join('&'),
    lines.join(''),
    signedNames,
    headers.get('x-amz-content-sha256') ?? '',
  ].join('\n');
  const date = headers.get('x-amz-date') ?? '';
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(request)].join('\n');
  const key = scope
    .split('/')
    .reduce((previous: string | Buffer, part) => hmac(previous, part), `AWS4${secret}`);
  return hmac(key, toSign).toString('hex') === signature;
}

/** One character is one byte: header values came as they are on the wire. */
function sha256(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
