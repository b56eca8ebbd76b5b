/**
 * Commits to an environment while its disk fails, and prints what became of each step as JSON.
 * Arguments: the environment's directory, the file of the switch, and what it is to hold.
 */
import { writeFileSync } from 'node:fs';
import { openEnvironment } from '../../src/lmdb/environment.ts';
import { StorageError } from '../../src/lmdb/storage-error.ts';
import { until } from './until.ts';

const [directory = '', switchFile = '', fault = ''] = process.argv.slice(2);
const changes: (string | null)[] = [];
const { meta, commits, close } = await openEnvironment({
  directory,
  format: 1,
  onFailure: (failure) => changes.push(failure),
});
const put = async (name: string): Promise<string> => {
  try {
    await commits.run(() => meta.putSync(name, 1));
    return 'ok';
  } catch (error) {
    return error instanceof StorageError ? error.code : String(error);
  }
};
const before = await put('before');
const startedAt = performance.now();
writeFileSync(switchFile, fault);
const during = await Promise.all([put('a'), put('b')]);
const later = await put('c');
const tookMs = performance.now() - startedAt;
writeFileSync(switchFile, '');
let after = 'not tried';
if (commits.failure !== 'broken') {
  await until(() => commits.failure === null, 'the disk to be probed');
  after = await put('after');
}
await close();
process.stdout.write(JSON.stringify({ before, during, later, after, changes, tookMs }));
process.exit(0);
