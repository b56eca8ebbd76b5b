/**
 * `alarik-replication backup`: copies the plugin's store while the server runs, or all of the reference
 * server.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { backupServer, type ServerBackup } from './server/backup.ts';
import { backupStore, makeEmptyDirectory, prepareStoreCopy } from './store/backup.ts';
import { storeDirectory } from './store/tables.ts';

export const backupUsage = `alarik-replication backup --data <directory> --to <new directory> [--with-objects]

  Copies targets, rules and the queue of a running or stopped server; with --with-objects all that the
  reference server keeps, its accounts, buckets and objects too, of one moment. The copy does NOT
  contain the keys: keep replication.key and server.key (or your own keys) in another safe place.
`;

/** Wrong arguments; the command line prints the usage and exits with 2. */
class UsageError extends Error {
  readonly code = 'Usage';
}

/**
 * @param args what follows `backup` on the command line
 * @throws UsageError, and Error where the store cannot be read or the destination is not empty
 */
export async function backup(args: readonly string[]): Promise<void> {
  const { data, to, withObjects } = parse(args);
  const [from, destination] = [resolve(data), resolve(to)];
  const keys = [join(from, 'replication.key')];
  if (withObjects) {
    const { files } = await backupAll(from, destination);
    keys.push(join(from, 'server.key'));
    process.stdout.write(`All of the server is copied to ${destination}, with ${files} bodies.\n`);
  } else {
    await backupStore(from, destination);
    process.stdout.write(`The store is copied to ${destination}.\n`);
  }
  process.stdout.write(
    'The sealing keys are NOT in the copy: without them nobody, you included, can open the secrets of\n' +
      `the targets. Keep ${keys.join(' and ')} (or the keys that you configured) apart from it.\n`,
  );
}

async function backupAll(from: string, destination: string): Promise<ServerBackup> {
  makeEmptyDirectory(destination);
  // Another plugin may have no store, or the server may never have been started with this one.
  if (!existsSync(join(storeDirectory(from), 'data.mdb')))
    return backupServer(from, destination, []);
  const store = await prepareStoreCopy(from, destination);
  try {
    return await backupServer(from, destination, [store]);
  } finally {
    await store.close();
  }
}

interface BackupArguments {
  readonly data: string;
  readonly to: string;
  readonly withObjects: boolean;
}

function parse(args: readonly string[]): BackupArguments {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        data: { type: 'string' },
        to: { type: 'string' },
        'with-objects': { type: 'boolean' },
      },
    });
    const { data, to, 'with-objects': withObjects = false } = values;
    if (data && to) return { data, to, withObjects };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  throw new UsageError('backup needs --data and --to.');
}
