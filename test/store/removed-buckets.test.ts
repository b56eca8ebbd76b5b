/** A bucket that is deleted and created again inherits nothing, whether its deletion was told or not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OTHER } from '../support/koa-host.ts';
import {
  MASK,
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uuid,
} from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecords } from '../support/stored-records.ts';
import { until } from '../support/until.ts';

async function setUp(host: ReplicationHost, name = 'photos', token?: string): Promise<void> {
  const options = token === undefined ? {} : { token };
  const targets = { body: { targets: [targetBody({ id: uuid(1) })] }, ...options };
  assert.equal((await host.request('PUT', targetsPath(name), targets)).status, 200);
  const rules = { body: { rules: [ruleBody({ id: uuid(4), targetId: uuid(1) })] }, ...options };
  assert.equal((await host.request('PUT', rulesPath(name), rules)).status, 200);
}

async function assertInheritsNothing(host: ReplicationHost, name: string): Promise<void> {
  host.addBucket(name, 'other');
  for (const path of [targetsPath(name), rulesPath(name)]) {
    const answer = await host.request('GET', path, { token: OTHER });
    assert.match(answer.text, /^\{"(targets|rules)":\[\]\}$/);
    assert.equal(answer.headers.get('etag'), '"0"');
  }
  const masked = { targets: [targetBody({ id: uuid(1), secretAccessKey: MASK })] };
  const stolen = await host.request('PUT', targetsPath(name), { token: OTHER, body: masked });
  assert.deepEqual([stolen.status, stolen.json.code], [400, 'InvalidRequest']);
  const rules = { rules: [ruleBody({ id: uuid(4), targetId: uuid(1), enabled: false })] };
  assert.equal(
    (await host.request('PUT', rulesPath(name), { token: OTHER, body: rules })).status,
    400,
  );
  assert.equal((await host.request('GET', `/${name}?replication`)).status, 404);
  const bucket = host.buckets.get(name)!;
  assert.equal(await host.plugin.mayChangeVersioning!(bucket, 'Suspended'), true);
}

describe('deleted buckets', () => {
  it('with the notice: the record is gone when the hook resolves', async (t) => {
    const host = await startReplicationHost(t);
    await setUp(host);
    await host.plugin.bucketDeleted!(host.buckets.get('photos')!);
    const { configurations, hints } = await readStoredRecords(host.dataDirectory);
    assert.deepEqual([configurations.size, hints.size], [0, 0]);
    await assertInheritsNothing(host, 'photos');
  });

  it('without the notice, created again while the server runs', async (t) => {
    const host = await startReplicationHost(t);
    await setUp(host);
    await assertInheritsNothing(host, 'photos');
    await setUp(host, 'photos', OTHER);
    const { configurations } = await readStoredRecords(host.dataDirectory);
    assert.equal(configurations.get('photos')?.bucketId, host.buckets.get('photos')?.id);
  });

  it('a late notice of the old bucket leaves the new one alone', async (t) => {
    const host = await startReplicationHost(t);
    const old = host.buckets.get('photos')!;
    await setUp(host);
    host.addBucket('photos', 'other');
    await setUp(host, 'photos', OTHER);
    await host.plugin.bucketDeleted!(old);
    const answer = await host.request('GET', rulesPath('photos'), { token: OTHER });
    assert.equal(answer.json.rules[0].enabled, true);
  });

  it('without the notice, the start sweeps the records of names that others have, and no others', async (t) => {
    const host = await startReplicationHost(t);
    const names = Array.from({ length: 300 }, (_, n) => `bucket-${String(n).padStart(3, '0')}`);
    for (const name of names) host.addBucket(name);
    await Promise.all([...names, 'photos'].map((name) => setUp(host, name)));
    await host.close();
    for (const name of names.slice(1, 299)) host.addBucket(name, 'other');
    // After a restore the buckets may come later than the start.
    host.buckets.delete('bucket-299');
    host.addBucket('photos', 'other');
    const next = await startReplicationHost(t, host);
    await until(async () => {
      const { configurations } = await readStoredRecords(host.dataDirectory);
      // A record is gone before the line about it is written.
      return configurations.size === 2 && next.logs.length >= 300;
    }, 'the sweep');
    const { configurations, hints } = await readStoredRecords(host.dataDirectory);
    assert.deepEqual([...configurations.keys()], ['bucket-000', 'bucket-299']);
    assert.deepEqual([...hints.keys()], ['bucket-000', 'bucket-299']);
    assert.equal(next.logs.length, 300);
    assert.equal(
      next.logs.every(({ level }) => level === 'info'),
      true,
    );
    await assertInheritsNothing(next, 'photos');
  });
});
