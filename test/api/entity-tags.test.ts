/** ETag, If-Match and If-None-Match on targets and rules, which share one tag. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { OWNER } from '../support/koa-host.ts';
import { rawHead, sendRaw } from '../support/raw-http.ts';
import {
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uuid,
} from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';

describe('entity tags', () => {
  it('are strong, "0" before the first change, and the same for targets and rules', async (t) => {
    const host = await startReplicationHost(t);
    const tags = async (): Promise<(string | null)[]> =>
      [await host.getTargets(), await host.getRules()].map((answer) => answer.headers.get('etag'));
    assert.deepEqual(await tags(), ['"0"', '"0"']);
    const saved = await host.putTargets([targetBody({ id: uuid(1) })]);
    assert.deepEqual([saved.headers.get('etag'), ...(await tags())], ['"1"', '"1"', '"1"']);
    const rules = await host.putRules([ruleBody({ targetId: uuid(1) })]);
    assert.deepEqual([rules.headers.get('etag'), ...(await tags())], ['"2"', '"2"', '"2"']);
  });

  it('a refused change leaves the tag as it was', async (t) => {
    const host = await startReplicationHost(t);
    await host.putTargets([targetBody({ id: uuid(1) })]);
    await host.putTargets([{}]);
    await host.putTargets([targetBody({ endpoint: 'http://10.0.0.1' })]);
    await host.putRules([ruleBody({ targetId: uuid(2) })]);
    assert.equal((await host.getTargets()).headers.get('etag'), '"1"');
  });

  const matching = ['"2"', ' "2" ', '*', '"7", "2"', '"2","7"', 'W/"2", "2"'];
  const failing = ['"1"', '"3"', '"0"', 'W/"2"', '"02"', '""', '"1", "3"'];
  const malformed = ['2', '"2', '2"', "'2'", '"2" 2', '*, "2"', 'w/"2"', ',', '"2";'];

  for (const header of matching) {
    it(`If-Match: ${header} lets both PUTs pass at revision 2`, async (t) => {
      for (const resource of ['putTargets', 'putRules'] as const) {
        const host = await startReplicationHost(t);
        await host.putTargets([]);
        await host.putRules([]);
        const answer = await host[resource]([], { headers: { 'if-match': header } });
        assert.deepEqual([answer.status, answer.headers.get('etag')], [200, '"3"']);
        await host.close();
      }
    });
  }

  it(`If-Match: 412 for ${failing.length} headers without the tag, and nothing changes`, async (t) => {
    const host = await startReplicationHost(t);
    await host.putTargets([targetBody({ id: uuid(1) })]);
    const before = await host.putRules([ruleBody({ targetId: uuid(1) })]);
    for (const header of failing) {
      for (const resource of ['putTargets', 'putRules'] as const) {
        const answer = await host[resource]([], { headers: { 'if-match': header } });
        assert.deepEqual([answer.status, answer.json.code], [412, 'PreconditionFailed'], header);
      }
    }
    const after = await host.getRules();
    assert.deepEqual([after.text, after.headers.get('etag')], [before.text, '"2"']);
    assert.equal((await host.getTargets()).json.targets.length, 1);
  });

  it(`If-Match: 400 for ${malformed.length} malformed headers, also where a save would do nothing`, async (t) => {
    const host = await startReplicationHost(t);
    await host.putTargets([]);
    await host.putTargets([]);
    for (const header of malformed) {
      for (const resource of ['putTargets', 'putRules'] as const) {
        const answer = await host[resource]([], { headers: { 'if-match': header } });
        assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidPrecondition'], header);
      }
    }
    assert.equal((await host.getTargets()).headers.get('etag'), '"2"');
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
    for (const header of ['"1"', 'W/"1"', '"9", "1"', '*']) {
      for (const path of [targetsPath('photos'), rulesPath('photos')]) {
        const answer = await get(path, header);
        assert.deepEqual([answer.status, answer.body], [304, ''], header);
        assert.equal(answer.headers.get('etag'), '"1"');
        assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
      }
    }
    const changed = await get(targetsPath('photos'), '"0"');
    assert.deepEqual([changed.status, changed.body], [200, saved.text]);
    const put = await host.putTargets([], { headers: { 'if-none-match': '"1"' } });
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
