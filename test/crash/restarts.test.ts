/**
 * A server with everything that a crash can leave (announcements, claims, an upload, a resync that was
 * just begun) is started and killed again and again: at every step of taking over, of settling and
 * sweeping, and of the resync's pages. What the next start meets is what the last one had come to.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { historyOf, listEtags } from '../support/replicas.ts';
import { admin, replicate } from '../support/replication-site.ts';
import { createVersionedBucket, forEachAtOnce } from '../support/s3-sdk.ts';
import { describeStep, type Step, type StepName } from '../support/steps.ts';
import { put, type ChangeName } from './changes.ts';
import { CrashRun } from './crash-run.ts';
import type { Scenario } from './scenarios.ts';

const RESYNCED = 'resynced';
/** More than the 256 that are queued in one transaction. */
const KEYS = 300;

const left = [
  scenario('announced', 'overwrite', 'announce:after', { happened: false, acknowledged: false }),
  scenario('put', 'put', 'commit:before', { happened: true, acknowledged: false }),
  scenario('overwritten', 'overwrite', 'commit:before', { happened: true, acknowledged: false }),
  scenario('deleted', 'delete', 'commit:before', { happened: true, acknowledged: false }),
  scenario('claimed', 'put', 'claim:after', { happened: true, acknowledged: true }),
  scenario('sent', 'overwrite', 'settleClaim:before', { happened: true, acknowledged: true }),
  scenario('gone', 'delete', 'deleteObject:after', { happened: true, acknowledged: true }),
  scenario('uploading', 'large put', 'uploadPart:after', { happened: true, acknowledged: true }),
];

/** Where each further process is killed, and at which step of the resync it is then. */
const lives: readonly (readonly [StepName, StepName | null])[] = [
  ['acquireLease:after', null],
  ['recoverClaims:before', null],
  ['recoverClaims:after', null],
  ['clampSchedules:after', 'advanceResync:after'],
  ['leftIntents:after', 'advanceResync:before'],
  ['settle:before', 'advanceResync:after'],
  ['settle:after', null],
  ['settle:after#2', null],
  ['sweep:after', null],
];

const run = new CrashRun('crash-restarts');
let ruleId: string;

function scenario(
  bucket: string,
  change: ChangeName,
  step: StepName,
  state: Pick<Scenario, 'happened' | 'acknowledged'>,
): Scenario {
  const title = `${change}: ${step}`;
  return { title, bucket, change, steps: [step], ...state, unknownUploads: 0, isLate: false };
}

/** Objects that were there before the rule. */
async function setUpResync(): Promise<void> {
  const { s3, site } = run.source;
  await createVersionedBucket(s3, RESYNCED);
  await createVersionedBucket(run.replica, RESYNCED);
  const keys = Array.from({ length: KEYS }, (_, n) => `${RESYNCED}/${n}`);
  await forEachAtOnce(keys, (key) => put({ s3, bucket: RESYNCED, key }, Buffer.from(key)));
  ({ ruleId } = await replicate(site, run.target.account, RESYNCED));
}

function resync(method: string): ReturnType<typeof admin> {
  const path = `${RESYNCED}/replication/rules/${ruleId}/resync`;
  return admin(run.source.site, method, path);
}

describe('a server that is started after a crash', () => {
  before(async () => {
    await run.start();
    await run.setUp(left);
    await setUpResync();
    const ofResync: readonly Step[] = [
      { bucket: RESYNCED, name: 'startResync:after' },
      { bucket: RESYNCED, name: 'advanceResync:before' },
    ];
    await run.source.stopAt(ofResync);
    // The process dies before it answers.
    const asked = resync('POST').then(
      ({ status }) => assert.fail(`the resync was answered (${status})`),
      () => undefined,
    );
    await run.change(left, ofResync);
    await asked;
  });
  after(() => run.close());

  for (const [name, ofResync] of lives) {
    it(`is killed at ${name}${ofResync === null ? '' : ` and ${ofResync}`}`, async () => {
      const steps: Step[] = [{ bucket: null, name }];
      if (ofResync !== null) steps.push({ bucket: RESYNCED, name: ofResync });
      await run.source.start(steps);
      const missed = await run.source.missed(steps);
      await run.source.kill();
      assert.deepEqual(missed.map(describeStep), []);
    });
  }

  it('delivers everything in the end', async () => {
    await run.source.start();
    await run.source.drained([...left.map(({ bucket }) => bucket), RESYNCED]);
  });

  for (const scenario of left) {
    it(scenario.title, () => run.assertArrived(scenario));
  }

  it('completes the resync, with each key counted and sent once', async () => {
    const answer = await resync('GET');
    assert.equal(answer.status, 200, answer.text);
    const { state, scanned, enqueued } = answer.json as Record<string, unknown>;
    assert.deepEqual([state, scanned, enqueued], ['completed', KEYS, KEYS]);
    const own = await listEtags(run.source.s3, RESYNCED);
    assert.equal(own.size, KEYS);
    assert.deepEqual(await listEtags(run.replica, RESYNCED), own);
    assert.equal((await historyOf(run.replica, RESYNCED)).length, KEYS);
  });

  it('leaves nothing in the queue', () => run.assertNothingLeft());
});
