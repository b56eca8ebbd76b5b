/**
 * What a process uses that cannot be asked: a server or a tool that is run as its users run it.
 *
 * Linux tells in /proc: CPU in ticks of 10 ms, with all threads, and the most memory that was
 * resident. Elsewhere nobody tells, and what is unknown is null rather than a guess.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Of Linux on every architecture, whatever the kernel's own timer does (`getconf CLK_TCK`). */
const MICROS_PER_TICK = 10_000;
/** Of /proc/<pid>/stat, counted behind the name in parentheses: user and system time. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

export interface OutsideUsage {
  /** User and system, microseconds, since the process started. */
  readonly cpuMicros: number | null;
  /** Since {@link forgetPeak}. */
  readonly peakBytes: number | null;
}

export const UNKNOWN_USAGE: OutsideUsage = { cpuMicros: null, peakBytes: null };

/** Unknown too where the process has ended. */
export function readOutsideUsage(pid: number): OutsideUsage {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
    return { cpuMicros: ticks * MICROS_PER_TICK, peakBytes: readPeakBytes(pid) };
  } catch {
    return UNKNOWN_USAGE;
  }
}

/** The peak since the last call of {@link forgetPeak}; null where a process is a zombie already. */
export function readPeakBytes(pid: number | 'self'): number | null {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return peak === undefined ? null : Number(peak) * 1024;
}

export function forgetPeak(pid: number | 'self'): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
