/**
 * Makes a data.mdb small again, most of which is free pages: LMDB uses those again but never gives them
 * back, and a reader that was killed inside a snapshot, or a long backlog, leaves many.
 *
 *     data.mdb grown → compact copy beside it → (flushed, walked, counted) → renamed over data.mdb
 *
 * Until the rename the file is as it was, after it the copy is in its place, so that an end at any
 * step leaves one of the two; what is left of a copy is removed by the next start. Nobody else may have
 * the environment open, or would go on in the file that is gone: who opens one takes LMDB's lock first
 * and then looks for the marker `compacting`; who compacts makes the marker first and then looks for
 * locks. So one of the two sees the other; and who opened the old file just before the rename and looks
 * just after the marker is gone sees that the file is another one. Copy and marker are inside of the
 * environment's directory, which may be a link or a disk of its own.
 *
 * lmdb-js#198 reports compact copies that were damaged, etcd#18810 a server that ended where its
 * compaction found no room: the copy is checked before it counts, and whatever fails leaves the old file.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RootDatabase } from 'lmdb';
import { diskSpaceOf } from '../disk/disk-space.ts';
import { holdMarker, isMarkerHeld, isMarkerLeft } from './process-marker.ts';
import { findDamage } from './page-walk.ts';
import { pageUsage, type PageUsage } from './page-usage.ts';
import { canSeeLocks, isOpenSomewhere } from './stored-state.ts';

/** Smaller files are not worth it. */
const BYTES_MIN = 64 * 1024 * 1024;
/** As much room as the copy needs, and something for those beside it. */
const ROOM_FACTOR = 1.25;
const WAIT_MS = 50;

export interface Compaction {
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** Opens the environment as usual; the caller closes it. */
export type OpenRoot = () => RootDatabase;

/**
 * Makes the file small where most of it is free, there is room for the copy, and nobody has it open.
 * Null where nothing was done. Where the system does not tell who has it open (no /proc/locks), nothing
 * is ever done.
 *
 * @throws Error where the copy cannot be made; the file is as it was
 */
export async function compactIfGrown(
  directory: string,
  openRoot: OpenRoot,
): Promise<Compaction | null> {
  removeLeftovers(directory);
  if (!isLarge(directory) || !canSeeLocks() || isOpenSomewhere(directory)) return null;
  const release = holdMarker(markerOf(directory));
  if (release === null) return null;
  try {
    if (isOpenSomewhere(directory)) return null;
    const usage = grownUsage(directory);
    return usage === null ? null : await replaceByCopy(directory, openRoot, usage);
  } finally {
    release();
  }
}

/** Null where the file was being replaced meanwhile: wait for {@link compactionEnded}, and open again. */
export async function openUnlessReplaced(
  directory: string,
  openRoot: OpenRoot,
): Promise<RootDatabase | null> {
  const before = inodeOf(directory);
  const root = openRoot();
  const isSame = before === undefined || inodeOf(directory) === before;
  if (isSame && !isBeingCompacted(directory)) return root;
  await root.close();
  return null;
}

/** Resolves once nobody compacts the environment. */
export async function compactionEnded(directory: string): Promise<void> {
  while (isBeingCompacted(directory)) await pause(WAIT_MS);
}

function isBeingCompacted(directory: string): boolean {
  return isMarkerHeld(markerOf(directory));
}

/** Of a process that was killed: nobody makes a copy without holding the marker. */
function removeLeftovers(directory: string): void {
  if (!existsSync(copyOf(directory)) && !isMarkerLeft(markerOf(directory))) return;
  const release = holdMarker(markerOf(directory));
  if (release === null) return;
  rmSync(copyOf(directory), { recursive: true, force: true });
  release();
}

/** A link would be replaced by a file on what may be another disk. */
function isLarge(directory: string): boolean {
  const file = lstatSync(fileOf(directory), { throwIfNoEntry: false });
  return file?.isFile() === true && file.size >= BYTES_MIN;
}

/** Null where most of the file is in use, or the disk has no room for a copy. */
function grownUsage(directory: string): PageUsage | null {
  const usage = pageUsage(fileOf(directory));
  if (usage === null || usage.usedPages * 2 > usage.pages) return null;
  if (usage.pages * usage.pageBytes < BYTES_MIN) return null;
  const { freeBytes } = diskSpaceOf(directory);
  return freeBytes > usage.usedPages * usage.pageBytes * ROOM_FACTOR ? usage : null;
}

async function replaceByCopy(
  directory: string,
  openRoot: OpenRoot,
  before: PageUsage,
): Promise<Compaction | null> {
  const file = fileOf(directory);
  const copyDirectory = copyOf(directory);
  const copy = join(copyDirectory, 'data.mdb');
  rmSync(copyDirectory, { recursive: true, force: true });
  mkdirSync(copyDirectory, { mode: 0o700 });
  try {
    const root = openRoot();
    try {
      // Of locks that cannot be seen (some network and layered file systems) our own is one.
      if (!isOpenSomewhere(directory)) return null;
      await root.backup(copyDirectory, true);
    } finally {
      await root.close();
    }
    assertEqual(copy, before);
    const { size: bytesBefore, mode } = statSync(file);
    // lmdb makes the file of a copy readable for everybody.
    chmodSync(copy, mode & 0o777);
    flush(copy);
    renameSync(copy, file);
    flush(directory);
    return { bytesBefore, bytesAfter: statSync(file).size };
  } finally {
    rmSync(copyDirectory, { recursive: true, force: true });
  }
}

function assertEqual(copy: string, before: PageUsage): void {
  const damage = findDamage(copy);
  const entries = pageUsage(copy)?.entries;
  if (damage === null && entries === before.entries) return;
  throw new Error(`The compact copy is not whole (${damage ?? `${entries} entries`}).`);
}

function flush(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function inodeOf(directory: string): number | undefined {
  return statSync(fileOf(directory), { throwIfNoEntry: false })?.ino;
}

function fileOf(directory: string): string {
  return join(directory, 'data.mdb');
}

function markerOf(directory: string): string {
  return join(directory, 'compacting');
}

function copyOf(directory: string): string {
  return join(directory, 'compact');
}
