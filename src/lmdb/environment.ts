/**
 * Opens an LMDB environment that only its owner can read and that carries a format stamp.
 *
 * lmdb creates directories with 0755 and files with 0644 unless told otherwise, and a newer program
 * may have written records that this one would misread: the directory is made first, and the stamp
 * is compared before anything else is opened or written.
 */
import { accessSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type Database, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';

const META = 'meta';
const FORMAT = 'format';

/** Thrown when the environment was written by a newer version; nothing was changed. */
export class UnsupportedFormatError extends Error {
  readonly code = 'UnsupportedFormat';
}

export interface EnvironmentOptions {
  /** The environment's own directory; made with mode 0700 where it is missing. */
  readonly directory: string;
  /** The highest format that this program understands, and the one it stamps a new environment with. */
  readonly format: number;
  readonly readOnly?: boolean;
}

export interface Environment {
  readonly root: RootDatabase;
  /** The stamp's database; its owner may keep counters there under other keys. */
  readonly meta: Database<number, string>;
  /** The format of what is there: of a new environment, the one that was asked for. */
  readonly format: number;
}

/**
 * @throws UnsupportedFormatError when the stamp is newer than `options.format`; an error of code
 *   ENOENT where there is nothing to read
 */
export async function openEnvironment(options: EnvironmentOptions): Promise<Environment> {
  // A reader that lmdb lets make the directory would leave an empty one behind, with mode 0755.
  if (options.readOnly === true) accessSync(join(options.directory, 'data.mdb'));
  else mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  // `permissionsMode` is missing from lmdb's types.
  const root = open({
    path: options.directory,
    noSubdir: false,
    permissionsMode: 0o600,
    maxDbs: 32,
    readOnly: options.readOnly ?? false,
  } as RootDatabaseOptionsWithPath);
  try {
    const meta = root.openDB<number, string>({ name: META });
    const format = await checkFormat(meta, options);
    root.readerCheck();
    return { root, meta, format };
  } catch (error) {
    await root.close();
    throw error;
  }
}

async function checkFormat(
  meta: Database<number, string>,
  options: EnvironmentOptions,
): Promise<number> {
  const stamp = meta.get(FORMAT);
  if (stamp !== undefined && stamp > options.format) {
    throw new UnsupportedFormatError(
      `The database has format ${stamp}; this version reads formats up to ${options.format}. ` +
        'Install the version that wrote it, or restore a backup.',
    );
  }
  if (stamp !== undefined || options.readOnly === true) return stamp ?? options.format;
  await stampFormat(meta, options.format);
  return options.format;
}

/** Durable when it resolves: earlier programs refuse the environment from then on. */
export async function stampFormat(meta: Database<number, string>, format: number): Promise<void> {
  await meta.put(FORMAT, format);
  await meta.flushed;
}
