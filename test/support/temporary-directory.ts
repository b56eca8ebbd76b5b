/** A directory of its own for one test, gone when the test ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

/** @param t the test's context, or anything with `after` */
export function temporaryDirectory(t: Cleanup): string {
  const directory = mkdtempSync(join(tmpdir(), 'alarik-replication-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
