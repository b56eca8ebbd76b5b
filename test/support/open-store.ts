/** Opens the environment that the argument names and prints how many records `meta` has, or why not. */
import { openEnvironment } from '../../src/lmdb/environment.ts';

try {
  const [directory = ''] = process.argv.slice(2);
  const { meta, close } = await openEnvironment({ directory, format: 1 });
  const records = [...meta.getRange()].length;
  await close();
  process.stdout.write(String(records));
} catch (error) {
  const { code, message } = error as Error & { code?: string };
  process.stdout.write(`${code} ${message}`);
  process.exitCode = 1;
}
