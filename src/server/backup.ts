/**
 * Copies what the reference server keeps while it runs: its environment, the files of bodies, and, at
 * the same moment, what somebody else keeps beside it.
 *
 * A file of a body never changes, and is removed only after the commit that takes its last record. So
 * all files are linked first; then LMDB's lock is held for as long as it takes to begin the copies of
 * the environments and to link what came meanwhile. No commit falls between the two copies: the queue
 * knows each write that the objects show (its intent is committed before it), and none that they do not.
 * Of the links, those that the copy names are kept.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openServerDatabase, type ServerDatabase } from './database.ts';
import { forgetHolder } from './instance-lock.ts';
import { exists, linkOrCopy, syncDirectory } from './objects/durable-files.ts';
import { BODIES_FOLDER, findMissingBody, placeOf, storedFiles } from './objects/stored-bodies.ts';
import { openTables } from './objects/tables.ts';
import { markUnchecked } from './restored.ts';

const FOLDER = 'server';
const INCOMING = 'incoming';
const PRIVATE = 0o700;
const POLL_MS = 1;
const BEGIN_LIMIT_MS = 30_000;

/** A copy of another environment that is made at the same moment. */
export interface CopyBeside {
  /** Its folder in the backup. */
  readonly folder: string;
  /** Begins the copy into `<destination>/<folder>/data.mdb`; resolves when it is done. */
  readonly copy: () => Promise<void>;
}

export interface ServerBackup {
  readonly files: number;
}

/**
 * @param destination an empty directory
 * @throws Error where there is no server's environment, or a body is missing
 */
export async function backupServer(
  dataDirectory: string,
  destination: string,
  beside: readonly CopyBeside[],
): Promise<ServerBackup> {
  if (!existsSync(join(dataDirectory, FOLDER, 'data.mdb'))) {
    throw new Error(`${dataDirectory} has no server's database: there are no objects to copy.`);
  }
  const links = new BodyLinks(dataDirectory);
  const database = await openServerDatabase(dataDirectory);
  try {
    await links.begin();
    mkdirSync(join(destination, FOLDER), { mode: PRIVATE });
    await copyTogether(database, destination, links, [
      { folder: FOLDER, copy: () => database.root.backup(join(destination, FOLDER), true) },
      ...beside,
    ]);
    const folders = beside.map(({ folder }) => folder);
    return { files: await keepBodies(destination, links, folders) };
  } finally {
    await database.close();
    links.remove();
  }
}

/** Begins all copies while nobody can commit. */
async function copyTogether(
  { root }: ServerDatabase,
  destination: string,
  links: BodyLinks,
  copies: readonly CopyBeside[],
): Promise<void> {
  const hasBegun = ({ folder }: CopyBeside): boolean =>
    (statSync(join(destination, folder, 'data.mdb'), { throwIfNoEntry: false })?.size ?? 0) > 0;
  const running: Promise<void>[] = root.transactionSync(() => {
    const begun = copies.map((one) => one.copy());
    for (const one of begun) one.catch(() => undefined);
    // Threads of their own copy; this one has nothing to do but to hold the lock.
    const limit = performance.now() + BEGIN_LIMIT_MS;
    while (!copies.every(hasBegun) && performance.now() < limit) sleep(POLL_MS);
    links.addNew();
    return begun;
  });
  await Promise.all(running);
  for (const { folder } of copies) chmodSync(join(destination, folder, 'data.mdb'), 0o600);
}

/** Returns how many files the copy names, all of which are there. */
async function keepBodies(
  destination: string,
  links: BodyLinks,
  environments: readonly string[],
): Promise<number> {
  const copy = await openServerDatabase(destination);
  const directory = join(destination, BODIES_FOLDER);
  let files = 0;
  try {
    const tables = openTables(copy, copy.buckets);
    const folders = new Set<string>();
    await mkdir(directory, { mode: PRIVATE });
    for (const [file] of storedFiles(tables)) {
      const place = placeOf(file);
      const folder = join(directory, file.slice(0, 2));
      if (!folders.has(folder)) await mkdir(folder, { recursive: true, mode: PRIVATE });
      folders.add(folder);
      const target = join(directory, place);
      if (await exists(target)) continue;
      if (await exists(links.pathOf(place))) await linkOrCopy(links.pathOf(place), target);
      files += 1;
    }
    const missing = await findMissingBody(tables, directory);
    if (missing !== null) throw new Error(`The body ${missing} of an object is missing.`);
    for (const folder of [...folders, directory]) await syncDirectory(folder);
    await forgetHolder(copy);
    await markUnchecked(copy, environments);
  } finally {
    await copy.close();
    rmSync(join(destination, FOLDER, 'lock.mdb'), { force: true });
    rmSync(join(destination, `${FOLDER}.state`), { force: true });
  }
  return files;
}

/** Second names of all bodies, in a folder beside them that is removed at the end. */
class BodyLinks {
  readonly #source: string;
  readonly #directory: string;
  readonly #known = new Set<string>();

  constructor(dataDirectory: string) {
    this.#source = join(dataDirectory, BODIES_FOLDER);
    this.#directory = join(dataDirectory, 'backup-links');
  }

  pathOf(place: string): string {
    return join(this.#directory, place);
  }

  async begin(): Promise<void> {
    // Of a backup that was killed.
    this.remove();
    mkdirSync(this.#directory, { mode: PRIVATE });
    for (const place of this.#places()) {
      if (this.#known.has(place)) continue;
      try {
        linkSync(join(this.#source, place), this.pathOf(place));
      } catch (error) {
        if (isErrno(error, 'ENOENT')) continue;
        await copyFile(join(this.#source, place), this.pathOf(place)).catch(ignoreMissing);
      }
      this.#known.add(place);
    }
  }

  /** Synchronous, for the time in which nobody commits. */
  addNew(): void {
    for (const place of this.#places()) {
      if (this.#known.has(place)) continue;
      try {
        linkSync(join(this.#source, place), this.pathOf(place));
      } catch (error) {
        if (isErrno(error, 'ENOENT')) continue;
        copyFileSync(join(this.#source, place), this.pathOf(place));
      }
    }
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  *#places(): Generator<string> {
    if (!existsSync(this.#source)) return;
    for (const folder of readdirSync(this.#source)) {
      if (folder === INCOMING) continue;
      mkdirSync(join(this.#directory, folder), { recursive: true, mode: PRIVATE });
      for (const file of readdirSync(join(this.#source, folder))) yield join(folder, file);
    }
  }
}

function ignoreMissing(error: unknown): void {
  if (!isErrno(error, 'ENOENT')) throw error;
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
