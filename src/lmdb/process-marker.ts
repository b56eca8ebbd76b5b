/**
 * Files that say which processes are doing something: each counts while its process lives, whatever
 * becomes of it. Linux only, as /proc tells when a process began.
 *
 * Every holder has a file of its own, `<path>.<pid>-<start>-<n>`: who makes one and then looks for others
 * sees every earlier one, so two never hold at the same time (both may give way).
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

let holders = 0;

/** Null where somebody else holds it; else a function that gives it back. */
export function holdMarker(path: string): (() => void) | null {
  const own = `${path}.${process.pid}-${startOf(process.pid)}-${(holders += 1)}`;
  writeFileSync(own, '', { mode: 0o600 });
  const release = (): void => rmSync(own, { force: true });
  if (!holdersOf(path).some((name) => name !== basename(own))) return release;
  release();
  return null;
}

export function isMarkerHeld(path: string): boolean {
  return holdersOf(path).length > 0;
}

/** Those of dead processes are removed. */
function holdersOf(path: string): string[] {
  const prefix = `${basename(path)}.`;
  return readdirSync(dirname(path)).filter((name) => {
    if (!name.startsWith(prefix)) return false;
    const [pid = '', start = ''] = name.slice(prefix.length).split('-');
    if (startOf(Number(pid)) === start) return true;
    rmSync(join(dirname(path), name), { force: true });
    return false;
  });
}

/** Since pids come again: field 22 of proc(5)'s stat; empty where there is no such process. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may itself contain both.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
