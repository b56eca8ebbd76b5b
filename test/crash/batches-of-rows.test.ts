/**
 * An outcome that supersedes hundreds of versions of its key takes several transactions, and is killed
 * between two of them. What is left is killed once more, and then finished: the target goes on showing
 * the newest version, and nothing of the others stays behind.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HoldingProxy } from '../support/holding-proxy.ts';
import { assertReplica, historyOf } from '../support/replicas.ts';
import { ruleBody } from '../support/replication-bodies.ts';
import { admin, targetStatus } from '../support/replication-site.ts';
import { forEachAtOnce, readObject } from '../support/s3-sdk.ts';
import type { Step } from '../support/steps.ts';
import { until } from '../support/until.ts';
import { BATCH, killAt, pause, resume } from './batches.ts';
import { etagOf, put } from './changes.ts';
import { CrashRun } from './crash-run.ts';

describe('an outcome that supersedes hundreds of rows', () => {
  /** As many requests as a lane that has not delivered yet begins. */
  const REQUESTS = 4;
  /** The newest version is claimed; the others are of a rule that was disabled. */
  const CLAIMED = 'newest-claimed';
  const DISABLED = 600;
  /** The first version is claimed, and the newest delivered for it. */
  const AHEAD = 'first-claimed';
  const WAITING = 300;
  const newest = Buffer.from('the newest');
  const cutOff: readonly Step[] = [CLAIMED, AHEAD].map(cutOffOf);
  const run = new CrashRun('crash-batches-of-rows');
  let proxy: HoldingProxy;

  async function writeVersions(bucket: string, count: number): Promise<void> {
    const { s3 } = run.source;
    const bodies = Array.from({ length: count }, (_, n) => Buffer.from(`version ${n}`));
    await forEachAtOnce(bodies, (body) => put({ s3, bucket, key: keyOf(bucket) }, body));
  }

  async function writeNewest(bucket: string): Promise<void> {
    await put({ s3: run.source.s3, bucket, key: keyOf(bucket) }, newest);
  }

  async function supersedeDisabled(): Promise<void> {
    const { targetId, ruleId } = await pause(run, CLAIMED);
    await writeVersions(CLAIMED, DISABLED);
    const answer = await admin(run.source.site, 'PUT', `${CLAIMED}/replication/rules`, {
      rules: [ruleBody({ id: ruleId, targetId, enabled: false }), ruleBody({ targetId })],
    });
    assert.equal(answer.status, 200, answer.text);
    await writeNewest(CLAIMED);
    await resume(run, CLAIMED, targetId);
  }

  /** While requests for other keys are held, a version is claimed ahead, as the only one of its key. */
  async function supersedeWaiting(): Promise<void> {
    const { s3 } = run.source;
    const destination = { ...run.target.account, url: proxy.url };
    const { targetId } = await pause(run, AHEAD, destination);
    const held = Array.from({ length: REQUESTS }, () => proxy.holdNext(() => true));
    for (let n = 0; n < REQUESTS; n++) {
      await put({ s3, bucket: AHEAD, key: `${AHEAD}/other-${n}` }, Buffer.from(`other ${n}`));
    }
    await put({ s3, bucket: AHEAD, key: keyOf(AHEAD) }, Buffer.from('the first'));
    await resume(run, AHEAD, targetId, destination);
    await Promise.all(held.map(({ arrived }) => arrived));
    await writeVersions(AHEAD, WAITING - 1);
    await writeNewest(AHEAD);
    await Promise.all(held.map((request) => request.release()));
  }

  async function assertNewestShows(): Promise<void> {
    for (const bucket of [CLAIMED, AHEAD]) {
      const shown = await readObject(run.replica, bucket, keyOf(bucket));
      assert.deepEqual(shown?.body, newest, bucket);
    }
  }

  before(async () => {
    await run.start();
    proxy = await HoldingProxy.start(run.target.account.url);
    await run.source.stopAt(cutOff);
    await supersedeDisabled();
    await supersedeWaiting();
  });
  after(async () => {
    await proxy.close();
    await run.close();
  });

  it('is cut off after its first batch', async () => {
    const waiting = WAITING + 1 - BATCH;
    await until(
      async () => (await targetStatus(run.source.site, AHEAD)).queued === waiting,
      'the outcomes of the other keys',
    );
    await killAt(run, cutOff, { rows: DISABLED + 1 - BATCH + waiting, claims: 2 });
    await assertNewestShows();
  });

  it('is cut off again', async () => {
    // The first version comes back as the head of all that are left.
    const steps: Step[] = [cutOffOf(CLAIMED), { bucket: AHEAD, name: 'claim:after' }];
    await run.source.start(steps);
    const rows = DISABLED + 1 - 2 * BATCH + (WAITING + 1 - BATCH);
    await killAt(run, steps, { rows, claims: 2 });
    await assertNewestShows();
  });

  it('is completed by the third process', async () => {
    await run.source.start();
    await run.source.drained([CLAIMED, AHEAD]);
    await assertNewestShows();
    await assertReplica(run.source.s3, run.replica, CLAIMED);
    await assertReplica(run.source.s3, run.replica, AHEAD);
  });

  it('lets nothing be sent that the claimed version has superseded', async () => {
    assert.deepEqual(await historyOf(run.replica, CLAIMED), [etagOf(newest)]);
  });

  it('leaves nothing in the queue', () => run.assertNothingLeft());
});

function cutOffOf(bucket: string): Step {
  return { bucket, name: 'settleClaim:between' };
}

function keyOf(bucket: string): string {
  return `${bucket}/key`;
}
