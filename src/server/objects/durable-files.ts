/**
 * The few operations on files and directories whose result must survive a crash.
 */
import { copyFile, link, open, stat, unlink } from 'node:fs/promises';

/** How much happens at the same time; Node's file operations share four threads anyway. */
const BATCH = 64;
/** The file system has no hard links, or the file has as many as it may have. */
const LINK_REFUSALS = new Set(['EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV']);

/** A second name for a file, or, where the file system cannot do that, a durable copy. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!isErrno(error) || !LINK_REFUSALS.has(error.code)) throw error;
    await copyFile(from, to);
    const file = await open(to, 'r+');
    try {
      await file.datasync();
    } catch (syncError) {
      await unlink(to);
      throw syncError;
    } finally {
      await file.close();
    }
  }
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}

/** Runs `work` for all items, a bounded number at the same time. None runs any more when it throws. */
export async function inBatches<Item>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < items.length; from += BATCH) {
    const batch = items.slice(from, from + BATCH);
    const running = batch.map((item, index) => work(item, from + index));
    await Promise.allSettled(running);
    await Promise.all(running);
  }
}

function isErrno(error: unknown): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
