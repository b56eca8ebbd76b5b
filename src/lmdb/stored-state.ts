/**
 * Looks at an environment before LMDB does, which opens a missing or empty file as a new store and
 * ends the process with SIGSEGV on a damaged one.
 *
 * The marker `<directory>.state`, beside the environment, says that there was a store, and how large
 * and how old data.mdb was when it was closed last. Where that still holds, nobody has touched the
 * file, and its pages need not be walked (1 ms a MiB). Where a process has it open, the pages change
 * meanwhile and are not walked either.
 */
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { findDamage } from './page-walk.ts';

/** Of Linux; shows the processes of this process's own pid namespace. */
const LOCKS = '/proc/locks';

interface Closed {
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** Thrown in place of an empty start or a crash; nothing was changed. */
export class DamagedStoreError extends Error {
  readonly code = 'DamagedStore';
}

/** @throws DamagedStoreError, with the file and what to do in one sentence */
export function assertUndamaged(directory: string): void {
  const file = join(directory, 'data.mdb');
  const state = statOf(file);
  if (state === null || state.bytes === 0) {
    if (!existsSync(markerOf(directory))) return;
    throw damaged(file, state === null ? 'it is missing' : 'it is empty');
  }
  if (isUntouched(directory, state) || isOpenSomewhere(directory)) return;
  const damage = findDamage(file);
  if (damage !== null) throw damaged(file, damage);
}

export function noteOpened(directory: string): void {
  if (!existsSync(markerOf(directory))) writeMarker(directory, {});
}

export function noteClosed(directory: string): void {
  const state = statOf(join(directory, 'data.mdb'));
  if (state !== null && existsSync(directory)) writeMarker(directory, { closed: state });
}

/** By this process or another one; false where the system does not say (/proc/locks of Linux). */
export function isOpenSomewhere(directory: string): boolean {
  try {
    const { ino } = statSync(join(directory, 'lock.mdb'));
    return readFileSync(LOCKS, 'utf8').includes(`:${ino} `);
  } catch {
    return false;
  }
}

/** Whether {@link isOpenSomewhere} can know. */
export function canSeeLocks(): boolean {
  return existsSync(LOCKS);
}

function isUntouched(directory: string, { bytes, modifiedMs }: Closed): boolean {
  try {
    const { closed } = JSON.parse(readFileSync(markerOf(directory), 'utf8')) as {
      closed?: Closed;
    };
    return closed?.bytes === bytes && closed.modifiedMs === modifiedMs;
  } catch {
    return false;
  }
}

function writeMarker(directory: string, content: { readonly closed?: Closed }): void {
  const temporary = `${markerOf(directory)}.${process.pid}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(content)}\n`, { mode: 0o600 });
    renameSync(temporary, markerOf(directory));
  } catch {
    // A disk that is full: the next start walks the pages.
  }
}

function markerOf(directory: string): string {
  return `${directory}.state`;
}

function statOf(file: string): Closed | null {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat === undefined ? null : { bytes: stat.size, modifiedMs: stat.mtimeMs };
}

function damaged(file: string, damage: string): DamagedStoreError {
  return new DamagedStoreError(
    `The store in ${file} cannot be opened, ${damage}: put the folder "${basename(join(file, '..'))}" of a backup ` +
      '(made by "alarik-replication backup") in its place, or, to begin without what was in it, ' +
      `remove that folder and ${basename(join(file, '..'))}.state.`,
  );
}
