/**
 * Which process holds a lease or announced a write, and whether it is still alive. A process id alone
 * says little: it is used again, and after a restart of the machine it is somebody else's.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { StoredProcess } from '../model/generated/stored-intent.ts';

export type ProcessIdentity = Readonly<StoredProcess>;

/** Instances that are open in this process. */
const open = new Set<string>();

/** A new instance in this process; alive until {@link retireIdentity}. */
export function createIdentity(): ProcessIdentity {
  const instance = randomUUID();
  open.add(instance);
  return {
    instance,
    pid: process.pid,
    startTime: startTimeOf(process.pid) ?? '',
    bootId: readBootId(),
  };
}

export function retireIdentity({ instance }: ProcessIdentity): void {
  open.delete(instance);
}

/**
 * False only where the process is provably dead: the machine was started again since, its process id
 * is unused or belongs to another process, or it is an instance of this process that was closed.
 */
export function mayBeAlive({ instance, pid, startTime, bootId }: ProcessIdentity): boolean {
  if (bootId !== readBootId()) return false;
  if (pid === process.pid && startTime === (startTimeOf(pid) ?? '')) return open.has(instance);
  const runningSince = startTimeOf(pid);
  return runningSince !== null && runningSince === startTime;
}

/** Empty where the system has none. */
export function readBootId(): string {
  return readOrNull('/proc/sys/kernel/random/boot_id')?.trim() ?? '';
}

/** Null where there is no such process, or it is a zombie; see proc_pid_stat(5), fields 3 and 22. */
function startTimeOf(pid: number): string | null {
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
