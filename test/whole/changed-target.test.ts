/** A target that is changed while a large object is on its way to it: what was begun ends, nothing else begins. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/until.ts';
import { respondAsS3, type Listener } from './counting-listeners.ts';
import { EgressSite, PUBLIC } from './egress-site.ts';

/** Three parts and a rest, all in flight at once. */
const LARGE = Buffer.alloc(25 * 1024 * 1024, 7);
const PARTS = 4;
/** Long enough for what would be sent by mistake. */
const SILENCE_MS = 1_000;

/** An upload whose parts the target has read and not answered. */
async function startUpload(t: TestContext) {
  const site = await EgressSite.start(t);
  const target = site.at(PUBLIC);
  const held: (() => void)[] = [];
  const accessKeys: string[] = [];
  target.respond = (request, response) => {
    const authorization = request.headers.authorization ?? '';
    accessKeys.push(/Credential=([^/]+)/.exec(authorization)?.[1] ?? '');
    if (!isPart(request.url) || held.length === PARTS) respondAsS3(request, response);
    else held.push(() => respondAsS3(request, response));
  };
  const bucket = await site.replicatingBucket('changed', PUBLIC);
  await site.write(bucket, 'large', LARGE);
  await until(() => held.length === PARTS, 'the parts to be under way');
  const answer = (): void => held.forEach((respond) => respond());
  return { site, target, bucket, answer, accessKeys };
}

function isPart(url = ''): boolean {
  return url.includes('partNumber=');
}

function countOf(target: Listener, request: RegExp): number {
  return target.requests.filter((text) => request.test(text)).length;
}

describe('a target that is changed during an upload', () => {
  it('is silent once it is disabled, and gets the rest when it is enabled', async (t) => {
    const { site, target, bucket, answer } = await startUpload(t);
    assert.equal(await site.saveTarget(bucket, PUBLIC, undefined, { enabled: false }), 200);
    // One more write: when it has been looked at, so has the change.
    await site.write(bucket, 'later', 'x');
    const before = target.requests.length;
    answer();
    await sleep(SILENCE_MS);
    assert.equal(target.requests.length, before);
    const tasks = await site.tasks(bucket);
    assert.deepEqual(
      tasks.map(({ attempts }) => attempts),
      [0, 0],
    );
    assert.equal(await site.saveTarget(bucket, PUBLIC), 200);
    await site.drained(bucket);
    // The same upload goes on.
    assert.equal(countOf(target, /^POST .*uploads=/), 1);
    assert.equal(countOf(target, /^GET .*uploadId=/), 1);
  });

  it('is sent the rest with the corrected credentials', async (t) => {
    const { site, target, bucket, answer, accessKeys } = await startUpload(t);
    const corrected = { accessKeyId: 'AKIACORRECTED' };
    assert.equal(await site.saveTarget(bucket, PUBLIC, undefined, corrected), 200);
    await site.write(bucket, 'later', 'x');
    await until(() => accessKeys.includes('AKIACORRECTED'), 'the corrected key to be used');
    const before = accessKeys.length;
    answer();
    await site.drained(bucket);
    assert.deepEqual([...new Set(accessKeys.slice(before))], ['AKIACORRECTED']);
    assert.equal(countOf(target, /^POST .*uploadId=/), 1);
  });
});
