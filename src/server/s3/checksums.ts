/**
 * What a request announces about the integrity of its body: `Content-MD5` and `x-amz-checksum-*`, in
 * headers or named as trailers. The store computes and compares; here they are only read.
 *
 * Source: "Checking object integrity", Amazon S3 user guide. Values are base64.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ChecksumAlgorithm, Checksums } from '../objects/types.ts';
import { S3Error } from './errors.ts';

const PREFIX = 'x-amz-checksum-';
const MD5_BYTES = 16;

const digestBytes = {
  crc32: 4,
  crc32c: 4,
  crc64nvme: 8,
  sha1: 20,
  sha256: 32,
} as const satisfies Record<ChecksumAlgorithm, number>;

export const checksumAlgorithms = Object.keys(digestBytes) as ChecksumAlgorithm[];

/** The checksums in the headers. @throws S3Error InvalidDigest, InvalidRequest for more than one */
export function headerChecksums(headers: IncomingHttpHeaders): Checksums {
  const found: Partial<Record<ChecksumAlgorithm, string>> = {};
  for (const algorithm of checksumAlgorithms) {
    const value = headers[PREFIX + algorithm];
    if (typeof value === 'string') found[algorithm] = checkDigest(value, digestBytes[algorithm]);
  }
  if (Object.keys(found).length > 1) {
    throw new S3Error('InvalidRequest', { message: 'Send one x-amz-checksum- header only.' });
  }
  return found;
}

/** The algorithms whose checksums follow as trailers. @throws S3Error InvalidRequest for other trailers */
export function trailerAlgorithms(headers: IncomingHttpHeaders): ChecksumAlgorithm[] {
  const names = headers['x-amz-trailer'];
  if (typeof names !== 'string' || names.trim() === '') return [];
  return names.split(',').map((name) => {
    const header = name.trim().toLowerCase();
    const algorithm = checksumAlgorithms.find((candidate) => header === PREFIX + candidate);
    if (algorithm === undefined) {
      throw new S3Error('InvalidRequest', { message: 'x-amz-trailer may only name a checksum.' });
    }
    return algorithm;
  });
}

/** The checksums among decoded trailers. @throws S3Error InvalidDigest */
export function trailerChecksums(trailers: ReadonlyMap<string, string>): Checksums {
  const found: Partial<Record<ChecksumAlgorithm, string>> = {};
  for (const algorithm of checksumAlgorithms) {
    const value = trailers.get(PREFIX + algorithm);
    if (value !== undefined) found[algorithm] = checkDigest(value, digestBytes[algorithm]);
  }
  return found;
}

/** Content-MD5 as sent. @throws S3Error InvalidDigest */
export function contentMd5(headers: IncomingHttpHeaders): string | undefined {
  const value = headers['content-md5'];
  if (value === undefined) return undefined;
  return checkDigest(typeof value === 'string' ? value : '', MD5_BYTES);
}

/** The headers that tell a client which checksums were verified. */
export function checksumHeaders(checksums: Checksums): Record<string, string> {
  return Object.fromEntries(
    Object.entries(checksums).map(([algorithm, value]) => [PREFIX + algorithm, value]),
  );
}

/** The element of that checksum in S3's XML, for instance `ChecksumCRC64NVME`. */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm.toUpperCase()}`;
}

function checkDigest(base64: string, length: number): string {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length !== length || bytes.toString('base64') !== base64) {
    throw new S3Error('InvalidDigest');
  }
  return base64;
}
