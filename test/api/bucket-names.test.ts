/** One and the same 404 whatever is wrong with a bucket's name, and no look into any store before it. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ADMIN, OTHER, OWNER } from '../support/koa-host.ts';
import { rawHead, sendRaw } from '../support/raw-http.ts';
import { targetBody, targetsPath } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';

const host = await startReplicationHost({ after });

const malformed = {
  'an encoded slash': 'photos%2F..',
  'an encoded slash alone': '%2F',
  'an encoded NUL': 'photos%00',
  'bad UTF-8': '%ff%fe',
  'an incomplete escape': 'photos%2',
  'a dot': '.',
  'an encoded dot': '%2e',
  'encoded dots': '%2e%2e',
  'an encoded space': 'photos%20',
  'encoded line breaks': 'photos%0d%0aX:%20y',
  'a plus sign': 'pho+tos',
  'another script': '%E5%86%99%E7%9C%9F',
  'a full-width letter': '%EF%BD%90hotos',
  '256 characters': 'a'.repeat(256),
  '4,000 characters': 'a'.repeat(4000),
};

describe('bucket names', () => {
  for (const [what, name] of Object.entries(malformed)) {
    it(`${what}: the 404 of a missing bucket, and the host is not asked`, async (t) => {
      const asked = t.mock.method(host.host, 'findBucket');
      const headers = { Authorization: `Bearer ${OWNER}` };
      const missing = await sendRaw(host.url, rawHead('GET', targetsPath('missing'), headers));
      assert.equal(asked.mock.callCount(), 1);
      const answer = await sendRaw(host.url, rawHead('GET', targetsPath(name), headers));
      assert.deepEqual([answer.status, answer.body], [404, missing.body]);
      assert.equal(asked.mock.callCount(), 1);
    });
  }

  it('somebody else’s bucket, also for an administrator, is a missing one', async () => {
    const missing = await host.request('GET', targetsPath('missing'));
    assert.deepEqual([missing.status, missing.json.code], [404, 'NoSuchBucket']);
    for (const token of [OTHER, ADMIN]) {
      const read = await host.getTargets({ token });
      assert.deepEqual([read.status, read.text], [404, missing.text]);
      const written = await host.putTargets([targetBody()], { token });
      assert.deepEqual([written.status, written.text], [404, missing.text]);
      assert.equal((await host.putRules([], { token })).text, missing.text);
    }
    assert.equal((await host.getTargets()).text, '{"targets":[]}');
  });

  it('names of 1 and 255 characters with every allowed sign are asked for', async () => {
    for (const name of ['a', '...', 'A_b-c.D9', 'z'.repeat(255)]) {
      host.addBucket(name);
      const answer = await host.request('GET', targetsPath(name));
      assert.equal(answer.status, 200, name);
    }
  });
});
