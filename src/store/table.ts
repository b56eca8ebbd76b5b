/**
 * What the operations of the store ask of whatever keeps their records: ordered tables, and one kind of
 * transaction. lmdb-storage.ts has it on LMDB; an ordered map in memory, whose disk can be late and
 * lose power, stands in its place in the simulation, which so runs the operations that ship.
 */

/** Keys in their order: from `start`, to just before `end`; backwards where `reverse` says so. */
export interface KeyRange<Key> {
  readonly start?: Key;
  readonly end?: Key;
  /** Whether `start` itself is left out; only beside a `start`. */
  readonly exclusiveStart?: boolean;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** Inside of a transaction each sees what the transaction has changed; nobody else does before it ends. */
export interface Table<Value, Key> {
  get(key: Key): Value | undefined;
  has(key: Key): boolean;
  /** Only inside of a transaction, as is {@link remove}. */
  put(key: Key, value: Value): void;
  /** Removes nothing where nothing is. */
  remove(key: Key): void;
  /** Nothing of the table may change before the walk is over: what changes is read into a list first. */
  range(range?: KeyRange<Key>): Iterable<{ readonly key: Key; readonly value: Value }>;
  /** As {@link range}. */
  keys(range?: KeyRange<Key>): Iterable<Key>;
}

/** How a table's keys and values are written. */
export interface TableLayout {
  readonly name: string;
  /** `bytes`: as they are; `words`: strings, numbers and lists of them, in their natural order. */
  readonly keys: 'bytes' | 'words';
  /** `records`: whatever JSON can say, and bytes. */
  readonly values: 'bytes' | 'records';
  /** Property names of records, which are then not written with each of them. */
  readonly structures?: readonly (readonly string[])[];
}

export interface TableStorage {
  /** Opens a table; makes it where it is not there yet. */
  table<Value, Key>(layout: TableLayout): Table<Value, Key>;

  /**
   * Runs `work` alone, later: all that it changed is kept, or nothing where it throws. Others see it
   * before it is durable; it is durable when the promise resolves.
   *
   * @throws StorageError where the disk refuses, and whatever `work` throws
   */
  transaction<T>(work: () => T): Promise<T>;

  /** What any process has committed by now can be read from now on. */
  refresh(): void;

  /** Call once, when nothing is asked for any more. */
  close(): Promise<void>;
}
