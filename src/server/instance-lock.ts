/**
 * Keeps a second server off a data directory.
 *
 * The locks of buckets live in the memory of one process, and the object store sweeps at start what
 * a crash left behind: with two servers on one directory that would be the other one's uploads. The
 * holder's record is compared and written in one transaction. A holder counts as gone when no process
 * has its pid, or one that started at another time, or after a reboot; so nothing is left to clean up
 * after a kill.
 */
import type { Database } from 'lmdb';
import type { Environment } from '../lmdb/environment.ts';
import { readBootId, startTimeOf } from '../lmdb/process-start.ts';

const HOLDER = 'holder';

export interface ProcessIdentity {
  readonly pid: number;
  /** Tells two processes of the same pid apart; empty where the system does not say. */
  readonly startedAt: string;
}

/** Thrown when another server is running on the directory. */
export class DirectoryInUseError extends Error {
  readonly code = 'DirectoryInUse';
}

/**
 * Takes the environment for this process; it is free again when the process ends.
 *
 * @throws DirectoryInUseError
 */
export async function takeDirectory(
  { root, commits }: Pick<Environment, 'root' | 'commits'>,
  own: ProcessIdentity = identityOf(process.pid)!,
): Promise<void> {
  const locks: Database<ProcessIdentity, string> = root.openDB({ name: 'instance' });
  await commits.run(() => {
    const holder = locks.get(HOLDER);
    if (holder !== undefined && holder.pid !== own.pid && isRunning(holder)) {
      throw new DirectoryInUseError(
        `A server is running on this data directory (process ${holder.pid}). Stop it, or choose another --data.`,
      );
    }
    void locks.put(HOLDER, own);
  });
}

/** In a copy of the environment, which nobody runs on yet. */
export async function forgetHolder({
  root,
  commits,
}: Pick<Environment, 'root' | 'commits'>): Promise<void> {
  const locks: Database<ProcessIdentity, string> = root.openDB({ name: 'instance' });
  await commits.run(() => locks.removeSync(HOLDER));
}

function isRunning(holder: ProcessIdentity): boolean {
  return identityOf(holder.pid)?.startedAt === holder.startedAt;
}

/** Null where there is no process of that pid. */
function identityOf(pid: number): ProcessIdentity | null {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there, and another user's.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return null;
  }
  return { pid, startedAt: startTime(pid) };
}

function startTime(pid: number): string {
  const ticks = startTimeOf(pid);
  return ticks === null ? '' : `${readBootId()} ${ticks}`;
}
