/**
 * Copies the store while the server runs: one consistent snapshot, without the sealing key.
 */
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openTables } from './tables.ts';

/**
 * Writes `<destination>/replication/data.mdb`, readable by its owner alone. To restore, put that
 * folder below the data directory of a stopped server, together with the key that was kept apart.
 *
 * @throws Error where `destination` exists and is not empty, or the store cannot be read
 */
export async function backupStore(dataDirectory: string, destination: string): Promise<void> {
  mkdirSync(destination, { recursive: true, mode: 0o700 });
  if (readdirSync(destination).length > 0) {
    throw new Error(`${destination} is not empty; name a new folder for the backup.`);
  }
  const { root, close } = await openTables(dataDirectory, { readOnly: true });
  try {
    const copy = join(destination, 'replication');
    mkdirSync(copy, { mode: 0o700 });
    await root.backup(copy, true);
    chmodSync(join(copy, 'data.mdb'), 0o600);
  } finally {
    await close();
  }
}
