/**
 * Every query parameter and every header that the S3 API reads, with values that nobody means: none
 * of them may be the server's own fault.
 */
import {
  CreateBucketCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createSigner, formatAmzDate } from '../../../src/egress/sigv4.ts';
import { encodePercent } from '../../../src/server/s3/percent-encoding.ts';
import { OWNER, REGION, sendRaw, startS3Server, type S3Server } from './s3-server.ts';

type Pairs = readonly (readonly [name: string, value: string])[];

interface OddRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: Pairs;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Answer {
  readonly status: number;
  readonly code: string | undefined;
}

let server: S3Server;

before(async () => {
  server = await startS3Server();
  const s3 = server.client();
  await s3.send(new CreateBucketCommand({ Bucket: 'bucket' }));
  const VersioningConfiguration = { Status: 'Enabled' } as const;
  await s3.send(new PutBucketVersioningCommand({ Bucket: 'bucket', VersioningConfiguration }));
  await s3.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'key', Body: 'x' }));
});
after(() => server.stop());

/** Signs and sends; values of the query are percent-encoded here, those of headers go as they are. */
async function send({ method, path, query = [], headers = {} }: OddRequest): Promise<Answer> {
  const amzDate = formatAmzDate(Date.now());
  const payloadHash = 'UNSIGNED-PAYLOAD';
  const signed = {
    host: 'localhost',
    'content-length': '0',
    'x-amz-content-sha256': payloadHash,
    'x-amz-date': amzDate,
    ...headers,
  };
  const pairs = query.map(([name, value]) => `${encodePercent(name)}=${encodePercent(value)}`);
  const authorization = createSigner({ ...OWNER, region: REGION }).sign({
    method,
    path,
    query: pairs.toSorted().join('&'),
    headers: Object.entries(signed),
    payloadHash,
    amzDate,
  });
  const lines = Object.entries({ ...signed, authorization, connection: 'close' });
  return await sendHead([
    `${method} ${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`} HTTP/1.1`,
    ...lines.map(([name, value]) => `${name}: ${value}`),
  ]);
}

async function sendHead(lines: readonly string[]): Promise<Answer> {
  const head = Buffer.from([...lines, '', ''].join('\r\n'), 'latin1');
  const answer = await sendRaw(server.port, [head]);
  return {
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]),
    code: /<Code>(\w+)/.exec(answer)?.[1],
  };
}

function assertOwnFault({ status, code }: Answer, what: string): void {
  const isFine = status >= 200 && (status < 500 || (status === 501 && code === 'NotImplemented'));
  assert.ok(isFine && code !== 'SignatureDoesNotMatch', `${what}: ${status} ${code ?? ''}`);
  assert.deepEqual(server.failures, [], what);
}

const UPLOAD_ID = 'A'.repeat(27);
const listing = ['prefix', 'delimiter', 'encoding-type'];

/** A request, and the parameters that its operation reads. */
const operations: readonly [method: string, path: string, query: Pairs, parameters: string[]][] = [
  ['GET', '/', [], ['prefix']],
  ['PUT', '/new-bucket', [], ['versioning']],
  ['HEAD', '/bucket', [], ['x-id']],
  ['GET', '/bucket', [], [...listing, 'marker', 'max-keys', 'list-type', 'location']],
  [
    'GET',
    '/bucket',
    [['list-type', '2']],
    [...listing, 'continuation-token', 'start-after', 'fetch-owner', 'max-keys'],
  ],
  ['GET', '/bucket', [['versions', '']], [...listing, 'key-marker', 'max-keys', 'versions']],
  [
    'GET',
    '/bucket',
    [
      ['versions', ''],
      ['key-marker', 'key'],
    ],
    ['version-id-marker'],
  ],
  ['GET', '/bucket', [['uploads', '']], [...listing, 'key-marker', 'max-uploads', 'uploads']],
  [
    'GET',
    '/bucket',
    [
      ['uploads', ''],
      ['key-marker', 'key'],
    ],
    ['upload-id-marker'],
  ],
  ['POST', '/bucket', [], ['delete']],
  [
    'GET',
    '/bucket/key',
    [],
    ['versionId', 'response-content-type', 'response-expires', 'partNumber', 'uploadId', 'x'],
  ],
  ['HEAD', '/bucket/key', [], ['versionId', 'response-content-disposition']],
  ['DELETE', '/bucket/gone', [], ['versionId', 'uploadId']],
  ['GET', '/bucket/key', [['tagging', '']], ['versionId', 'tagging']],
  ['PUT', '/bucket/key', [['tagging', '']], ['versionId']],
  ['DELETE', '/bucket/key', [['tagging', '']], ['versionId']],
  [
    'GET',
    '/bucket/key',
    [['uploadId', UPLOAD_ID]],
    ['max-parts', 'part-number-marker', 'encoding-type'],
  ],
  ['POST', '/bucket/key', [], ['uploadId']],
  ['PUT', '/bucket/key', [['partNumber', '1']], ['uploadId']],
  ['PUT', '/bucket/key', [['uploadId', UPLOAD_ID]], ['partNumber']],
];

const oddTexts: readonly string[] = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\r\nx: y',
  '\u007f',
  'é',
  '😀',
  '\uffff',
  '\u202e',
  'a'.repeat(1_025),
  'é'.repeat(600),
  '-1',
  '-0',
  '1e9',
  '0x1',
  '1.5',
  'NaN',
  '9'.repeat(10),
  '9'.repeat(40),
  '../..',
  'null',
  UPLOAD_ID,
  '-'.repeat(27),
  '/w' + '_'.repeat(25),
  '__proto__',
  'constructor',
];

describe('an odd parameter', () => {
  for (const [method, path, query, parameters] of operations) {
    const name = `${method} ${path}?${query.map(([key]) => key).join('&')}`;
    it(`is never the server's own fault: ${name}`, async () => {
      for (const parameter of parameters) {
        const others = query.filter(([key]) => key !== parameter);
        for (const text of oddTexts) {
          const what = `${parameter}=${JSON.stringify(text.slice(0, 40))}`;
          const one = [...others, [parameter, text]] as const;
          assertOwnFault(await send({ method, path, query: one }), what);
        }
        const twice = [...others, [parameter, 'a'], [parameter, '\0']] as const;
        assertOwnFault(await send({ method, path, query: twice }), `${parameter} twice`);
      }
    });
  }

  it('that is not UTF-8 is an InvalidURI, whatever it is called', async () => {
    for (const escape of ['%ff', '%ed%a0%80', '%c0%80', '%', '%zz', '%f5%80%80%80']) {
      for (const target of [`/bucket?prefix=${escape}`, `/bucket?${escape}=1`, `/b${escape}/k`]) {
        const { status, code } = await sendHead([
          `GET ${target} HTTP/1.1`,
          'Host: x',
          'Connection: close',
        ]);
        assert.deepEqual([status, code], [400, 'InvalidURI'], target);
      }
    }
  });

  for (const path of [
    '/%00',
    '/bu%00ket',
    '/bucket/%00',
    '/bucket/a%00b',
    '/bucket/%EF%BF%BF',
    '/%F0%9F%98%80',
  ]) {
    it(`is never the server's own fault: the path ${path}`, async () => {
      for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE']) {
        assertOwnFault(await send({ method, path }), method);
      }
    });
  }
});

