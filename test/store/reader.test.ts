/** `alarik-replication/store`: what another process may read, and that it cannot write. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as store from '../../src/store/reader.ts';
import { runProgram } from '../support/child-process.ts';
import {
  ruleBody,
  targetBody,
  targetsPath,
  uniqueSecret,
  uuid,
} from '../support/replication-bodies.ts';
import { etagOf, startReplicationHost } from '../support/replication-host.ts';

describe('reader', () => {
  it('shows each committed state at once, and null for a bucket without one', async (t) => {
    const host = await startReplicationHost(t);
    const reader = await store.openReader(host.dataDirectory);
    t.after(() => reader.close());
    assert.equal(reader.configuration('photos'), null);
    const secret = uniqueSecret();
    await host.putTargets([targetBody({ id: uuid(1), secretAccessKey: secret })]);
    const saved = await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1) })]);
    const snapshot = reader.configuration('photos');
    assert.deepEqual(
      [snapshot?.bucketId, `"${snapshot?.revision}"`, snapshot?.mayReplicate],
      [host.buckets.get('photos')?.id, etagOf(saved), true],
    );
    assert.equal(snapshot?.rules[0]?.id, uuid(4));
    assert.equal('secret' in snapshot.targets[0]!, false);
    await host.putRules([]);
    assert.equal(reader.configuration('photos')?.mayReplicate, false);
    await host.plugin.bucketDeleted!(host.buckets.get('photos')!);
    assert.equal(reader.configuration('photos'), null);
  });

  it('lists bucket names in pages of 256', async (t) => {
    const host = await startReplicationHost(t);
    const names = Array.from({ length: 260 }, (_, n) => `bucket-${String(n).padStart(3, '0')}`);
    await Promise.all(
      names.map((name) => {
        host.addBucket(name);
        return host.request('PUT', targetsPath(name), { body: { targets: [targetBody()] } });
      }),
    );
    const reader = await store.openReader(host.dataDirectory);
    t.after(() => reader.close());
    const first = reader.bucketNames();
    assert.deepEqual([...first, ...reader.bucketNames(first.at(-1))], names);
    assert.equal(first.length, 256);
    assert.deepEqual(reader.bucketNames('zzz'), []);
  });

  it('in a process of its own reads while the server writes', async (t) => {
    const host = await startReplicationHost(t);
    await host.putTargets([targetBody({ id: uuid(1) })]);
    await host.putRules([ruleBody({ targetId: uuid(1) })]);
    const args = [host.dataDirectory, 'photos', '10', '1'];
    const ended = await runProgram('snapshot-reader.ts', args);
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /"withEnabledRules":10,/);
    assert.equal((await host.putTargets([])).status, 200);
  });

  it('exports the reader and nothing that writes or opens secrets', () => {
    assert.deepEqual(Object.keys(store), ['openReader']);
  });
});
