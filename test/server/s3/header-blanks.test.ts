import { CreateBucketCommand } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { createSigner, formatAmzDate } from '../../../src/egress/sigv4.ts';
import { OWNER, REGION, sendRaw, startS3Server, type S3Server } from './s3-server.ts';
import { signedHead } from './signed-request.ts';

/** Signs a PUT of nothing with these headers; gives the value of `authorization`. */
type Sign = (path: string, headers: Readonly<Record<string, string>>, amzDate: string) => string;

const PAYLOAD = 'UNSIGNED-PAYLOAD';

let server: S3Server;

before(async () => {
  server = await startS3Server();
  await server.client().send(new CreateBucketCommand({ Bucket: 'blanks' }));
});
after(async () => {
  assert.deepEqual(server.failures, []);
  await server.stop();
});

/** A signer that puts header values into its canonical request as `canonical` gives them. */
function signerWith(canonical: (value: string) => string): Sign {
  return (path, headers, amzDate) => {
    const names = Object.keys(headers).sort();
    const lines = names.map((name) => `${name}:${canonical(headers[name]!)}\n`).join('');
    const request = ['PUT', path, '', lines, names.join(';'), PAYLOAD].join('\n');
    const day = amzDate.slice(0, 8);
    const scope = `${day}/${REGION}/s3/aws4_request`;
    const digest = createHash('sha256').update(request, 'latin1').digest('hex');
    const key = [day, REGION, 's3', 'aws4_request'].reduce<Buffer | string>(
      (before, part) => createHmac('sha256', before).update(part).digest(),
      `AWS4${OWNER.secretAccessKey}`,
    );
    const signature = createHmac('sha256', key)
      .update(['AWS4-HMAC-SHA256', amzDate, scope, digest].join('\n'))
      .digest('hex');
    return (
      `AWS4-HMAC-SHA256 Credential=${OWNER.accessKeyId}/${scope}, ` +
      `SignedHeaders=${names.join(';')}, Signature=${signature}`
    );
  };
}

const ownSigner: Sign = (path, headers, amzDate) =>
  createSigner({ ...OWNER, region: REGION }).sign({
    method: 'PUT',
    path,
    query: '',
    headers: Object.entries(headers),
    payloadHash: PAYLOAD,
    amzDate,
  });

/** Status of a PUT whose metadata is exactly this on the wire. */
async function put(value: string, sign: Sign): Promise<string | undefined> {
  const path = '/blanks/object';
  const amzDate = formatAmzDate(Date.now());
  const headers = {
    host: 'localhost',
    'x-amz-content-sha256': PAYLOAD,
    'x-amz-date': amzDate,
    'x-amz-meta-note': value,
  };
  const lines = Object.entries({ ...headers, authorization: sign(path, headers, amzDate) });
  const head = lines.map(([name, text]) => `${name}: ${text}\r\n`).join('');
  const request = `PUT ${path} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n${head}\r\n`;
  return statusOf(await sendRaw(server.port, [Buffer.from(request, 'latin1')]));
}

function statusOf(answer: string): string | undefined {
  return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1];
}

const values: Readonly<Record<string, string>> = {
  'one space': 'annual report',
  'a run of spaces': 'annual    report',
  'spaces around it': '   annual report  ',
  'a tab': 'annual\treport',
  'a run of tabs': 'annual\t\t\treport',
  'a tab among spaces': 'annual \t  report',
  'tabs around it': '\tannual report\t',
  'tabs and spaces around and within': ' \t a \t b  c\td \t ',
  'quotes around a run': '"annual   report"',
  'raw UTF-8': Buffer.from('Überschuß\t日本', 'utf8').toString('latin1'),
  'raw UTF-8 that ends in a byte that latin1 takes for a blank':
    Buffer.from('à\tà').toString('latin1'),
  'raw latin1': 'caf\xe9\t \xa0x\xa0',
};

/** How signers in use read "convert sequential spaces to a single space". */
const signers: Readonly<Record<string, Sign>> = {
  'the signer of deliveries': ownSigner,
  // Java, JavaScript, Python, curl.
  'a signer that collapses every blank': signerWith((value) =>
    value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, ''),
  ),
  // Go, Rust, .NET; see aws-sdk-net#1222 and aws-sdk-rust#248.
  'a signer that collapses spaces alone': signerWith((value) =>
    value.replace(/^[ \t]+|[ \t]+$/g, '').replace(/ +/g, ' '),
  ),
};

describe('blanks in signed headers', () => {
  for (const [who, sign] of Object.entries(signers)) {
    for (const [what, value] of Object.entries(values)) {
      it(`are accepted: ${what}, from ${who}`, async () => {
        assert.equal(await put(value, sign), '200');
      });
    }
  }

  for (const value of ['annual\treport', ' \ta \t  b ', 'a  b']) {
    it(`are accepted as @smithy/signature-v4 signs ${JSON.stringify(value)}`, async () => {
      const head = await signedHead({
        method: 'PUT',
        path: '/blanks/object',
        headers: { 'x-amz-meta-note': value, 'content-length': '0' },
        unsignedHeaders: { connection: 'close' },
      });
      assert.equal(statusOf(await sendRaw(server.port, [head])), '200');
    });
  }

  it('prove nothing about another value', async () => {
    const otherwise = signerWith((value) => value.replace('annual', 'monthly'));
    assert.equal(await put('annual\treport', otherwise), '403');
    assert.equal(
      await put(
        'annual\treport',
        signerWith((value) => value.replace('\t', '')),
      ),
      '403',
    );
  });
});
