import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createSigner, EMPTY_SHA256, formatAmzDate, type Header } from '../../src/egress/sigv4.ts';
import { encodeComponent, encodeKey } from '../../src/egress/uri-encoding.ts';
import { assertProperty } from '../support/seed.ts';

// "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
};
const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
const amzDate = formatAmzDate(Date.UTC(2013, 4, 24));
const host: Header = ['host', 'examplebucket.s3.amazonaws.com'];

function common(payloadHash: string): Header[] {
  return [host, ['x-amz-content-sha256', payloadHash], ['x-amz-date', amzDate]];
}

const welcome = createHash('sha256').update('Welcome to Amazon S3.').digest('hex');

const published = [
  {
    name: 'GET Object',
    request: {
      method: 'GET',
      path: '/test.txt',
      query: '',
      headers: [...common(EMPTY_SHA256), ['range', 'bytes=0-9'] as Header],
      payloadHash: EMPTY_SHA256,
    },
    signedHeaders: 'host;range;x-amz-content-sha256;x-amz-date',
    signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  },
  {
    name: 'PUT Object',
    request: {
      method: 'PUT',
      path: `/${encodeKey('test$file.text')}`,
      query: '',
      headers: [
        ...common(welcome),
        ['date', 'Fri, 24 May 2013 00:00:00 GMT'] as Header,
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'] as Header,
      ],
      payloadHash: welcome,
    },
    signedHeaders: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
    signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  },
  {
    name: 'GET Bucket Lifecycle',
    request: {
      method: 'GET',
      path: '/',
      query: 'lifecycle=',
      headers: common(EMPTY_SHA256),
      payloadHash: EMPTY_SHA256,
    },
    signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
    signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  },
  {
    name: 'List Objects',
    request: {
      method: 'GET',
      path: '/',
      query: 'max-keys=2&prefix=J',
      headers: common(EMPTY_SHA256),
      payloadHash: EMPTY_SHA256,
    },
    signedHeaders: 'host;x-amz-content-sha256;x-amz-date',
    signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  },
];

describe('signatures', () => {
  for (const { name, request, signedHeaders, signature } of published) {
    it(`are those that AWS published: ${name}`, () => {
      assert.equal(
        createSigner(credentials).sign({ ...request, amzDate }),
        `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
      );
    });
  }

  it('follow the day, also back to an earlier one', () => {
    const signer = createSigner(credentials);
    const { request, signature } = published[0]!;
    signer.sign({ ...request, amzDate: '20130525T000000Z' });
    assert.ok(signer.sign({ ...request, amzDate }).endsWith(signature));
  });

  it('see one blank where a value has several, as every service does', () => {
    const signer = createSigner(credentials);
    const sign = (value: string): string =>
      signer.sign({
        ...published[0]!.request,
        headers: [...common(EMPTY_SHA256), ['x-amz-meta-a', value]],
        amzDate,
      });
    assert.equal(sign('  a \t b  '), sign('a b'));
    assert.notEqual(sign('a b'), sign('ab'));
  });

  it('hash header values as the bytes that go on the wire', () => {
    const text = 'Grüße';
    const headers: Header[] = [
      ...common(EMPTY_SHA256),
      ['x-amz-meta-a', Buffer.from(text, 'utf8').toString('latin1')],
    ];
    const { method, path, query } = published[0]!.request;
    const request = { method, path, query, headers, payloadHash: EMPTY_SHA256, amzDate };
    // Whoever holds the text itself, as a client that sends UTF-8 does, arrives at the same.
    const canonical = [
      ...['GET', '/test.txt', '', `host:${host[1]}`, `x-amz-content-sha256:${EMPTY_SHA256}`],
      ...[`x-amz-date:${amzDate}`, `x-amz-meta-a:${text}`, ''],
      ...['host;x-amz-content-sha256;x-amz-date;x-amz-meta-a', EMPTY_SHA256],
    ].join('\n');
    const digest = createHash('sha256').update(canonical, 'utf8').digest('hex');
    const parts = ['20130524', 'us-east-1', 's3', 'aws4_request'];
    const key = parts.reduce<string | Buffer>(
      (previous, part) => createHmac('sha256', previous).update(part).digest(),
      `AWS4${credentials.secretAccessKey}`,
    );
    const signature = createHmac('sha256', key)
      .update(`AWS4-HMAC-SHA256\n${amzDate}\n${parts.join('/')}\n${digest}`)
      .digest('hex');
    assert.ok(createSigner(credentials).sign(request).endsWith(`Signature=${signature}`));
  });
});

describe('keys in paths', () => {
  const cases: [key: string, path: string | null][] = [
    ['plain/a-b_c.d~e', 'plain/a-b_c.d~e'],
    ['..', '..'],
    ['a/../b/./c', 'a/../b/./c'],
    ['//', '//'],
    ['a//b/', 'a//b/'],
    ['\0', '%00'],
    ['a b', 'a%20b'],
    ['a+b', 'a%2Bb'],
    ['100%', '100%25'],
    ['%2F', '%252F'],
    ["!'()*", '%21%27%28%29%2A'],
    ['?x=1#y', '%3Fx%3D1%23y'],
    ['\\', '%5C'],
    ['ü', '%C3%BC'],
    ['😀', '%F0%9F%98%80'],
    ['\ud83d', null],
    ['\n\r\t', '%0A%0D%09'],
  ];
  for (const [key, path] of cases) {
    it(`${JSON.stringify(key)} becomes ${path}`, () => assert.equal(encodeKey(key), path));
  }

  it('come back whole, with unreserved characters and slashes as they are', () => {
    assertProperty(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => {
        const path = encodeKey(key);
        assert.ok(path !== null && /^(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})*$/.test(path));
        assert.equal(decodeURIComponent(path), key);
      }),
    );
  });

  it('are encoded with their slashes in a query', () => {
    assert.equal(encodeComponent('a/b'), 'a%2Fb');
  });
});
