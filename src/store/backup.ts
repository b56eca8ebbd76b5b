/**
 * Copies the store while the server runs: one consistent snapshot, without the sealing key.
 */
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openTables } from './tables.ts';

const FOLDER = 'replication';

/** A copy of the store that can be begun at a given moment. */
export interface StoreCopy {
  /** Its folder in the backup. */
  readonly folder: string;
  /** Resolves when the copy is whole. */
  readonly copy: () => Promise<void>;
  /** Call once. */
  readonly close: () => Promise<void>;
}

/**
 * Writes `<destination>/replication/data.mdb`, readable by its owner alone. To restore, put that
 * folder below the data directory of a stopped server, together with the key that was kept apart.
 *
 * @throws Error where `destination` exists and is not empty, or the store cannot be read
 */
export async function backupStore(dataDirectory: string, destination: string): Promise<void> {
  makeEmptyDirectory(destination);
  const { copy, close } = await prepareStoreCopy(dataDirectory, destination);
  try {
    await copy();
  } finally {
    await close();
  }
}

/** @throws Error where there is no store, or it cannot be read */
export async function prepareStoreCopy(
  dataDirectory: string,
  destination: string,
): Promise<StoreCopy> {
  const { root, close } = await openTables(dataDirectory, { readOnly: true });
  const target = join(destination, FOLDER);
  return {
    folder: FOLDER,
    async copy() {
      mkdirSync(target, { mode: 0o700 });
      await root.backup(target, true);
      chmodSync(join(target, 'data.mdb'), 0o600);
    },
    close,
  };
}

/** @throws Error where it exists and is not empty */
export function makeEmptyDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (readdirSync(path).length === 0) return;
  throw new Error(`${path} is not empty; name a new folder for the backup.`);
}
