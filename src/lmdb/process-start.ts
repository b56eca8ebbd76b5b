/**
 * When a process began, as Linux tells it: a process id alone says little, as it is used again, after a
 * restart of the machine too.
 */
import { readFileSync } from 'node:fs';

/** Of this start of the machine; empty where the system has none. */
export function readBootId(): string {
  return readOrNull('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

/**
 * Ticks since the machine started. Null where there is no such process, it is a zombie, or the system
 * does not say; see proc_pid_stat(5), fields 3 and 22.
 */
export function startTimeOf(pid: number): string | null {
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The second field, the program's name in parentheses, may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? '');
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
