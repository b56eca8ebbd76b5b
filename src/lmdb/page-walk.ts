/**
 * Reads the pages of a data.mdb without LMDB, which follows what it finds and ends the process with
 * SIGSEGV where that is not a page: every page that the newest header reaches must be inside the file
 * and say what it is. The layout is that of lmdb 3.5 (MDB_DATA_VERSION 2, dependencies/lmdb/mdb.c).
 *
 * Contents of records are not looked at: LMDB has no checksums.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  BIG_DATA,
  BRANCH,
  branchChild,
  DATABASE_BYTES,
  entryAt,
  entryCount,
  HEADER_BYTES,
  LEAF,
  NO_PAGE,
  NODE_BYTES,
  readHeader,
  readStart,
  SUB_DATABASE,
  word,
  type Header,
} from './page-format.ts';

const OVERFLOW = 4;
const DEPTH_MAX = 32;

/** Null where the file is whole; else what is wrong, for people. */
export function findDamage(path: string): string | null {
  const file = openSync(path, 'r');
  try {
    const start = readStart(file);
    const { size } = fstatSync(file);
    const first = readHeader(start, 0);
    if (first === null) return 'its header is damaged';
    const second = readHeader(start, first.pageBytes);
    if (second === null) return 'its second header is damaged';
    const newest = first.transaction >= second.transaction ? first : second;
    const damage = new Walk(file, size, newest).run();
    if (damage === null) return null;
    // After a crash of the system LMDB goes back to the header of the last flush.
    const flushed = readHeader(start, first.pageBytes / 2);
    const isOther = flushed !== null && flushed.transaction !== newest.transaction;
    return isOther && new Walk(file, size, flushed).run() === null ? null : damage;
  } finally {
    closeSync(file);
  }
}

class Damage extends Error {}

class Walk {
  readonly #file: number;
  readonly #size: number;
  readonly #header: Header;
  /** A byte for each page of the file. */
  readonly #seen: Uint8Array;
  /** One page for each depth: a page is read again only after all that is below it. */
  readonly #pages: Buffer[] = [];

  constructor(file: number, size: number, header: Header) {
    this.#file = file;
    this.#size = size;
    this.#header = header;
    this.#seen = new Uint8Array(Math.ceil(size / header.pageBytes));
  }

  run(): string | null {
    try {
      for (const root of this.#header.roots) this.#tree(root, 0);
      return null;
    } catch (error) {
      if (error instanceof Damage) return error.message;
      if (error instanceof RangeError) return 'a page points outside of itself';
      throw error;
    }
  }

  #tree(number: bigint, depth: number): void {
    if (number === NO_PAGE) return;
    if (depth > DEPTH_MAX) throw new Damage('a tree is too deep');
    const page = this.#page(number, depth);
    const flags = page.readUInt16LE(18);
    if ((flags & (BRANCH | LEAF)) === 0) throw new Damage(`page ${number} is of no known kind`);
    const count = entryCount(page);
    if (count === 0) throw new Damage(`page ${number} has an impossible number of entries`);
    const isBranch = (flags & BRANCH) !== 0;
    for (let index = 0; index < count; index += 1) {
      const at = entryAt(page, index);
      if (isBranch) this.#tree(branchChild(page, at), depth + 1);
      else this.#leaf(page, at, depth);
    }
  }

  #leaf(page: Buffer, at: number, depth: number): void {
    const dataBytes = word(page, at) + word(page, at + 2) * 65_536;
    const flags = word(page, at + 4);
    const data = at + NODE_BYTES + word(page, at + 6);
    if ((flags & BIG_DATA) !== 0) {
      this.#overflow(page.readBigUInt64LE(data), dataBytes, depth + 1);
      return;
    }
    // An entry outside of the page has no numbers (NaN).
    if (!(data + dataBytes <= page.length)) throw new Damage('a record ends outside of its page');
    const isDatabase = (flags & SUB_DATABASE) !== 0 && dataBytes === DATABASE_BYTES;
    if (isDatabase) this.#tree(page.readBigUInt64LE(data + 40), depth + 1);
  }

  #overflow(number: bigint, dataBytes: number, depth: number): void {
    const page = this.#page(number, depth);
    const pages = page.readUInt32LE(20);
    const isBig = (page.readUInt16LE(18) & OVERFLOW) !== 0;
    const { pageBytes } = this.#header;
    const isWithin = (Number(number) + pages) * pageBytes <= this.#size;
    if (!isBig || !isWithin || pages * pageBytes < dataBytes + HEADER_BYTES) {
      throw new Damage(`page ${number} does not hold the large record that it should`);
    }
  }

  #page(number: bigint, depth: number): Buffer {
    const { pageBytes, lastPage } = this.#header;
    const index = Number(number);
    const isWithin = index > 1 && index <= lastPage && (index + 1) * pageBytes <= this.#size;
    if (!isWithin) throw new Damage(`page ${number} is missing: the file is too short`);
    if (this.#seen[index] === 1) throw new Damage(`page ${number} is used twice`);
    this.#seen[index] = 1;
    const page = (this.#pages[depth] ??= Buffer.allocUnsafe(pageBytes));
    readSync(this.#file, page, 0, pageBytes, index * pageBytes);
    if (page.readBigUInt64LE(0) !== number) throw new Damage(`page ${number} is damaged`);
    return page;
  }
}
