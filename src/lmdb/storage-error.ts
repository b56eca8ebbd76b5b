/**
 * What went wrong where LMDB could not commit: decided by the number of the operating system, which
 * lmdb passes on as `code`.
 */

/**
 * `full`: there is no room, deletions by others may help. `failing`: the disk or file system refuses
 * to write. `broken`: LMDB gave the environment up for this process, reads included.
 */
export type StorageFailure = 'full' | 'failing' | 'broken';

const SENTENCES: Readonly<Record<StorageFailure, string>> = {
  full: 'The disk is full: nothing can be stored until there is room again.',
  failing: 'The disk refuses to write: nothing can be stored until it does again.',
  broken:
    'The disk failed while the database wrote its header: restart the server to open it again.',
};

/** Thrown in place of lmdb's "Commit failed"; nothing of the transaction may be relied on. */
export class StorageError extends Error {
  readonly code: 'StorageFull' | 'StorageFailing' | 'StorageBroken';
  readonly failure: StorageFailure;

  constructor(failure: StorageFailure, cause?: unknown) {
    super(SENTENCES[failure], cause === undefined ? undefined : { cause });
    this.name = 'StorageError';
    this.failure = failure;
    this.code = (
      { full: 'StorageFull', failing: 'StorageFailing', broken: 'StorageBroken' } as const
    )[failure];
  }
}

const ENOSPC = 28;
const EDQUOT = 122;
/** LMDB's own numbers are negative (lmdb.h). */
const MDB_MAP_FULL = -30792;
const MDB_PANIC = -30795;

export function failureOf(cause: unknown): StorageFailure {
  const code = codeOf(cause);
  if (code === MDB_PANIC) return 'broken';
  if (code === ENOSPC || code === EDQUOT || code === MDB_MAP_FULL) return 'full';
  return code === 'ENOSPC' || code === 'EDQUOT' ? 'full' : 'failing';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
