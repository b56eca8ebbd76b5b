/** Which start of the machine this is, and how long ago it was: enqueue.ts and store-clock.ts say what for. */
import { createHash } from 'node:crypto';
import { uptime } from 'node:os';
import type { MachineTime } from './store-clock.ts';

/** Milliseconds since then. Asked of the system once, as every claim wants to know it. */
export function timeSinceBoot(): () => number {
  const bootedForMs = uptime() * 1_000 - performance.now();
  return () => bootedForMs + performance.now();
}

/** As a number that fits into rows. */
export function bootNumberOf(bootId: string): number {
  return createHash('sha256').update(bootId).digest().readUIntBE(0, 6);
}

/** The time of the machine that this process runs on. `hrtime` counts from its start, not the process's. */
export function machineTime(bootId: string): MachineTime {
  return {
    boot: bootId === '' ? null : bootNumberOf(bootId),
    wallMs: Date.now,
    monotonicMs: () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
  };
}
