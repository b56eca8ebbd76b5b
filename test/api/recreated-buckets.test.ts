/** A bucket that is deleted, and perhaps created again by somebody else, while a request runs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OTHER } from '../support/koa-host.ts';
import { targetBody, targetsPath, uuid } from '../support/replication-bodies.ts';
import { etagOf, startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecords } from '../support/stored-records.ts';
import { until } from '../support/until.ts';

async function deleteBucket(host: ReplicationHost): Promise<void> {
  const bucket = host.buckets.get('photos')!;
  host.buckets.delete('photos');
  await host.plugin.bucketDeleted!(bucket);
}

/** A host with a PUT /targets of the first owner that waits for a name server until `answer` is called. */
async function hostWithSlowSave(t: Parameters<typeof startReplicationHost>[0]): Promise<{
  host: ReplicationHost;
  saved: ReturnType<ReplicationHost['putTargets']>;
  answer: () => void;
}> {
  let answer: (() => void) | undefined;
  const lookup = (): Promise<string[]> =>
    new Promise((resolve) => (answer = () => resolve(['8.8.8.8'])));
  const host = await startReplicationHost(t, { system: { lookup } });
  const saved = host.putTargets([targetBody({ endpoint: 'https://slow.example.com' })]);
  await until(() => answer, 'the lookup');
  return { host, saved, answer: () => answer!() };
}

describe('buckets that are deleted while a save runs', () => {
  it('the save is a 404 and leaves nothing behind', async (t) => {
    const { host, saved, answer } = await hostWithSlowSave(t);
    await deleteBucket(host);
    answer();
    assert.deepEqual([(await saved).status, (await saved).json.code], [404, 'NoSuchBucket']);
    assert.deepEqual([...(await readStoredRecords(host.dataDirectory)).configurations], []);
  });

  it('the save cannot destroy what the next owner of the name has set', async (t) => {
    const { host, saved, answer } = await hostWithSlowSave(t);
    await deleteBucket(host);
    host.addBucket('photos', 'other');
    const body = { targets: [targetBody({ id: uuid(1) })] };
    const others = await host.request('PUT', targetsPath('photos'), { token: OTHER, body });
    assert.equal(others.status, 200);
    answer();
    assert.equal((await saved).status, 404);
    const after = await host.getTargets({ token: OTHER });
    assert.deepEqual([after.text, etagOf(after)], [others.text, etagOf(others)]);
  });

  it('a DELETE of ?replication cannot either', async (t) => {
    const host = await startReplicationHost(t);
    const old = host.buckets.get('photos')!;
    await deleteBucket(host);
    host.addBucket('photos', 'other');
    const body = { targets: [targetBody({ id: uuid(1) })] };
    const others = await host.request('PUT', targetsPath('photos'), { token: OTHER, body });
    // The host found the bucket before it was deleted, and calls the handler only now.
    t.mock.method(host.buckets, 'get', () => old, { times: 1 });
    const answer = await host.request('DELETE', '/photos?replication');
    assert.equal(answer.status, 404);
    assert.match(answer.text, /<Code>NoSuchBucket<\/Code>/);
    const after = await host.getTargets({ token: OTHER });
    assert.deepEqual([after.text, etagOf(after)], [others.text, etagOf(others)]);
  });
});
