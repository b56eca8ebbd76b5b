/**
 * How much room a disk has. LMDB survives a full disk (src/lmdb/commits.ts), but nothing can be stored
 * on one: below a limit writes that bring data are refused, so that deletions and configurations go on;
 * below half of it the outbox drops events with a gap.
 */
import { statfsSync } from 'node:fs';

const LIMIT_BYTES = 256 * 1024 * 1024;
/** Of the disk, so that small disks can be used too. */
const LIMIT_SHARE = 0.1;
/** A body is a file of its own. */
const LIMIT_FILES = 1024;
const CHECK_INTERVAL_MS = 1_000;
const MIB = 1024 * 1024;

/** `low`: writes that bring data are refused; `critical`: the outbox drops events and sets gaps. */
export type DiskState = 'ok' | 'low' | 'critical';

export interface DiskSpace {
  /** What an unprivileged process may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
  /** Files that may still be made; of no meaning where `totalFiles` is 0 (btrfs). */
  readonly freeFiles: number;
  readonly totalFiles: number;
}

export interface DiskReport {
  readonly state: DiskState;
  /** One sentence where the state is not `ok`, without any path. */
  readonly reason: string | null;
}

/** The bytes below which a disk of that size is `low`. */
export function limitBytes(totalBytes: number): number {
  return Math.min(LIMIT_BYTES, Math.floor(totalBytes * LIMIT_SHARE));
}

export function judgeDiskSpace(space: DiskSpace): DiskReport {
  const limit = limitBytes(space.totalBytes);
  if (space.freeBytes < limit) {
    const state = space.freeBytes < limit / 2 ? 'critical' : 'low';
    const [free, needed] = [space.freeBytes, limit].map((bytes) => (bytes / MIB).toFixed(1));
    return {
      state,
      reason: `The disk is nearly full: ${free} MiB are free, and ${needed} MiB must be.`,
    };
  }
  const limitFiles = Math.min(LIMIT_FILES, Math.floor(space.totalFiles * LIMIT_SHARE));
  if (space.totalFiles > 0 && space.freeFiles < limitFiles) {
    return {
      state: 'low',
      reason: `The file system has nearly no inodes left: ${space.freeFiles} are free, and ${limitFiles} must be.`,
    };
  }
  return { state: 'ok', reason: null };
}

/**
 * Returns the state of the disk, looked at once a second at most. A disk that cannot be looked at is
 * as it was before.
 *
 * @param look at the disk now
 * @param monotonicMs a clock that never goes back
 */
export function createDiskWatch(
  look: () => DiskSpace,
  monotonicMs: () => number,
): () => DiskReport {
  let report: DiskReport = { state: 'ok', reason: null };
  let checkedAt = -Infinity;
  return () => {
    const now = monotonicMs();
    if (now - checkedAt >= CHECK_INTERVAL_MS) {
      checkedAt = now;
      try {
        report = judgeDiskSpace(look());
      } catch {
        return report;
      }
    }
    return report;
  };
}

/** Of the disk that holds `directory`. */
export function diskSpaceOf(directory: string): DiskSpace {
  const { bavail, blocks, bsize, ffree, files } = statfsSync(directory);
  return {
    freeBytes: bavail * bsize,
    totalBytes: blocks * bsize,
    freeFiles: ffree,
    totalFiles: files,
  };
}
