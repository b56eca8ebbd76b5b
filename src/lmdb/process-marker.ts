/**
 * Files that say which processes are doing something: each counts while its process lives, whatever
 * becomes of it. Linux only, as /proc tells when a process began.
 *
 * Every holder has a file of its own, `<path>.<pid>_<start>_<boot>_<n>`: who makes one and then looks for
 * others sees every earlier one, so two never hold at the same time (both may give way).
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { readBootId, startTimeOf } from './process-start.ts';

let holders = 0;

/** Null where somebody else holds it; else a function that gives it back. Markers of the dead go. */
export function holdMarker(path: string): (() => void) | null {
  const own = `${path}.${identityOf(process.pid)}_${(holders += 1)}`;
  writeFileSync(own, '', { mode: 0o600 });
  const release = (): void => rmSync(own, { force: true });
  const others = markersOf(path).filter((name) => name !== basename(own));
  if (!others.some((name) => isOfLiving(path, name))) {
    for (const name of others) rmSync(join(dirname(path), name), { force: true });
    return release;
  }
  release();
  return null;
}

/** Changes nothing: who only reads may not be allowed to. */
export function isMarkerHeld(path: string): boolean {
  return markersOf(path).some((name) => isOfLiving(path, name));
}

/** Whether there is one, of the living or the dead. */
export function isMarkerLeft(path: string): boolean {
  return markersOf(path).length > 0;
}

function markersOf(path: string): string[] {
  return readdirSync(dirname(path)).filter((name) => name.startsWith(`${basename(path)}.`));
}

function isOfLiving(path: string, name: string): boolean {
  const identity = name.slice(basename(path).length + 1);
  const pid = Number(identity.split('_')[0]);
  return startTimeOf(pid) !== null && identity.startsWith(`${identityOf(pid)}_`);
}

function identityOf(pid: number): string {
  return `${pid}_${startTimeOf(pid) ?? ''}_${readBootId()}`;
}
