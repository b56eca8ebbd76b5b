/**
 * How much room the disk of the store has. LMDB does not survive a full disk, so it must never be
 * reached: below a limit replicated puts are refused, below half of it events are dropped with a gap.
 */
import { statfsSync } from 'node:fs';

const LOW_BYTES = 256 * 1024 * 1024;
const CHECK_INTERVAL_MS = 1_000;

/** `low`: replicated puts are refused; `critical`: the outbox drops events and sets gaps. */
export type DiskState = 'ok' | 'low' | 'critical';

/**
 * Returns the state of the disk, looked at once a second at most.
 *
 * @param freeBytes of the disk now
 * @param monotonicMs a clock that never goes back
 */
export function createDiskWatch(
  freeBytes: () => number,
  monotonicMs: () => number,
): () => DiskState {
  let state: DiskState = 'ok';
  let checkedAt = -Infinity;
  return () => {
    const now = monotonicMs();
    if (now - checkedAt >= CHECK_INTERVAL_MS) {
      checkedAt = now;
      state = judgeFreeBytes(freeBytes());
    }
    return state;
  };
}

/** Bytes that an unprivileged process may still write to the disk that holds `directory`. */
export function freeBytesOf(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

function judgeFreeBytes(bytes: number): DiskState {
  if (bytes < LOW_BYTES / 2) return 'critical';
  return bytes < LOW_BYTES ? 'low' : 'ok';
}
