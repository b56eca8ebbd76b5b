/** The server's own database in a directory that lasts for one test. */
import { openServerDatabase, type ServerDatabase } from '../../src/server/database.ts';
import { temporaryDirectory } from './temporary-directory.ts';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

/** @param t the test's context, or anything with `after` */
export async function temporaryServerDatabase(t: Cleanup): Promise<ServerDatabase> {
  const database = await openServerDatabase(temporaryDirectory(t));
  t.after(() => database.close());
  return database;
}
