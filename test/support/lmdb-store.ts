/** A store in LMDB of its own for one test, closed when the test ends. */
import { randomBytes } from 'node:crypto';
import { LmdbConfigurationStore } from '../../src/store/configuration-store.ts';
import { openTables, type LmdbTables } from '../../src/store/tables.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { temporaryDirectory } from './temporary-directory.ts';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

export interface OpenedStore {
  readonly store: LmdbConfigurationStore;
  readonly tables: LmdbTables;
  readonly keyring: Keyring;
  readonly dataDirectory: string;
}

/** @param t the test's context, or anything with `after` */
export async function openLmdbStore(
  t: Cleanup,
  options: { readonly dataDirectory?: string; readonly keyring?: Keyring } = {},
): Promise<OpenedStore> {
  const dataDirectory = options.dataDirectory ?? temporaryDirectory(t);
  const keyring = options.keyring ?? new Keyring([randomBytes(32)]);
  const tables = await openTables(dataDirectory);
  const store = new LmdbConfigurationStore(tables, keyring);
  t.after(() => store.close());
  return { store, tables, keyring, dataDirectory };
}
