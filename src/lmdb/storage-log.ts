/**
 * The lines that an operator reads of an environment: one where its disk begins to refuse commits, one
 * where that ends, one where its file was made small.
 */
import type { Compaction } from './compaction.ts';
import { StorageError, type StorageFailure } from './storage-error.ts';

interface StorageLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** @param environment the name of its directory */
export function logStorageFailure(
  logger: StorageLogger,
  environment: string,
  failure: StorageFailure | null,
  cause: unknown,
): void {
  if (failure === null) logger.info({ environment }, 'the disk takes changes again');
  else logger.error({ environment, err: cause }, new StorageError(failure).message);
}

/** @param environment the name of its directory */
export function logCompaction(
  logger: StorageLogger,
  environment: string,
  outcome: Compaction | Error,
): void {
  if (outcome instanceof Error) {
    logger.warn(
      { environment, err: outcome },
      'the database could not be made small; it is as it was',
    );
  } else
    logger.info({ environment, ...outcome }, 'most of the database was free: it is small again');
}
