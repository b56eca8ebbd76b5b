/**
 * Passwords at rest: scrypt (RFC 7914), with the cost kept beside the hash so that it can grow.
 *
 * One hash takes 32 MiB and about a tenth of a second of a libuv thread on purpose; callers pass
 * through a `HashGate` so that logins can neither use up memory nor starve file access.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** The parameters that OWASP's Password Storage Cheat Sheet lists for 32 MiB, with one lane. */
const COST = { N: 2 ** 15, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const MEMORY_BYTES_MAX = 256 * 1024 * 1024;

export interface PasswordHash {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  return { ...COST, salt, hash: await derive(password, { ...COST, salt }) };
}

/** Constant-time in the comparison. */
export async function verifyPassword(password: string, stored: PasswordHash): Promise<boolean> {
  const hash = await derive(password, stored);
  return timingSafeEqual(hash, stored.hash);
}

/** What no password fits, at the same cost as a real one: for user names that do not exist. */
export function unmatchableHash(): PasswordHash {
  return { ...COST, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) };
}

function derive(password: string, cost: Omit<PasswordHash, 'hash'>): Promise<Buffer> {
  const { N, r, p, salt } = cost;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, HASH_BYTES, { N, r, p, maxmem: MEMORY_BYTES_MAX }, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}
