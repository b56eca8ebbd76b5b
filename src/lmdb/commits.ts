/**
 * The one way in which transactions of an environment are committed, and what becomes of those that
 * the disk refuses.
 *
 * Found by experiment with lmdb 3.5.6 (a preloaded library that refuses single calls, and a full
 * tmpfs): a page that cannot be written and a flush that fails roll the transaction back (after a
 * failed flush its changes are visible all the same), and later commits work again. Three promises are
 * rejected: the caller's; that of the batch of the event turn, which nobody holds and which therefore
 * ends the process; and its `commitError`. `flushed` stays pending for ever. Where the header cannot be
 * written, LMDB refuses the environment to this process from then on, also to readers, and whatever
 * asks for another transaction waits for a lock that is never released: none may be begun.
 *
 * A commit that resolved is durable: lmdb resolves it when its flush is done. So nobody waits for
 * `flushed`, which may be the flush of a later batch.
 *
 *     writable → full | failing → (a probe commits) → writable
 *              ↘ broken, for the rest of the process
 *
 * While it is not writable every commit is refused at once, without asking LMDB, which would print
 * each failure to stderr.
 */
import { open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { unusedTailBytes } from './page-usage.ts';
import { failureOf, StorageError, type StorageFailure } from './storage-error.ts';

/** Room must be used within 2 s of its return. */
const LOOK_INTERVAL_MS = 500;
/** As much as a commit may need: no probe of LMDB without it. */
const PROBE_BYTES = 64 * 1024;
const PROBE_FILE = 'probe.tmp';
const PROBE_KEY = 'probe';
/** Is there in every environment: a lookup of what is not there tells nothing of a broken one. */
export const FORMAT_KEY = 'format';

/** Told of each change: null where commits work again. */
export type FailureListener = (failure: StorageFailure | null, cause: unknown) => void;

interface LmdbCommitError extends Error {
  readonly commitError: Promise<never>;
}

export class Commits {
  readonly #root: RootDatabase;
  readonly #meta: Database<number, string>;
  readonly #directory: string;
  readonly #onChange: FailureListener;
  readonly #waiting = new Set<(error: StorageError) => void>();
  #failure: StorageFailure | null = null;
  readonly #looks: NodeJS.Timeout;
  #probing: Promise<void> | null = null;
  #asking: Promise<unknown> | null = null;

  /** @param directory where the probe of the disk is written, the environment's own */
  constructor(
    root: RootDatabase,
    meta: Database<number, string>,
    directory: string,
    onChange: FailureListener = () => undefined,
  ) {
    this.#root = root;
    this.#meta = meta;
    this.#directory = directory;
    this.#onChange = onChange;
    ownRejections(root);
    this.#looks = setInterval(() => this.#look(), LOOK_INTERVAL_MS);
    this.#looks.unref();
  }

  /** Why nothing can be committed now; null where it can. */
  get failure(): StorageFailure | null {
    return this.#failure;
  }

  /**
   * Runs `work` in a child transaction, which is rolled back where it throws. Durable when it resolves.
   *
   * @throws StorageError where the disk refuses, and whatever `work` throws
   */
  run<T>(work: () => T): Promise<T> {
    if (this.#failure !== null) return Promise.reject(new StorageError(this.#failure));
    return this.#ask(work);
  }

  /** What was asked for before is durable, or has failed, when it resolves. */
  async settle(): Promise<void> {
    await this.run(() => undefined);
  }

  /** Call once, when nothing is asked for any more, before the environment is closed. */
  async close(): Promise<void> {
    clearInterval(this.#looks);
    await this.#probing;
    if (this.#failure === null || this.#failure === 'broken') return;
    // lmdb's close waits for the flush that never came; a transaction that writes nothing ends it.
    await this.#root.childTransaction(() => undefined).catch(() => undefined);
  }

  async #ask<T>(work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      this.#root.childTransaction(work).then(
        (result) => {
          this.#waiting.delete(reject);
          resolve(result);
        },
        (error: unknown) => {
          // Until then this one too is refused where the environment turns out to be broken.
          void this.#failedWith(error).then((failure) => {
            this.#waiting.delete(reject);
            reject(failure);
          });
        },
      );
    });
  }

  /** What the caller is told; what `work` has thrown is told as it is. */
  async #failedWith(error: unknown): Promise<Error> {
    const isRefused = isCommitError(error);
    if (isRefused) error.commitError.catch(() => undefined);
    // Of a broken environment other promises may never settle, and LMDB's errors come from anywhere.
    if ((isRefused || isOfLmdb(error)) && this.#isBroken()) {
      this.#enter('broken', error);
      return new StorageError('broken', error);
    }
    if (!isRefused) return error instanceof Error ? error : new Error(String(error));
    const told = error.commitError.catch((reason: unknown) => reason);
    // lmdb forgets to tell the cause where two batches fail at the same time: then the disk itself does.
    const cause = await Promise.race([told, this.#askDisk().then((reason) => reason ?? error)]);
    const failure = this.#isBroken() ? 'broken' : await this.#judge(cause);
    this.#enter(failure, cause);
    return new StorageError(failure, cause);
  }

  /** Where only a part of a page still has room, LMDB calls that EIO. */
  async #judge(cause: unknown): Promise<StorageFailure> {
    const failure = failureOf(cause);
    return failure === 'failing' ? failureOf(await this.#askDisk()) : failure;
  }

  /** Why the disk takes no file of as much as a commit may need; null where it does. */
  #askDisk(): Promise<unknown> {
    this.#asking ??= writeProbe(join(this.#directory, PROBE_FILE))
      .then(
        () => null,
        (error: unknown) => error,
      )
      .finally(() => {
        this.#asking = null;
      });
    return this.#asking;
  }

  #isBroken(): boolean {
    try {
      this.#root.resetReadTxn();
      this.#meta.get(FORMAT_KEY);
      return false;
    } catch {
      // MDB_PANIC comes under several numbers, depending on which transaction lmdb renews.
      return true;
    }
  }

  #enter(failure: StorageFailure, cause: unknown): void {
    if (this.#failure === failure || this.#failure === 'broken') return;
    const isFirst = this.#failure === null;
    this.#failure = failure;
    if (failure === 'broken') {
      clearInterval(this.#looks);
      // These wait for LMDB's lock, which nobody will release.
      for (const reject of this.#waiting) reject(new StorageError('broken', cause));
      this.#waiting.clear();
    }
    if (isFirst || failure === 'broken') this.#onChange(failure, cause);
  }

  #look(): void {
    // LMDB may break without telling those who wait, or let them wait for its lock: they are told here.
    if (this.#waiting.size > 0 && this.#isBroken()) this.#enter('broken', undefined);
    if (this.#failure === null || this.#failure === 'broken') return;
    this.#probing ??= this.#tryToWrite().finally(() => {
      this.#probing = null;
    });
  }

  /** Whether LMDB can write although the disk is full: what was too large for the reserve has left it. */
  #hasReserve(): boolean {
    if (this.#failure !== 'full') return false;
    return unusedTailBytes(join(this.#directory, 'data.mdb')) >= PROBE_BYTES;
  }

  /** Never rejects. */
  async #tryToWrite(): Promise<void> {
    try {
      if (!this.#hasReserve() && (await this.#askDisk()) !== null) return;
      await this.#ask(() => this.#meta.putSync(PROBE_KEY, Date.now()));
    } catch {
      return;
    }
    if (this.#failure === null || this.#failure === 'broken') return;
    this.#failure = null;
    this.#onChange(null, undefined);
  }
}

/**
 * Handles the rejection of each batch's own promise. The batch has just been closed when its
 * microtask runs, and nothing can have come in between.
 */
function ownRejections(root: RootDatabase): void {
  root.on('beforecommit', () => {
    queueMicrotask(() => {
      void root.committed.then(undefined, (error: unknown) => {
        if (isCommitError(error)) error.commitError.catch(() => undefined);
      });
    });
  });
}

function isCommitError(error: unknown): error is LmdbCommitError {
  return error instanceof Error && 'commitError' in error;
}

/** The operating system's errors and ours have words for codes. */
function isOfLmdb(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'number';
}

async function writeProbe(path: string): Promise<void> {
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(Buffer.alloc(PROBE_BYTES));
      await file.datasync();
    } finally {
      await file.close();
    }
  } finally {
    await unlink(path).catch(() => undefined);
  }
}
