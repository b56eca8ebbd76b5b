import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openStore, withDirectory } from './object-fixture.ts';

const PROGRAM = fileURLToPath(new URL('move-large-objects.ts', import.meta.url));
/** Of 1 GiB that goes in and out. The collector is lazy; the bodies themselves hold about 4 MiB. */
const GROWTH_BYTES_MAX = 96 * 1024 * 1024;

describe('16 objects of 64 MiB, up and down at the same time', () => {
  it('need little memory', () =>
    withDirectory(async (directory) => {
      const before = await openStore(directory);
      const owner = { ownerId: 'somebody', versioningEnabled: false };
      await before.buckets.create({ name: 'photos', ...owner });
      await before.close();
      const args = ['--import', 'tsx', PROGRAM, directory, 'photos'];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      const growth = Number(stdout);
      assert(growth > 0 && growth < GROWTH_BYTES_MAX, `${(growth / 2 ** 20).toFixed(1)} MiB`);
    }));
});
