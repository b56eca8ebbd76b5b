/**
 * Tables in memory, as processes of one machine share them, on a disk that can be late: a committed
 * transaction is seen at once and durable at the next flush, and its promise resolves then, as lmdb's do.
 *
 * - A process that is killed begins no transaction any more, and is told nothing.
 * - Where the power fails, every process dies, and of what was not flushed a first part is left, which
 *   may be none: LMDB's commits are whole and in order, and how many reached the disk is chance.
 *
 * Keys sort as LMDB's do, since lmdb's own encoding makes them. Records are copied when they are put,
 * and frozen: who changes one in place has an error.
 */
import assert from 'node:assert/strict';
import * as lmdb from 'lmdb';
import type { Key } from 'lmdb';
import type { KeyRange, Table, TableLayout, TableStorage } from '../../src/store/table.ts';

/** Missing from lmdb's types. */
const { keyValueToBuffer, bufferToKeyValue } = lmdb as unknown as {
  readonly keyValueToBuffer: (key: Key) => Buffer;
  readonly bufferToKeyValue: (bytes: Buffer) => Key;
};

/** Puts one value of one table back. */
type Undo = () => void;
type Stored = unknown;

const ENCODED_MAX = 1_000;
const WALKED_OVER = 'a table was changed while it was walked over';

export class MemoryDisk {
  readonly #tables = new Map<string, Rows>();
  readonly #processes = new Set<MemoryStorage>();
  readonly #flushLater: (flush: () => void) => void;
  readonly #listeners = new Set<() => void>();
  /** What takes back each commit since the last flush, oldest first. */
  #commits: Undo[][] = [];
  #waiting: (() => void)[] = [];
  #isFlushDue = false;
  /** What takes back the running transaction; null outside of transactions. */
  undo: Undo[] | null = null;

  /** @param flushLater by default each commit is flushed in a later turn of the event loop */
  constructor(flushLater: (flush: () => void) => void = setImmediate) {
    this.#flushLater = flushLater;
  }

  /** The tables as one more process has them. */
  connect(): MemoryStorage {
    const storage = new MemoryStorage(this);
    this.#processes.add(storage);
    return storage;
  }

  /** Calls back after each commit, of whichever process. */
  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  rows(name: string): Rows {
    const known = this.#tables.get(name) ?? new Rows(this);
    this.#tables.set(name, known);
    return known;
  }

  /** Makes durable what is committed, and tells those who wait for it. */
  flush(): void {
    this.#commits = [];
    const told = this.#waiting;
    this.#waiting = [];
    for (const tell of told) tell();
  }

  get unflushedCommits(): number {
    return this.#commits.length;
  }

  /** The power fails. @param survivors how many of the commits that were not flushed are on the disk all the same */
  crash(survivors = 0): void {
    for (const process of this.#processes) process.kill();
    this.#processes.clear();
    this.#listeners.clear();
    for (const undo of this.#commits.slice(survivors).reverse()) takeBack(undo);
    this.#commits = [];
    this.#waiting = [];
  }

  /** Runs now; @param told when it is durable */
  transaction<T>(work: () => T, told: (result: T) => void): void {
    assert(this.undo === null, 'a transaction inside of another');
    const undo: Undo[] = [];
    this.undo = undo;
    let result: T;
    try {
      result = work();
    } catch (error) {
      takeBack(undo);
      throw error;
    } finally {
      this.undo = null;
    }
    this.#commits.push(undo);
    this.#waiting.push(() => told(result));
    for (const listener of this.#listeners) listener();
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#flushLater(() => {
      this.#isFlushDue = false;
      this.flush();
    });
  }
}

/** One process's way to the disk. */
export class MemoryStorage implements TableStorage {
  readonly #disk: MemoryDisk;
  #isAlive = true;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  table<Value, TableKey>(layout: TableLayout): Table<Value, TableKey> {
    const table = new MemoryTable(this.#disk.rows(layout.name), layout);
    return table as unknown as Table<Value, TableKey>;
  }

  async transaction<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    return new Promise((resolve) => {
      if (!this.#isAlive) return;
      this.#disk.transaction(work, (result) => {
        if (this.#isAlive) resolve(result);
      });
    });
  }

  refresh(): void {}

  /** In a later turn of the event loop: who asked for something is told first. */
  async close(): Promise<void> {
    await new Promise(setImmediate);
  }

  kill(): void {
    this.#isAlive = false;
  }
}

