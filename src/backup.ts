/**
 * `alarik-replication backup`: copies the plugin's store while the server runs.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { backupStore } from './store/backup.ts';

export const backupUsage = `alarik-replication backup --data <directory> --to <new directory>

  Copies targets, rules and the queue of a running or stopped server. The copy does NOT contain
  the sealing key: keep replication.key (or your own keys) in another safe place.
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
  const { data, to } = parse(args);
  await backupStore(resolve(data), resolve(to));
  process.stdout.write(
    `The store is copied to ${resolve(to)}.\n` +
      'The sealing key is NOT in the copy: without it nobody, you included, can open the secrets of\n' +
      `the targets. Keep ${resolve(data, 'replication.key')} (or the keys that you configured) apart from it.\n`,
  );
}

function parse(args: readonly string[]): { data: string; to: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { data: { type: 'string' }, to: { type: 'string' } },
    });
    if (values.data && values.to) return { data: values.data, to: values.to };
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
  throw new UsageError('backup needs --data and --to.');
}
