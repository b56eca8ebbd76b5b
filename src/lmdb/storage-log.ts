/** The lines that an operator reads where a disk refuses commits: one at its beginning, one at its end. */
import { StorageError, type StorageFailure } from './storage-error.ts';

interface StorageLogger {
  info(fields: object, message: string): void;
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
