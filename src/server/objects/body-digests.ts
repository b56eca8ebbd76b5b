/**
 * Digests a body while it passes and compares the result with what its sender said, so that a body
 * damaged on its way is refused before anything names it.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { Crc32c, Crc64Nvme } from './crc.ts';
import { ObjectError } from './object-error.ts';
import type { BodyInput, ChecksumAlgorithm, Checksums } from './types.ts';

/** S3's limit for one object. */
const SIZE_MAX = 5 * 2 ** 40;

interface Digest {
  update(bytes: Uint8Array): unknown;
  digest(): Buffer;
}

export interface DigestedBody {
  readonly size: number;
  /** MD5 as hex, which is the ETag. */
  readonly etag: string;
  /** Those that the sender gave. */
  readonly checksums: Checksums;
}

export class BodyDigests {
  readonly #input: Omit<BodyInput, 'body'>;
  readonly #md5 = createHash('md5');
  readonly #digests: ReadonlyMap<ChecksumAlgorithm, Digest>;
  #size = 0;

  constructor(input: Omit<BodyInput, 'body'>) {
    this.#input = input;
    const algorithms = new Set(input.trailer?.algorithms);
    for (const algorithm of algorithmsOf(input.expected?.checksums)) algorithms.add(algorithm);
    if (input.expected?.sha256 !== undefined) algorithms.add('sha256');
    this.#digests = new Map([...algorithms].map((name) => [name, newDigest(name)]));
  }

  /** @throws ObjectError IncompleteBody, EntityTooLarge as soon as there are too many bytes */
  update(bytes: Uint8Array): void {
    this.#size += bytes.length;
    const announced = this.#input.expected?.contentLength;
    if (announced !== undefined && this.#size > announced) throw new ObjectError('IncompleteBody');
    if (this.#size > SIZE_MAX) throw new ObjectError('EntityTooLarge');
    this.#md5.update(bytes);
    for (const digest of this.#digests.values()) digest.update(bytes);
  }

  /** Call once, after the last byte. @throws ObjectError IncompleteBody, BadDigest, XAmzContentSHA256Mismatch */
  finish(): DigestedBody {
    const { expected, trailer } = this.#input;
    if ((expected?.contentLength ?? this.#size) !== this.#size) {
      throw new ObjectError('IncompleteBody');
    }
    const md5 = this.#md5.digest();
    if (expected?.md5 !== undefined && expected.md5 !== md5.toString('base64')) {
      throw new ObjectError('BadDigest', 'The body does not match Content-MD5.');
    }
    const computed = new Map([...this.#digests].map(([name, digest]) => [name, digest.digest()]));
    if (expected?.sha256 !== undefined) {
      const matches = computed.get('sha256')?.toString('hex') === expected.sha256;
      if (!matches) throw new ObjectError('XAmzContentSHA256Mismatch');
    }
    const sent: Checksums = { ...expected?.checksums, ...trailer?.read() };
    const names = new Set([...algorithmsOf(sent), ...(trailer?.algorithms ?? [])]);
    for (const name of names) {
      if (computed.get(name)?.toString('base64') !== sent[name]) {
        throw new ObjectError('BadDigest', `The body does not match x-amz-checksum-${name}.`);
      }
    }
    return { size: this.#size, etag: md5.toString('hex'), checksums: sent };
  }
}

export function algorithmsOf(checksums: Checksums | undefined): ChecksumAlgorithm[] {
  return Object.keys(checksums ?? {}) as ChecksumAlgorithm[];
}

function newDigest(algorithm: ChecksumAlgorithm): Digest {
  switch (algorithm) {
    case 'crc32':
      return newCrc32();
    case 'crc32c':
      return new Crc32c();
    case 'crc64nvme':
      return new Crc64Nvme();
    case 'sha1':
    case 'sha256':
      return createHash(algorithm);
  }
}

function newCrc32(): Digest {
  let crc = 0;
  return {
    update(bytes) {
      crc = crc32(bytes, crc);
    },
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(crc);
      return bytes;
    },
  };
}
