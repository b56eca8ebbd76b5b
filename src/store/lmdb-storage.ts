/**
 * Tables in LMDB. Every change runs in a child transaction, which is rolled back where the work throws
 * (src/lmdb/commits.ts).
 *
 * Records whose layout names their structures are written without property names. lmdb could keep
 * structures in the database instead, but writes them inside the running transaction: where that is
 * rolled back, records of a structure that was never saved would be left behind unreadable.
 */
import type { Database, Key, RootDatabase } from 'lmdb';
import type { Environment } from '../lmdb/environment.ts';
import type { KeyRange, Table, TableLayout, TableStorage } from './table.ts';

export class LmdbStorage implements TableStorage {
  readonly #root: RootDatabase;
  readonly #commits: Environment['commits'];

  readonly #close: Environment['close'];

  constructor({ root, commits, close }: Pick<Environment, 'root' | 'commits' | 'close'>) {
    this.#root = root;
    this.#commits = commits;
    this.#close = close;
  }

  table<Value, TableKey>({ name, keys, values, structures }: TableLayout): Table<Value, TableKey> {
    const database = this.#root.openDB<Value, Key>({
      name,
      ...(keys === 'bytes' ? { keyEncoding: 'binary' } : {}),
      ...(values === 'bytes' ? { encoding: 'binary' } : {}),
      ...(structures === undefined ? {} : structured(structures)),
    });
    return new LmdbTable(database) as unknown as Table<Value, TableKey>;
  }

  transaction<T>(work: () => T): Promise<T> {
    return this.#commits.run(work);
  }

  refresh(): void {
    // A read transaction outlives its turn of the event loop by a millisecond and more.
    this.#root.resetReadTxn();
  }

  close(): Promise<void> {
    return this.#close();
  }
}

class LmdbTable<Value> implements Table<Value, Key> {
  readonly #database: Database<Value, Key>;

  constructor(database: Database<Value, Key>) {
    this.#database = database;
  }

  get(key: Key): Value | undefined {
    return this.#database.get(key);
  }

  has(key: Key): boolean {
    return this.#database.doesExist(key);
  }

  put(key: Key, value: Value): void {
    this.#database.putSync(key, value);
  }

  remove(key: Key): void {
    this.#database.removeSync(key);
  }

  range(range: KeyRange<Key> = {}): Iterable<{ key: Key; value: Value }> {
    return this.#database.getRange(range);
  }

  keys(range: KeyRange<Key> = {}): Iterable<Key> {
    // lmdb notes in its argument that no values are asked for.
    return this.#database.getKeys({ ...range });
  }
}

/** The encoder adds structures that it meets to its list: each database has a list of its own. */
function structured(structures: readonly (readonly string[])[]): object {
  return {
    encoder: {
      structures: structures.map((names) => [...names]),
      maxSharedStructures: structures.length,
    },
  };
}
