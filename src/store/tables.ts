/**
 * The named databases of the plugin's LMDB environment; ARCHITECTURE.md has the key-layout table.
 *
 * | database       | key         | value                                                    |
 * | -------------- | ----------- | -------------------------------------------------------- |
 * | meta           | a word      | `format`, and `revision`: the count of changes ever made  |
 * | configurations | bucket name | StoredConfiguration (schemas/stored-configuration.schema.json) |
 * | hints          | bucket name | `true`, present while the bucket has a rule               |
 */
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { openEnvironment } from '../lmdb/environment.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';

/** Raised when an older program would misread what this one writes. */
export const STORE_FORMAT = 1;

export interface Tables {
  readonly root: RootDatabase;
  readonly meta: Database<number, string>;
  readonly configurations: Database<StoredConfiguration, string>;
  readonly hints: Database<true, string>;
}

/** The environment's directory below the host's data directory. */
export function storeDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'replication');
}

/** @throws UnsupportedFormatError where a newer version wrote the environment; nothing is touched */
export async function openTables(
  dataDirectory: string,
  options: { readOnly?: boolean } = {},
): Promise<Tables> {
  const { root, meta } = await openEnvironment({
    directory: storeDirectory(dataDirectory),
    format: STORE_FORMAT,
    ...options,
  });
  return {
    root,
    meta,
    configurations: root.openDB<StoredConfiguration, string>({ name: 'configurations' }),
    hints: root.openDB<true, string>({ name: 'hints' }),
  };
}
