/** ETag, If-Match and If-None-Match on targets and rules, which share one tag. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { OTHER, OWNER } from '../support/koa-host.ts';
import { rawHead, sendRaw } from '../support/raw-http.ts';
import {
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uuid,
} from '../support/replication-bodies.ts';
import { etagOf, startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord } from '../support/stored-records.ts';

const TAG = /^"[1-9][0-9]*-[0-9a-f]{8}"$/;

/** A host whose bucket `photos` was changed twice, and the tag that it has now. */
async function changedTwice(t: TestContext): Promise<{ host: ReplicationHost; tag: string }> {
  const host = await startReplicationHost(t);
  await host.putTargets([targetBody({ id: uuid(1) })]);
  const saved = await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1) })]);
  return { host, tag: etagOf(saved) };
}

describe('entity tags', () => {
  it('are strong, "0" before the first change, and the same for targets and rules', async (t) => {
    const host = await startReplicationHost(t);
    const tags = async (): Promise<string[]> =>
      [await host.getTargets(), await host.getRules()].map(etagOf);
    assert.deepEqual(await tags(), ['"0"', '"0"']);
    const saved = etagOf(await host.putTargets([targetBody({ id: uuid(1) })]));
    assert.match(saved, /^"1-[0-9a-f]{8}"$/);
    assert.deepEqual(await tags(), [saved, saved]);
    const rules = etagOf(await host.putRules([ruleBody({ targetId: uuid(1) })]));
    assert.match(rules, /^"2-[0-9a-f]{8}"$/);
    assert.deepEqual(await tags(), [rules, rules]);
  });

  it('say nothing of other buckets, however busy those are', async (t) => {
    const host = await startReplicationHost(t);
    host.addBucket('busy', 'other');
    const save = (region: string): Promise<unknown> =>
      host.request('PUT', targetsPath('busy'), {
        token: OTHER,
        body: { targets: [targetBody({ region })] },
      });
    for (const region of ['a', 'b', 'c']) await save(region);
    const first = etagOf(await host.putTargets([targetBody({ id: uuid(1) })]));
    for (const region of ['a', 'b', 'c']) await save(region);
    assert.equal(etagOf(await host.getTargets()), first);
    const second = etagOf(await host.putTargets([]));
    assert.deepEqual(
      [first, second].map((tag) => tag.split('-')[0]),
      ['"1', '"2'],
    );
  });

  it('a bucket that is deleted and made again counts anew, with other digits', async (t) => {
    const host = await startReplicationHost(t);
    const before = etagOf(await host.putTargets([targetBody()]));
    await host.plugin.bucketDeleted!(host.buckets.get('photos')!);
    host.addBucket('photos');
    assert.equal(etagOf(await host.getTargets()), '"0"');
    const stale = await host.putTargets([targetBody()], { headers: { 'if-match': before } });
    assert.equal(stale.status, 412);
    const after = etagOf(await host.putTargets([targetBody()]));
    assert.match(after, /^"1-/);
    assert.notEqual(after, before);
  });

  it('a save that changes nothing leaves tag, sealed secrets and log as they were', async (t) => {
    const { host, tag } = await changedTwice(t);
    const { targets } = (await host.getTargets()).json;
    const { rules } = (await host.getRules()).json;
    const record = await readStoredRecord(host.dataDirectory, 'photos');
    const audits = host.audits().length;
    const saves = [
      await host.putTargets(targets),
      await host.putTargets([targetBody({ id: uuid(1) })]),
      await host.putTargets(targets, { headers: { 'if-match': tag } }),
      await host.putRules(rules),
      await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1), prefix: null })]),
    ];
    assert.deepEqual(
      saves.map((answer) => [answer.status, etagOf(answer)]),
      saves.map(() => [200, tag]),
    );
    assert.deepEqual(await readStoredRecord(host.dataDirectory, 'photos'), record);
    assert.equal(host.audits().length, audits);
    const stale = await host.putTargets(targets, { headers: { 'if-match': '"1"' } });
    assert.equal(stale.status, 412, 'a precondition is judged all the same');
  });

  it('a refused change leaves the tag as it was', async (t) => {
    const host = await startReplicationHost(t);
    const saved = await host.putTargets([targetBody({ id: uuid(1) })]);
    await host.putTargets([{}]);
    await host.putTargets([targetBody({ endpoint: 'http://10.0.0.1' })]);
    await host.putRules([ruleBody({ targetId: uuid(2) })]);
    assert.equal(etagOf(await host.getTargets()), etagOf(saved));
  });

  // TAG stands for the bucket's tag, without its quotes.
  const matching = ['"TAG"', ' "TAG" ', '*', '"7", "TAG"', '"TAG","7"', 'W/"TAG", "TAG"'];
  const failing = ['"1"', '"2"', '"0"', 'W/"TAG"', '"0TAG"', '""', '"TAG0"', '"2-", "3"'];
  const malformed = [
    'TAG',
    '"TAG',
    'TAG"',
    "'TAG'",
    '"TAG" 2',
    '*, "TAG"',
    'w/"TAG"',
    ',',
    '"TAG";',
  ];

  for (const header of matching) {
    it(`If-Match: ${header} lets both PUTs pass`, async (t) => {
      for (const resource of ['putTargets', 'putRules'] as const) {
        const { host, tag } = await changedTwice(t);
        const ifMatch = header.replaceAll('TAG', tag.slice(1, -1));
        const answer = await host[resource]([], { headers: { 'if-match': ifMatch } });
        assert.equal(answer.status, 200, answer.text);
        assert.match(etagOf(answer), /^"3-[0-9a-f]{8}"$/);
        await host.close();
      }
    });
  }

  it(`If-Match: 412 for ${failing.length} headers without the tag, and nothing changes`, async (t) => {
    const { host, tag } = await changedTwice(t);
    const before = await host.getRules();
    for (const header of failing) {
      const ifMatch = header.replaceAll('TAG', tag.slice(1, -1));
      for (const resource of ['putTargets', 'putRules'] as const) {
        const answer = await host[resource]([], { headers: { 'if-match': ifMatch } });
        assert.deepEqual([answer.status, answer.json.code], [412, 'PreconditionFailed'], ifMatch);
      }
    }
    const after = await host.getRules();
    assert.deepEqual([after.text, etagOf(after)], [before.text, tag]);
    assert.equal((await host.getTargets()).json.targets.length, 1);
  });

  it(`If-Match: 400 for ${malformed.length} malformed headers, also where a save would do nothing`, async (t) => {
    const { host, tag } = await changedTwice(t);
    for (const header of malformed) {
      const ifMatch = header.replaceAll('TAG', tag.slice(1, -1));
      for (const resource of ['putTargets', 'putRules'] as const) {
        const answer = await host[resource]([], { headers: { 'if-match': ifMatch } });
        assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidPrecondition'], ifMatch);
      }
    }
    assert.equal(etagOf(await host.getTargets()), tag);
  });

  it('of concurrent changes from one revision, one wins and the others get 412', async (t) => {
    const host = await startReplicationHost(t);
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        host.putTargets([targetBody({ id: uuid(n) })], { headers: { 'if-match': '"0"' } }),
      ),
    );
    const statuses = answers.map((answer) => answer.status).sort();
    assert.deepEqual(statuses, [200, ...Array.from({ length: 9 }, () => 412)]);
    const winner = answers.find((answer) => answer.status === 200);
    assert.equal((await host.getTargets()).text, winner?.text);
  });

  it('If-None-Match: 304 without a body for the tag, 200 for another, on GET alone', async (t) => {
    const host = await startReplicationHost(t);
    const saved = await host.putTargets([targetBody({ id: uuid(1) })]);
    // fetch would add "Cache-Control: no-cache", which asks for a full answer.
    const get = (path: string, header: string): ReturnType<typeof sendRaw> =>
      sendRaw(
        host.url,
        rawHead('GET', path, { Authorization: `Bearer ${OWNER}`, 'If-None-Match': header }),
      );
    const tag = etagOf(saved);
    assert.match(tag, TAG);
    for (const header of [tag, `W/${tag}`, `"9", ${tag}`, '*']) {
      for (const path of [targetsPath('photos'), rulesPath('photos')]) {
        const answer = await get(path, header);
        assert.deepEqual([answer.status, answer.body], [304, ''], header);
        assert.equal(answer.headers.get('etag'), tag);
        assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
      }
    }
    const changed = await get(targetsPath('photos'), '"0"');
    assert.deepEqual([changed.status, changed.body], [200, saved.text]);
    const put = await host.putTargets([], { headers: { 'if-none-match': tag } });
    assert.deepEqual([put.status, put.text], [200, '{"targets":[]}']);
  });

  it('answers may be stored by the caller alone, and errors by nobody', async (t) => {
    const host = await startReplicationHost(t);
    assert.equal((await host.getTargets()).headers.get('cache-control'), 'private, no-cache');
    const error = await host.putTargets([{}]);
    assert.equal(error.headers.get('cache-control'), 'no-store');
    assert.equal(error.headers.get('etag'), null);
  });
});
