/**
 * What the APIs answer where the disk refused: a commit of the database or the file of a body. Both
 * are 503, so that clients try again; the log has the failure itself once.
 */
import type { Middleware } from 'koa';
import { failureOf, StorageError } from '../lmdb/storage-error.ts';
import { serverError } from './errors.ts';

export interface StorageAnswer {
  /** Codes of both tables of errors, S3's and the JSON API's. */
  readonly code: 'InsufficientStorage' | 'ServiceUnavailable';
  readonly message: string;
}

/** Of the disk; other errors of the operating system are mistakes of the program. */
const DISK_ERRORS = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS']);

/** Null where it was something else. */
export function storageAnswer(thrown: unknown): StorageAnswer | null {
  const error = thrown instanceof StorageError ? thrown : ofBody(thrown);
  if (error === null) return null;
  const code = error.failure === 'full' ? 'InsufficientStorage' : 'ServiceUnavailable';
  return { code, message: error.message };
}

/** For the JSON API: what is thrown further in becomes an error of its table. */
export const translateStorageFailures: Middleware = async (_ctx, next) => {
  try {
    await next();
  } catch (thrown) {
    const answer = storageAnswer(thrown);
    if (answer === null) throw thrown;
    throw serverError(answer.code, { reason: answer.message, cause: thrown });
  }
};

function ofBody(thrown: unknown): StorageError | null {
  if (!(thrown instanceof Error) || !('code' in thrown)) return null;
  return DISK_ERRORS.has(String(thrown.code)) ? new StorageError(failureOf(thrown), thrown) : null;
}
