import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openEnvironment } from '../../src/lmdb/environment.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('environment', () => {
  it('stamps a new one durably, and keeps the stamp of an older one', async (t) => {
    const directory = join(temporaryDirectory(t), 'environment');
    for (const format of [1, 3]) {
      const { meta, close } = await openEnvironment({ directory, format });
      assert.equal(meta.get('format'), 1);
      await close();
    }
  });

  it('refuses a newer one, for reading too, and can be opened again by who understands it', async (t) => {
    const directory = temporaryDirectory(t);
    await (await openEnvironment({ directory, format: 5 })).close();
    for (const readOnly of [false, true]) {
      await assert.rejects(openEnvironment({ directory, format: 4, readOnly }), {
        code: 'UnsupportedFormat',
        message: /format 5; this version reads formats up to 4/,
      });
    }
    const { meta, close } = await openEnvironment({ directory, format: 5 });
    assert.equal(meta.get('format'), 5);
    await close();
  });

  it('a reader makes nothing where there is nothing', async (t) => {
    const directory = join(temporaryDirectory(t), 'missing');
    await assert.rejects(openEnvironment({ directory, format: 1, readOnly: true }), {
      code: 'ENOENT',
    });
    assert.equal(existsSync(directory), false);
  });

  it('is for its owner alone', async (t) => {
    const before = process.umask(0);
    t.after(() => process.umask(before));
    const directory = join(temporaryDirectory(t), 'a', 'b');
    const { close } = await openEnvironment({ directory, format: 1 });
    const mode = (path: string): number => statSync(path).mode & 0o777;
    assert.deepEqual(
      [directory, join(directory, 'data.mdb'), join(directory, 'lock.mdb')].map(mode),
      [0o700, 0o600, 0o600],
    );
    await close();
  });
});
