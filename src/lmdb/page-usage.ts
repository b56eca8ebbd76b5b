/**
 * How many pages of a data.mdb are in use, as the records of its databases count them: reads the header
 * and the main tree, a few pages, however large the file is.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  BRANCH,
  branchChild,
  DATABASE_BYTES,
  entryAt,
  entryCount,
  newestHeader,
  NO_PAGE,
  NODE_BYTES,
  readDatabase,
  SUB_DATABASE,
  type DatabaseRecord,
  type Header,
} from './page-format.ts';

const HEADERS = 2;

export interface PageUsage {
  readonly pageBytes: number;
  readonly usedPages: number;
  /** That LMDB ever used; the file may be longer (reserve.ts). */
  readonly pages: number;
  /** In all databases but that of the free pages. */
  readonly entries: number;
}

/** Null where there is no store yet. The file must be whole (page-walk.ts). */
export function pageUsage(path: string): PageUsage | null {
  return withFile(path, (file) => {
    const header = newestHeader(file);
    if (header === null) return null;
    const [freePages, main] = header.databases as [DatabaseRecord, DatabaseRecord];
    const named = namedDatabases(file, header, main.root);
    const sum = (count: (record: DatabaseRecord) => number): number =>
      named.reduce((total, record) => total + count(record), count(main));
    return {
      pageBytes: header.pageBytes,
      usedPages: HEADERS + freePages.pages + sum(({ pages }) => pages),
      pages: header.lastPage + 1,
      entries: sum(({ entries }) => entries),
    };
  });
}

/** Bytes at the end of the file that LMDB has not used yet: it can grow into them. */
export function unusedTailBytes(path: string): number {
  return withFile(path, (file) => {
    const header = newestHeader(file);
    if (header === null) return 0;
    return Math.max(0, fstatSync(file).size - (header.lastPage + 1) * header.pageBytes);
  });
}

function withFile<T>(path: string, read: (file: number) => T): T {
  const file = openSync(path, 'r');
  try {
    return read(file);
  } finally {
    closeSync(file);
  }
}

function namedDatabases(file: number, header: Header, root: bigint): DatabaseRecord[] {
  const found: DatabaseRecord[] = [];
  const visit = (number: bigint): void => {
    if (number === NO_PAGE) return;
    const page = Buffer.alloc(header.pageBytes);
    readSync(file, page, 0, page.length, Number(number) * header.pageBytes);
    const isBranch = (page.readUInt16LE(18) & BRANCH) !== 0;
    for (let index = 0; index < entryCount(page); index += 1) {
      const at = entryAt(page, index);
      if (isBranch) visit(branchChild(page, at));
      else if (isDatabase(page, at)) {
        found.push(readDatabase(page, at + NODE_BYTES + page.readUInt16LE(at + 6)));
      }
    }
  };
  visit(root);
  return found;
}

function isDatabase(page: Buffer, at: number): boolean {
  const isSub = (page.readUInt16LE(at + 4) & SUB_DATABASE) !== 0;
  return isSub && page.readUInt16LE(at) === DATABASE_BYTES;
}