describe('an odd version id', () => {
  const ids = ['', '\0', 'a\0b', ' ', '😀', '\uffff', 'é', '\r\n', 'a'.repeat(1_025)];
  for (const versionId of ids) {
    it(`is an InvalidArgument: ${JSON.stringify(versionId.slice(0, 20))}`, async () => {
      const query = [['versionId', versionId]] as const;
      const tagging = [...query, ['tagging', '']] as const;
      for (const request of [
        { method: 'GET', query },
        { method: 'DELETE', query },
        { method: 'GET', query: tagging },
        { method: 'DELETE', query: tagging },
      ]) {
        const { status, code } = await send({ path: '/bucket/key', ...request });
        assert.deepEqual([status, code], [400, 'InvalidArgument'], request.method);
      }
      assert.equal((await send({ method: 'HEAD', path: '/bucket/key', query })).status, 400);
      const source = `bucket/key?versionId=${encodePercent(versionId)}`;
      const copy = {
        method: 'PUT',
        path: '/bucket/copy',
        headers: { 'x-amz-copy-source': source },
      };
      const { status, code } = await send(copy);
      assert.deepEqual([status, code], [400, 'InvalidArgument'], 'copy');
      assert.deepEqual(server.failures, []);
    });
  }
});

describe('an odd header', () => {
  const byMethod: Readonly<Record<string, readonly string[]>> = {
    GET: [
      'range',
      'if-match',
      'if-none-match',
      'if-modified-since',
      'if-unmodified-since',
      'x-amz-checksum-mode',
      'x-amz-expected-bucket-owner',
    ],
    PUT: [
      'content-type',
      'content-encoding',
      'cache-control',
      'content-disposition',
      'expires',
      'content-md5',
      'content-length',
      'transfer-encoding',
      'x-amz-acl',
      'x-amz-storage-class',
      'x-amz-tagging',
      'x-amz-tagging-directive',
      'x-amz-metadata-directive',
      'x-amz-meta-a',
      'x-amz-meta-__proto__',
      'x-amz-copy-source',
      'x-amz-copy-source-range',
      'x-amz-copy-source-if-match',
      'x-amz-checksum-crc32',
      'x-amz-checksum-sha256',
      'x-amz-sdk-checksum-algorithm',
      'x-amz-trailer',
      'x-amz-decoded-content-length',
      'x-amz-content-sha256',
      'x-alarik-replica',
      'if-match',
      'if-none-match',
      'expect',
    ],
    DELETE: ['if-match', 'x-amz-mfa', 'x-alarik-replica', 'x-amz-bypass-governance-retention'],
  };
  const texts = [
    '',
    '\x80\xff',
    '-1',
    '9'.repeat(40),
    '1e9',
    'a'.repeat(3_000),
    '%00',
    '%ff',
    'a=%00&b=%ff',
    'a=b&a=c',
    'bucket/%00',
    '/bucket/key?versionId=%00',
    'bytes=0-99999999999999999999',
    'bytes=-',
    'bytes=5-1',
    '"',
    'W/"',
    ',,,',
    '=',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'Sun, 99 Foo 99999 99:99:99 GMT',
    '+275760-09-13',
  ];
  for (const [method, names] of Object.entries(byMethod)) {
    for (const name of names) {
      it(`is never the server's own fault: ${name} of ${method}`, async () => {
        for (const value of texts) {
          const headers = { [name]: value };
          const { status, code } = await send({ method, path: '/bucket/odd', headers });
          const isFine = status >= 200 && (status < 500 || code === 'NotImplemented');
          assert.ok(isFine, `${JSON.stringify(value.slice(0, 40))}: ${status} ${code ?? ''}`);
          assert.deepEqual(server.failures, []);
        }
      });
    }
  }
});
