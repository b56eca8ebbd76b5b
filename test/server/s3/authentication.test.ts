import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { authenticate, type SignedRequest } from '../../../src/server/s3/authentication.ts';
import { ChunkedDecoder } from '../../../src/server/s3/chunked-decoder.ts';
import { S3Error, type S3ErrorCode } from '../../../src/server/s3/errors.ts';
import { parseRequestTarget } from '../../../src/server/s3/request-target.ts';

/** Credentials and time of the examples in the Amazon S3 API reference. */
const ACCESS_KEY_ID = 'AKIAIOSFODNN7EXAMPLE';
const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const EXAMPLE_TIME = Date.UTC(2013, 4, 24);
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const MINUTE = 60_000;

interface Example {
  readonly method?: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly signature: string;
}

const get: Example = {
  url: '/test.txt',
  headers: {
    host: 'examplebucket.s3.amazonaws.com',
    range: 'bytes=0-9',
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': '20130524T000000Z',
  },
  signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
};
const bucketHeaders = {
  host: 'examplebucket.s3.amazonaws.com',
  'x-amz-content-sha256': EMPTY_SHA256,
  'x-amz-date': '20130524T000000Z',
};
const chunked: Example = {
  method: 'PUT',
  url: '/examplebucket/chunkObject.txt',
  headers: {
    'content-encoding': 'aws-chunked',
    'content-length': '66824',
    host: 's3.amazonaws.com',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'x-amz-date': '20130524T000000Z',
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
  },
  signature: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
};
const trailing: Example = {
  method: 'PUT',
  url: '/examplebucket/chunkObject.txt',
  headers: {
    'content-encoding': 'aws-chunked',
    host: 's3.amazonaws.com',
    'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
    'x-amz-date': '20130524T000000Z',
    'x-amz-decoded-content-length': '66560',
    'x-amz-storage-class': 'REDUCED_REDUNDANCY',
    'x-amz-trailer': 'x-amz-checksum-crc32c',
  },
  signature: '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
};

function authorization(example: Example, scope = '20130524/us-east-1/s3/aws4_request'): string {
  const names = Object.keys(example.headers).sort().join(';');
  return (
    `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY_ID}/${scope},` +
    `SignedHeaders=${names},Signature=${example.signature}`
  );
}

function toRequest(example: Example, extra: Record<string, string> = {}): SignedRequest {
  const headers = { ...example.headers, authorization: authorization(example), ...extra };
  return {
    method: example.method ?? 'GET',
    headersDistinct: Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name, [value]]),
    ),
  };
}

function verify(example: Example, extra?: Record<string, string>, now = EXAMPLE_TIME) {
  return authenticate(toRequest(example, extra), parseRequestTarget(example.url), {
    region: 'us-east-1',
    clock: () => now,
    findAccessKey: (accessKeyId) =>
      accessKeyId === ACCESS_KEY_ID
        ? { userId: 'user', accessKeyId, secretAccessKey: SECRET }
        : null,
  });
}

function failsWith(code: S3ErrorCode, work: () => unknown): S3Error {
  let error: unknown;
  try {
    work();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error instanceof S3Error, `expected ${code}`);
  assert.equal(error.code, code);
  return error;
}