/** One table, by encoded keys, of which each character is a byte. */
class Rows {
  readonly #disk: MemoryDisk;
  readonly #values = new Map<string, Stored>();
  /** In order. */
  readonly #keys: string[] = [];
  /** How often something was put or removed. */
  changes = 0;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  get(key: string): Stored {
    return this.#values.get(key);
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** @param value undefined removes it */
  set(key: string, value: Stored): void {
    assert(this.#disk.undo !== null, 'a change outside of a transaction');
    const before = this.#values.get(key);
    this.#disk.undo.push(() => this.#put(key, before));
    this.#put(key, value);
  }

  between(range: KeyRange<string>): string[] {
    const { start = '', end, exclusiveStart = false, reverse = false, limit = Infinity } = range;
    const keys = this.#keys;
    const from = reverse === exclusiveStart ? this.#before(start) : this.#after(start);
    if (reverse) {
      const high = start === '' ? keys.length : from;
      const low = end === undefined ? 0 : this.#after(end);
      return low < high ? keys.slice(Math.max(low, high - limit), high).reverse() : [];
    }
    const high = end === undefined ? keys.length : this.#before(end);
    return keys.slice(from, Math.min(high, from + limit));
  }

  #put(key: string, value: Stored): void {
    this.changes += 1;
    if (value === undefined) {
      if (this.#values.delete(key)) this.#keys.splice(this.#before(key), 1);
      return;
    }
    if (!this.#values.has(key)) this.#keys.splice(this.#before(key), 0, key);
    this.#values.set(key, value);
  }

  /** Where the first key is that is not less. */
  #before(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where the first key is that is greater. */
  #after(key: string): number {
    const index = this.#before(key);
    return this.#keys[index] === key ? index + 1 : index;
  }
}

class MemoryTable implements Table<Stored, Key> {
  readonly #rows: Rows;
  readonly #hasBytesAsKeys: boolean;
  readonly #hasBytes: boolean;

  constructor(rows: Rows, { keys, values }: TableLayout) {
    this.#rows = rows;
    this.#hasBytesAsKeys = keys === 'bytes';
    this.#hasBytes = values === 'bytes';
  }

  get(key: Key): Stored {
    return this.#read(this.#rows.get(this.#encode(key)));
  }

  has(key: Key): boolean {
    return this.#rows.has(this.#encode(key));
  }

  put(key: Key, value: Stored): void {
    assert(value !== undefined && value !== null);
    this.#rows.set(this.#encode(key), copyOf(value));
  }

  remove(key: Key): void {
    const encoded = this.#encode(key);
    if (this.#rows.has(encoded)) this.#rows.set(encoded, undefined);
  }

  /** LMDB's cursors promise nothing to who changes what they walk over: that is an error here. */
  *range(range: KeyRange<Key> = {}): Iterable<{ key: Key; value: Stored }> {
    const rows = this.#rows;
    const { changes } = rows;
    for (const key of this.#between(range)) {
      assert(rows.changes === changes, WALKED_OVER);
      yield { key: this.#decode(key), value: this.#read(rows.get(key)) };
    }
  }

  *keys(range: KeyRange<Key> = {}): Iterable<Key> {
    const rows = this.#rows;
    const { changes } = rows;
    for (const key of this.#between(range)) {
      assert(rows.changes === changes, WALKED_OVER);
      yield this.#decode(key);
    }
  }

  #between({ start, end, ...rest }: KeyRange<Key>): string[] {
    return this.#rows.between({
      ...rest,
      ...(start === undefined ? {} : { start: this.#encode(start) }),
      ...(end === undefined ? {} : { end: this.#encode(end) }),
    });
  }

  #encode(key: Key): string {
    return this.#hasBytesAsKeys ? (key as Buffer).toString('latin1') : encodeWords(key);
  }

  #decode(key: string): Key {
    const bytes = Buffer.from(key, 'latin1');
    return this.#hasBytesAsKeys ? bytes : bufferToKeyValue(bytes);
  }

  #read(value: Stored): Stored {
    return this.#hasBytes && value !== undefined ? Buffer.from(value as Buffer) : value;
  }
}

function takeBack(undo: readonly Undo[]): void {
  for (const one of undo.toReversed()) one();
}

/** Strings are names of counters and buckets, which are asked for again and again. */
const encodedWords = new Map<Key, string>();

function encodeWords(key: Key): string {
  const known = encodedWords.get(key);
  if (known !== undefined) return known;
  const encoded = keyValueToBuffer(key).toString('latin1');
  if (typeof key === 'string' && encodedWords.size < ENCODED_MAX) encodedWords.set(key, encoded);
  return encoded;
}

/** What {@link copyOf} made: what a record takes over from another one needs no copy. */
const copies = new WeakSet<object>();

/** What LMDB would give back; nobody can change it. */
function copyOf(value: Stored): Stored {
  if (typeof value !== 'object' || value === null || copies.has(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value);
  const copy = Array.isArray(value) ? value.map(copyOf) : copyOfRecord(value);
  copies.add(copy);
  return Object.freeze(copy);
}

function copyOfRecord(value: object): object {
  const copy: Record<string, Stored> = {};
  for (const [name, part] of Object.entries(value)) copy[name] = copyOf(part);
  return copy;
}
