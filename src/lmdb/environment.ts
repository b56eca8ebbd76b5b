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
import { assertUndamaged, isOpenSomewhere, noteClosed, noteOpened } from './stored-state.ts';
import {
  compactIfGrown,
  compactionEnded,
  openUnlessReplaced,
  type Compaction,
} from './compaction.ts';
import { Reserve } from './reserve.ts';
import { Commits, FORMAT_KEY, type FailureListener } from './commits.ts';

const META = 'meta';
const READER_CHECK_INTERVAL_MS = 60_000;

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
  /** Told where the disk refuses commits, and where it takes them again. */
  readonly onFailure?: FailureListener;
  /** Told where the file was made small, or why it could not be. */
  readonly onCompaction?: (outcome: Compaction | Error) => void;
}

export interface Environment {
  /** For reading and for opening databases: what changes something goes through `commits`. */
  readonly root: RootDatabase;
  readonly commits: Commits;
  /** The stamp's database; its owner may keep counters there under other keys. */
  readonly meta: Database<number, string>;
  /** The format of what is there: of a new environment, the one that was asked for. */
  readonly format: number;
  /** Call once, when nothing is asked for any more. */
  readonly close: () => Promise<void>;
}

/**
 * @throws UnsupportedFormatError when the stamp is newer than `options.format`; DamagedStoreError
 *   where the file is missing, cut off or damaged; an error of code
 *   ENOENT where there is nothing to read
 */
export async function openEnvironment(options: EnvironmentOptions): Promise<Environment> {
  // A reader that lmdb lets make the directory would leave an empty one behind, with mode 0755.
  if (options.readOnly === true) accessSync(join(options.directory, 'data.mdb'));
  else mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const root = await openWhole(options);
  let commits: Commits | undefined;
  try {
    const meta = root.openDB<number, string>({ name: META });
    commits = new Commits(root, meta, options.directory, options.onFailure);
    const format = await checkFormat({ meta, commits }, options);
    if (options.readOnly !== true) noteOpened(options.directory);
    return { root, meta, commits, format, close: startUpkeep(root, commits, options) };
  } catch (error) {
    await commits?.close();
    await root.close();
    throw error;
  }
}

/**
 * One after the other: lmdb gives those of one process that open the same path the same environment, so
 * that a second one would be given the file that is about to be replaced.
 */
let lastOpening: Promise<unknown> = Promise.resolve();

function openWhole(options: EnvironmentOptions): Promise<RootDatabase> {
  const opening = lastOpening.then(() => openInTurn(options));
  lastOpening = opening.catch(() => undefined);
  return opening;
}

/** Opens what is not damaged, made small before where that is worth it. */
async function openInTurn(options: EnvironmentOptions): Promise<RootDatabase> {
  const { directory, readOnly, onCompaction } = options;
  for (;;) {
    await compactionEnded(directory);
    assertUndamaged(directory);
    if (readOnly !== true) {
      try {
        const compaction = await compactIfGrown(directory, () => openRoot(options));
        if (compaction !== null) onCompaction?.(compaction);
      } catch (error) {
        // The file is as it was.
        onCompaction?.(error as Error);
      }
    }
    const root = await openUnlessReplaced(directory, () => openRoot(options));
    if (root !== null) return root;
  }
}

function openRoot({ directory, readOnly }: EnvironmentOptions): RootDatabase {
  // `permissionsMode` is missing from lmdb's types.
  return open({
    path: directory,
    noSubdir: false,
    permissionsMode: 0o600,
    maxDbs: 32,
    readOnly: readOnly ?? false,
  } as RootDatabaseOptionsWithPath);
}

/**
 * A reader that died inside a snapshot keeps all pages that were freed since from being used again:
 * the file grew by 43 KiB with each write. Returns what ends the upkeep and closes the environment.
 */
function startUpkeep(
  root: RootDatabase,
  commits: Commits,
  { directory, readOnly }: EnvironmentOptions,
): () => Promise<void> {
  root.readerCheck();
  const readerCheck = setInterval(() => root.readerCheck(), READER_CHECK_INTERVAL_MS);
  readerCheck.unref();
  const reserve = readOnly === true ? null : new Reserve(directory, commits);
  return async () => {
    clearInterval(readerCheck);
    await reserve?.close();
    const isWhole = commits.failure === null;
    await commits.close();
    // LMDB holds a lock of a broken environment for ever, and closing waits for it.
    if (commits.failure !== 'broken') await root.close();
    // The next start need not look at every page again.
    if (isWhole && readOnly !== true && !isOpenSomewhere(directory)) noteClosed(directory);
  };
}

async function checkFormat(
  environment: Pick<Environment, 'meta' | 'commits'>,
  options: EnvironmentOptions,
): Promise<number> {
  const { meta } = environment;
  const stamp = meta.get(FORMAT_KEY);
  if (stamp !== undefined && stamp > options.format) {
    throw new UnsupportedFormatError(
      `The database has format ${stamp}; this version reads formats up to ${options.format}. ` +
        'Install the version that wrote it, or restore a backup.',
    );
  }
  if (stamp !== undefined || options.readOnly === true) return stamp ?? options.format;
  await stampFormat(environment, options.format);
  return options.format;
}

/** Durable when it resolves: earlier programs refuse the environment from then on. */
export async function stampFormat(
  { meta, commits }: Pick<Environment, 'meta' | 'commits'>,
  format: number,
): Promise<void> {
  await commits.run(() => meta.putSync(FORMAT_KEY, format));
}
