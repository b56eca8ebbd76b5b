/** The store's files: their modes, and that a newer format is refused without touching them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { open } from 'lmdb';
import { backupStore } from '../../src/store/backup.ts';
import { openReader } from '../../src/store/reader.ts';
import { startKoaHost } from '../support/koa-host.ts';
import { targetBody } from '../support/replication-bodies.ts';
import { etagOf, startReplicationHost } from '../support/replication-host.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Mode bits in octal by path, of everything below a directory and of itself. */
function modes(directory: string): Readonly<Record<string, string>> {
  const paths = ['', ...readdirSync(directory, { recursive: true, encoding: 'utf8' })];
  return Object.fromEntries(
    paths.map((path) => {
      const stat = statSync(join(directory, path));
      const expected = stat.isDirectory() ? 'directory' : 'file';
      return [`${expected} ${path}`, (stat.mode & 0o7777).toString(8)];
    }),
  );
}

describe('file modes', () => {
  it('nobody else can read anything, under umask 0 too', async (t) => {
    const before = process.umask(0);
    t.after(() => process.umask(before));
    const dataDirectory = join(temporaryDirectory(t), 'made', 'by', 'the plugin');
    const host = await startReplicationHost(t, { dataDirectory });
    await host.putTargets([targetBody()]);
    await backupStore(dataDirectory, join(dataDirectory, 'backup'));
    assert.deepEqual(modes(dataDirectory), {
      'directory ': '700',
      'directory replication': '700',
      'file replication/data.mdb': '600',
      'file replication/lock.mdb': '600',
      'file replication.key': '600',
      'file replication.state': '600',
      'directory backup': '700',
      'directory backup/replication': '700',
      'file backup/replication/data.mdb': '600',
    });
  });
});

describe('format', () => {
  it('a newer one is refused by plugin, reader and backup, and not a byte is changed', async (t) => {
    const host = await startReplicationHost(t);
    await host.putTargets([targetBody()]);
    await host.close();
    const directory = join(host.dataDirectory, 'replication');
    const root = open({ path: directory, noSubdir: false });
    await root.openDB<number, string>({ name: 'meta' }).put('format', 3);
    await root.close();
    const digest = (): string =>
      createHash('sha256')
        .update(readFileSync(join(directory, 'data.mdb')))
        .digest('hex');
    const before = digest();
    const refused = { code: 'UnsupportedFormat', message: /format 3; this version reads .* 1/ };
    await assert.rejects(startKoaHost(host), refused);
    await assert.rejects(openReader(host.dataDirectory), refused);
    await assert.rejects(backupStore(host.dataDirectory, join(host.dataDirectory, 'b')), refused);
    assert.equal(digest(), before);
  });

  it('the same one is opened again with everything in it', async (t) => {
    const host = await startReplicationHost(t);
    const saved = await host.putTargets([targetBody()]);
    await host.close();
    const next = await startReplicationHost(t, host);
    const read = await next.getTargets();
    assert.deepEqual([read.text, etagOf(read)], [saved.text, etagOf(saved)]);
    assert.match(etagOf(await next.putTargets([])), /^"2-[0-9a-f]{8}"$/);
  });
});
