/** Which start of the operating system this is, and how long ago it was: enqueue.ts says what for. */
import { createHash } from 'node:crypto';
import { uptime } from 'node:os';

/** Milliseconds since then. Asked of the system once, as every claim wants to know it. */
export function timeSinceBoot(): () => number {
  const bootedForMs = uptime() * 1_000 - performance.now();
  return () => bootedForMs + performance.now();
}

/** As a number that fits into rows. */
export function bootNumberOf(bootId: string): number {
  return createHash('sha256').update(bootId).digest().readUIntBE(0, 6);
}
