/**
 * A directory that was restored from a backup is looked at once before it is served: a copy that ended
 * half-way must not start as a server from which objects are missing.
 *
 * The backup's copy of the environment says so itself; the record goes once all was found.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'lmdb';
import type { Environment } from '../lmdb/environment.ts';
import type { ServerDatabase } from './database.ts';
import { BODIES_FOLDER, findMissingBody } from './objects/stored-bodies.ts';
import { openTables } from './objects/tables.ts';

const UNCHECKED = 'unchecked';

interface Restore {
  /** Environments that the backup has beside the server's own. */
  readonly environments: readonly string[];
}

/** Thrown in place of a start without some of the objects; nothing was changed. */
export class IncompleteRestoreError extends Error {
  readonly code = 'IncompleteRestore';
}

/** In the backup's copy. */
export async function markUnchecked(
  database: ServerDatabase,
  environments: readonly string[],
): Promise<void> {
  const restores = openRestores(database);
  await database.commits.run(() => restores.putSync(UNCHECKED, { environments }));
}

/** Call before the environment is opened. @throws IncompleteRestoreError */
export function assertDatabaseOfBodies(dataDirectory: string): void {
  const hasBodies = existsSync(join(dataDirectory, BODIES_FOLDER, 'incoming'));
  const isRestored = existsSync(join(dataDirectory, BODIES_FOLDER)) && !hasBodies;
  if (existsSync(join(dataDirectory, 'server', 'data.mdb'))) return;
  if (hasBodies || isRestored) throw incomplete(join(dataDirectory, 'server', 'data.mdb'));
}

/** Looks at what a backup brought, once. @throws IncompleteRestoreError */
export async function assertRestored(
  dataDirectory: string,
  database: ServerDatabase,
): Promise<void> {
  const restores = openRestores(database);
  const restore = restores.get(UNCHECKED);
  if (restore === undefined) return;
  for (const environment of restore.environments) {
    const file = join(dataDirectory, environment, 'data.mdb');
    if (!existsSync(file)) throw incomplete(file);
  }
  const directory = join(dataDirectory, BODIES_FOLDER);
  const missing = await findMissingBody(openTables(database, database.buckets), directory);
  if (missing !== null) throw incomplete(join(directory, missing));
  await database.commits.run(() => restores.removeSync(UNCHECKED));
}

function openRestores({ root }: Pick<Environment, 'root'>): Database<Restore, string> {
  return root.openDB({ name: 'restores' });
}

function incomplete(file: string): IncompleteRestoreError {
  return new IncompleteRestoreError(
    `The data directory is not whole, ${file} is missing or cut off: copy the whole folder of a backup ` +
      '(made by "alarik-replication backup --with-objects") into an empty directory, and start on that.',
  );
}
