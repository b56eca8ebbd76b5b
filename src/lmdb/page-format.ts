/**
 * How lmdb 3.5 (MDB_DATA_VERSION 2, dependencies/lmdb/mdb.c) lays out its pages: as much of it as is
 * read without LMDB.
 */
import { readSync } from 'node:fs';

export const HEADER_BYTES = 24;
export const BRANCH = 1;
export const LEAF = 2;
export const BIG_DATA = 1;
export const SUB_DATABASE = 2;
export const NODE_BYTES = 8;
export const DATABASE_BYTES = 48;
export const NO_PAGE = 0xffff_ffff_ffff_ffffn;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const START_BYTES = 128 * 1024;
/** Where the header has the records of the two databases without a name. */
const FREE_PAGES = 24;
const MAIN = 72;

export interface Header {
  readonly pageBytes: number;
  readonly transaction: bigint;
  readonly lastPage: number;
  /** Of the database of free pages, and of the main one. */
  readonly roots: readonly bigint[];
  readonly databases: readonly DatabaseRecord[];
}

export interface DatabaseRecord {
  readonly pages: number;
  readonly entries: number;
  readonly root: bigint;
}

/** The pages that may hold headers. */
export function readStart(file: number): Buffer {
  const start = Buffer.alloc(START_BYTES);
  return start.subarray(0, readSync(file, start, 0, start.length, 0));
}

/** Null where there is none, for instance in an empty file. */
export function readHeader(bytes: Buffer, at: number): Header | null {
  const meta = at + HEADER_BYTES;
  if (bytes.length < meta + 144) return null;
  // The header of the last flush has neither magic nor version of its own: it is half a page.
  const isHalf = at % 4096 !== 0;
  if (!isHalf && bytes.readUInt32LE(meta) !== MAGIC) return null;
  if (!isHalf && (bytes.readUInt32LE(meta + 4) & 0xffff) !== VERSION) return null;
  const pageBytes = bytes.readUInt32LE(meta + 24);
  if (pageBytes < 512 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) return null;
  const databases = [FREE_PAGES, MAIN].map((offset) => readDatabase(bytes, meta + offset));
  return {
    pageBytes,
    lastPage: Number(bytes.readBigUInt64LE(meta + 120)),
    transaction: bytes.readBigUInt64LE(meta + 128),
    roots: databases.map(({ root }) => root),
    databases,
  };
}

/** The one that LMDB goes by; null where there is none. */
export function newestHeader(file: number): Header | null {
  const first = readHeaderAt(file, 0);
  if (first === null) return null;
  const second = readHeaderAt(file, first.pageBytes);
  if (second === null) return null;
  return first.transaction >= second.transaction ? first : second;
}

function readHeaderAt(file: number, at: number): Header | null {
  const bytes = Buffer.alloc(256);
  return readHeader(bytes.subarray(0, readSync(file, bytes, 0, bytes.length, at)), 0);
}

export function readDatabase(bytes: Buffer, at: number): DatabaseRecord {
  const count = (offset: number): number => Number(bytes.readBigUInt64LE(at + offset));
  return {
    pages: count(8) + count(16) + count(24),
    entries: count(32),
    root: bytes.readBigUInt64LE(at + 40),
  };
}

/** How many entries a page has; 0 where their number is impossible. */
export function entryCount(page: Buffer): number {
  const count = page.readUInt16LE(20) >> 1;
  return HEADER_BYTES + count * 2 > page.length ? 0 : count;
}

/** Where an entry of a page begins. */
export function entryAt(page: Buffer, index: number): number {
  return word(page, HEADER_BYTES + index * 2) + HEADER_BYTES;
}

/** Of two bytes, four times as fast as the method of Buffer; NaN outside of the page. */
export function word(page: Buffer, at: number): number {
  return page[at]! + page[at + 1]! * 256;
}

export function branchChild(page: Buffer, at: number): bigint {
  const [low, high, top] = [0, 2, 4].map((offset) => BigInt(page.readUInt16LE(at + offset)));
  return low! | (high! << 16n) | (top! << 32n);
}
