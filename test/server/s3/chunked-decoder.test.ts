import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ChunkedDecoder } from '../../../src/server/s3/chunked-decoder.ts';
import { S3Error } from '../../../src/server/s3/errors.ts';
import { ChunkSigner } from '../../../src/server/s3/signature-v4.ts';
import { assertProperty } from '../../support/seed.ts';

const SCOPE = { date: '20130524', region: 'us-east-1' };
const TRAILER = 'x-amz-checksum-crc32:AAAAAA==';

function decode(
  pieces: readonly Uint8Array[],
  options: { trailers?: boolean; signer?: ChunkSigner } = {},
) {
  const decoder = new ChunkedDecoder({ trailers: options.trailers ?? true, ...options });
  const data = pieces.flatMap((piece) => decoder.push(piece));
  decoder.finish();
  return { text: Buffer.concat(data).toString(), trailers: decoder.trailers };
}

function decodeText(text: string, options?: Parameters<typeof decode>[1]) {
  return decode([Buffer.from(text)], options);
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

describe('ChunkedDecoder', () => {
  const body = `5\r\nhello\r\nA\r\n, world of\r\n0\r\n${TRAILER}\r\n\r\n`;

  it('gives the same for a body split at any two bytes', () => {
    const bytes = Buffer.from(body);
    for (let first = 0; first <= bytes.length; first += 1) {
      for (let second = first; second <= bytes.length; second += 1) {
        const pieces = [
          bytes.subarray(0, first),
          bytes.subarray(first, second),
          bytes.subarray(second),
        ];
        const { text, trailers } = decode(pieces);
        assert.equal(text, 'hello, world of');
        assert.equal(trailers.get('x-amz-checksum-crc32'), 'AAAAAA==');
      }
    }
  });

  it('refuses every truncation of a body', () => {
    for (let length = 0; length < body.length; length += 1) {
      assert.equal(
        codeOf(() => decodeText(body.slice(0, length))),
        'IncompleteBody',
        `${length}`,
      );
    }
  });

  it('only ever gives the data or an S3 error, whatever the bytes', () => {
    assertProperty(
      fc.property(
        fc.string({ unit: fc.constantFrom('0', '1', 'a', '\r', '\n', ';', ':', 'x') }),
        (text) => {
          codeOf(() => decodeText(text));
        },
      ),
    );
  });

  const bad: Record<string, string> = {
    'a size that is not hex': 'g\r\n',
    'a negative size': '-1\r\n',
    'a size with spaces': ' 1 \r\na\r\n0\r\n\r\n',
    'a size that no number holds': `${'f'.repeat(17)}\r\n`,
    'an unknown extension': '1;name=value\r\na\r\n0\r\n\r\n',
    'a bare line feed': '1\na\r\n0\r\n\r\n',
    'data longer than its size': '1\r\nab\r\n0\r\n\r\n',
    'bytes after the end': `${body}x`,
    'a header line without end': `${'1'.repeat(2000)}`,
    'a trailer without end': `0\r\nx-a:${'1'.repeat(2000)}`,
    'a trailer without a colon': '0\r\nnothing\r\n\r\n',
    'a trailer twice': `0\r\n${TRAILER}\r\n${TRAILER}\r\n\r\n`,
    'too many trailers': `0\r\n${Array.from({ length: 17 }, (_, i) => `x-${i}:1\r\n`).join('')}\r\n`,
    'a signature where none is expected': `0;chunk-signature=${'0'.repeat(64)}\r\n\r\n`,
  };
  for (const [name, text] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      assert.equal(
        codeOf(() => decodeText(text)),
        'InvalidRequest',
      );
    });
  }

  it('refuses trailers that the payload mode does not have', () => {
    assert.equal(
      codeOf(() => decodeText(body, { trailers: false })),
      'InvalidRequest',
    );
  });

  it('refuses an unsigned chunk, an unsigned trailer, and chunks in another order', () => {
    const newSigner = (): ChunkSigner =>
      new ChunkSigner(Buffer.alloc(32), '20130524T000000Z', SCOPE, '0'.repeat(64));
    assert.equal(
      codeOf(() => decodeText(body, { signer: newSigner() })),
      'InvalidRequest',
    );
    const emptyHash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    const last = `0;chunk-signature=${newSigner().nextChunk(emptyHash)}\r\n`;
    assert.equal(decodeText(`${last}\r\n`, { trailers: false, signer: newSigner() }).text, '');
    const unsigned = `${last}${TRAILER}\r\n\r\n`;
    assert.equal(
      codeOf(() => decodeText(unsigned, { signer: newSigner() })),
      'SignatureDoesNotMatch',
    );
    const moved = newSigner();
    moved.nextChunk(emptyHash);
    assert.equal(
      codeOf(() => decodeText(`${last}\r\n`, { trailers: false, signer: moved })),
      'SignatureDoesNotMatch',
    );
  });
});
