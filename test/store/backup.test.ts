/** Backups while the server writes: consistent, without the key, never over something else, restorable. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { backupStore } from '../../src/store/backup.ts';
import { openReader } from '../../src/store/reader.ts';
import { MASK, ruleBody, targetBody, uniqueSecret, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord } from '../support/stored-records.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

describe('backup', () => {
  it('taken while targets and rules are replaced, each is one consistent moment', async (t) => {
    const host = await startReplicationHost(t);
    const destination = temporaryDirectory(t);
    const target = targetBody({ id: uuid(1) });
    let writing = true;
    const writer = (async () => {
      while (writing) {
        await host.putTargets([target]);
        await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1) })]);
        await host.putTargets([]);
        await host.putRules([]);
      }
    })();
    const revisions = new Set<string>();
    for (let n = 0; n < 200 && revisions.size < 5; n += 1) {
      const copy = join(destination, String(n));
      await backupStore(host.dataDirectory, copy);
      const reader = await openReader(copy);
      const snapshot = reader.configuration('photos');
      await reader.close();
      if (snapshot === null) continue;
      revisions.add(snapshot.revision);
      const { targets, rules, mayReplicate } = snapshot;
      assert.equal(mayReplicate, rules.length > 0);
      assert.equal(rules.some((rule) => rule.enabled) && targets.length === 0, false);
    }
    writing = false;
    await writer;
    assert(revisions.size >= 5, `only ${revisions.size} different moments`);
  });

  it('is a folder that can be put in the place of the store, with the key beside it', async (t) => {
    const host = await startReplicationHost(t);
    const secret = uniqueSecret();
    const target = targetBody({ id: uuid(1), secretAccessKey: secret });
    const saved = await host.putTargets([target]);
    const destination = join(temporaryDirectory(t), 'new', 'folder');
    await backupStore(host.dataDirectory, destination);
    await host.putTargets([]);
    assert.deepEqual(readdirSync(destination, { recursive: true, encoding: 'utf8' }).sort(), [
      'replication',
      'replication/data.mdb',
    ]);
    const key = readFileSync(join(host.dataDirectory, 'replication.key'), 'utf8').trim();
    const copied = readFileSync(join(destination, 'replication', 'data.mdb'));
    const keyBytes = Buffer.from(key, 'base64');
    for (const needle of [key, keyBytes, secret]) assert.equal(copied.includes(needle), false);

    const dataDirectory = temporaryDirectory(t);
    cpSync(destination, dataDirectory, { recursive: true });
    writeFileSync(join(dataDirectory, 'replication.key'), key, { mode: 0o600 });
    const restored = await startReplicationHost(t, { dataDirectory, buckets: host.buckets });
    assert.equal((await restored.getTargets()).text, saved.text);
    const masked = await restored.putTargets([
      { ...target, region: 'elsewhere', secretAccessKey: MASK },
    ]);
    assert.equal(masked.status, 200, masked.text);
    assert.equal(restored.logs.filter(({ level }) => level === 'error').length, 0);
    assert.equal((await readStoredRecord(dataDirectory, 'photos')).revision.split('-')[0], '2');
  });

  it('refuses a folder that holds something, and leaves it as it is', async (t) => {
    const host = await startReplicationHost(t);
    const destination = temporaryDirectory(t);
    writeFileSync(join(destination, 'something'), 'precious');
    await assert.rejects(backupStore(host.dataDirectory, destination), /is not empty/);
    await assert.rejects(backupStore(host.dataDirectory, host.dataDirectory), /is not empty/);
    assert.deepEqual(readdirSync(destination), ['something']);
  });

  it('accepts an empty folder, and fails where there is no store', async (t) => {
    const host = await startReplicationHost(t);
    const destination = temporaryDirectory(t);
    await backupStore(host.dataDirectory, destination);
    assert.deepEqual(readdirSync(destination), ['replication']);
    const empty = join(temporaryDirectory(t), 'empty');
    mkdirSync(empty);
    await assert.rejects(backupStore(empty, join(empty, 'copy')), { code: 'ENOENT' });
    assert.equal(readdirSync(empty).includes('replication'), false, 'no store is made');
  });
});
