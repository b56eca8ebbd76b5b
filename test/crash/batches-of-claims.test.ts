/**
 * A leader gives back hundreds of claims of a dead one in several transactions, and is killed between
 * two of them: the next one gives back the rest, and everything is sent once.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { historyOf, listEtags } from '../support/replicas.ts';
import { forEachAtOnce } from '../support/s3-sdk.ts';
import type { Step } from '../support/steps.ts';
import { BATCH, killAt, pause, resume } from './batches.ts';
import { put } from './changes.ts';
import { CrashRun } from './crash-run.ts';

describe('the recovery of hundreds of claims', () => {
  /** As many claims as a lane that has not delivered yet takes at once. */
  const OBJECTS = 32;
  /** For two batches and a little more: what the second process leaves takes two again. */
  const BUCKETS = Array.from({ length: 17 }, (_, n) => `claimed-${n}`);
  const ROWS = BUCKETS.length * OBJECTS;
  const claimed: readonly Step[] = BUCKETS.map((bucket) => ({ bucket, name: 'claim:after' }));
  const cutOff: readonly Step[] = [{ bucket: null, name: 'recoverClaims:between' }];
  const run = new CrashRun('crash-batches-of-claims');

  async function claimAll(bucket: string): Promise<void> {
    const { s3 } = run.source;
    const { targetId } = await pause(run, bucket);
    for (let n = 0; n < OBJECTS; n++) {
      await put({ s3, bucket, key: `${bucket}/${n}` }, Buffer.from(`${bucket} ${n}`));
    }
    await resume(run, bucket, targetId);
  }

  before(async () => {
    await run.start();
    await run.source.stopAt(claimed);
    await forEachAtOnce(BUCKETS, claimAll);
    await killAt(run, claimed, { rows: ROWS, claims: ROWS });
  });
  after(() => run.close());

  it('is cut off after its first batch', async () => {
    await run.source.start(cutOff);
    await killAt(run, cutOff, { rows: ROWS, claims: ROWS - BATCH });
  });

  it('is completed by the third process, which sends everything once', async () => {
    await run.source.start();
    await run.source.drained(BUCKETS);
    for (const bucket of BUCKETS) {
      const own = await listEtags(run.source.s3, bucket);
      assert.equal(own.size, OBJECTS);
      assert.deepEqual(await listEtags(run.replica, bucket), own);
      assert.equal((await historyOf(run.replica, bucket)).length, OBJECTS);
    }
  });

  it('leaves nothing in the queue', () => run.assertNothingLeft());
});