describe('examples of the Amazon S3 API reference', () => {
  const examples: Record<string, Example> = {
    'GET Object': get,
    'PUT Object': {
      method: 'PUT',
      url: '/test$file.text',
      headers: {
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        host: 'examplebucket.s3.amazonaws.com',
        'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
        'x-amz-date': '20130524T000000Z',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
      },
      signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
    'GET Bucket Lifecycle': {
      url: '/?lifecycle',
      headers: bucketHeaders,
      signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
    'Get Bucket (List Objects)': {
      url: '/?prefix=J&max-keys=2',
      headers: bucketHeaders,
      signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
    'chunked upload, seed': chunked,
    'chunked upload with trailer, seed': trailing,
  };
  for (const [name, example] of Object.entries(examples)) {
    it(name, () => {
      assert.equal(verify(example).userId, 'user');
      const wrong = { ...example, signature: `0${example.signature.slice(1)}` };
      if (wrong.signature === example.signature) wrong.signature = 'f'.repeat(64);
      failsWith('SignatureDoesNotMatch', () => verify(wrong));
    });
  }

  const chunk = (size: number, signature: string): Buffer =>
    Buffer.from(
      `${size.toString(16)};chunk-signature=${signature}\r\n${'a'.repeat(size)}${size > 0 ? '\r\n' : ''}`,
    );

  function decode(example: Example, body: Buffer): number {
    const { payload } = verify(example);
    assert.equal(payload.kind, 'chunked');
    const decoder = new ChunkedDecoder(payload);
    const bytes = decoder.push(body).reduce((sum, piece) => sum + piece.length, 0);
    decoder.finish();
    return bytes;
  }

  it('the three chunk signatures of the chunked upload', () => {
    const body = Buffer.concat([
      chunk(65536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648'),
      chunk(1024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497'),
      chunk(0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9'),
      Buffer.from('\r\n'),
    ]);
    assert.equal(body.length, Number(chunked.headers['content-length']));
    assert.equal(decode(chunked, body), 66560);
    body[200] = 0x62;
    failsWith('SignatureDoesNotMatch', () => decode(chunked, body));
  });

  it('the chunk and trailer signatures of the upload with a trailing header', () => {
    const start = Buffer.concat([
      chunk(65536, 'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2'),
      chunk(1024, '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7'),
      chunk(0, '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992'),
    ]);
    const end = (checksum: string): Buffer =>
      Buffer.from(
        `x-amz-checksum-crc32c:${checksum}\r\nx-amz-trailer-signature:` +
          'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
      );
    assert.equal(decode(trailing, Buffer.concat([start, end('sOO8/Q==')])), 66560);
    failsWith('SignatureDoesNotMatch', () =>
      decode(trailing, Buffer.concat([start, end('sOO8/A==')])),
    );
  });
});

describe('authenticate', () => {
  it('names the expected region', () => {
    const scope = '20130524/eu-west-1/s3/aws4_request';
    const error = failsWith('AuthorizationHeaderMalformed', () =>
      verify(get, { authorization: authorization(get, scope) }),
    );
    assert.equal(error.status, 400);
    assert.equal(error.elements['Region'], 'us-east-1');
  });

  const without = (name: string): Example => {
    const headers = Object.fromEntries(
      Object.entries(get.headers).filter(([header]) => header !== name),
    );
    return { ...get, headers };
  };
  const cases: Record<string, [S3ErrorCode, () => unknown]> = {
    'another secret or a changed header': [
      'SignatureDoesNotMatch',
      () => verify(get, { range: 'bytes=0-8' }),
    ],
    'another path': ['SignatureDoesNotMatch', () => verify({ ...get, url: '/test.txt/' })],
    'a path that normalisation would make equal': [
      'SignatureDoesNotMatch',
      () => verify({ ...get, url: '/x/../test.txt' }),
    ],
    'an unknown access key': [
      'InvalidAccessKeyId',
      () => verify(get, { authorization: authorization(get).replace('AKIA', 'AKIB') }),
    ],
    'a clock 16 minutes ahead': [
      'RequestTimeTooSkewed',
      () => verify(get, {}, EXAMPLE_TIME + 16 * MINUTE),
    ],
    'a clock 16 minutes behind': [
      'RequestTimeTooSkewed',
      () => verify(get, {}, EXAMPLE_TIME - 16 * MINUTE),
    ],
    'no credentials': [
      'AccessDenied',
      () =>
        authenticate({ method: 'GET', headersDistinct: { host: ['h'] } }, parseRequestTarget('/'), {
          region: 'us-east-1',
          clock: () => 0,
          findAccessKey: () => null,
        }),
    ],
    'a header that is not signed': ['AccessDenied', () => verify(get, { 'x-amz-acl': 'private' })],
    'no signed host': ['AccessDenied', () => verify(without('host'), { host: 'h' })],
    'no payload hash': ['MissingSecurityHeader', () => verify(without('x-amz-content-sha256'))],
    'no date': ['MissingSecurityHeader', () => verify(without('x-amz-date'))],
    'a date that is not the credential’s': [
      'AuthorizationHeaderMalformed',
      () => verify(get, { 'x-amz-date': '20130523T235959Z' }),
    ],
    'a presigned URL': [
      'NotImplemented',
      () => verify({ ...get, url: '/test.txt?X-Amz-Signature=00' }),
    ],
    'an unknown mechanism': ['InvalidRequest', () => verify(get, { authorization: 'Basic eDp5' })],
    'another service': [
      'AuthorizationHeaderMalformed',
      () => verify(get, { authorization: authorization(get).replace('/s3/', '/ec2/') }),
    ],
    'a signature in upper case': [
      'AuthorizationHeaderMalformed',
      () => verify(get, { authorization: authorization(get).replace('f0e8', 'F0E8') }),
    ],
    'an empty mechanism': [
      'AuthorizationHeaderMalformed',
      () => verify(get, { authorization: 'AWS4-HMAC-SHA256 ' }),
    ],
  };
  for (const [name, [code, work]] of Object.entries(cases)) {
    it(`refuses ${name}: ${code}`, () => {
      failsWith(code, work);
    });
  }

  it('accepts a clock 14 minutes off either way', () => {
    for (const minutes of [-14, 14]) {
      assert.equal(verify(get, {}, EXAMPLE_TIME + minutes * MINUTE).userId, 'user');
    }
  });
});
