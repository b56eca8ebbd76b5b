/** What the crash test's program writes, so that whoever reads it later can tell whether it is whole. */
import { createHash } from 'node:crypto';

export function keyOf(number: number): string {
  return `key-${number}`;
}

/** 1 byte to 300 kB that follow from the key. */
export function contentOf(key: string): Buffer {
  const digest = createHash('sha256').update(key).digest();
  const size = 1 + (digest.readUInt32BE() % 300_000);
  return Buffer.concat(Array.from({ length: Math.ceil(size / 32) }, () => digest)).subarray(
    0,
    size,
  );
}
