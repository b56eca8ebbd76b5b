/**
 * Which process holds a lease or announced a write, and whether it is still alive. A process id alone
 * says little: it is used again, and after a restart of the machine it is somebody else's.
 */
import { randomUUID } from 'node:crypto';
import { readBootId, startTimeOf } from '../lmdb/process-start.ts';
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
