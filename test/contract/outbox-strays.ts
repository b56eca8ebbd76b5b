/** The outbox contract: uploads that no row carries any longer. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LINGER_MS } from '../../src/model/delivery.ts';
import type { ClaimOutcome, StrayUpload } from '../../src/model/queue.ts';
import type { Claim, UploadState } from '../../src/model/row.ts';
import { placeOf } from '../../src/model/target.ts';
import { ANY, targetDraft } from '../support/drafts.ts';
import {
  BUCKET,
  OutboxDriver,
  RECREATED,
  RULE,
  complete,
  due,
  fail,
  retry,
} from '../support/outbox-driver.ts';
import type { OpenOutbox } from '../support/outbox-fixture.ts';

const PLACE = placeOf(targetDraft(1));

export function strays(open: OpenOutbox): void {
  it('an upload that is completed, aborted or resumed leaves nothing', async (t) => {
    const d = await OutboxDriver.open(t, open);
    let claim = await begin(d, 'a', 1);
    for (const outcome of [
      retry(d.now, { upload: uploadOf(1) }),
      { kind: 'release', doubtUntil: null } as const,
    ]) {
      await d.settle(claim, outcome);
      claim = (await d.claim())!;
      assert.deepEqual(claim.row.upload, uploadOf(1));
    }
    await d.settle(claim, complete(1, 'upload-1'));
    const aborted = await begin(d, 'b', 2);
    await d.tenure.storeUpload(aborted, null);
    await d.settle(aborted, complete(2));
    assert.deepEqual(await straysOf(d), []);
    assert.deepEqual(await d.outbox.strayLanes(), []);
  });

  const ends: [name: string, outcome: ClaimOutcome][] = [
    ['it was delivered otherwise', complete(1)],
    ['another upload was completed', complete(1, 'upload-2')],
    ['its version is gone', retry(0, { asResolve: true })],
    ['the upload is of no use', retry(0)],
    ['it failed for good', fail()],
  ];
  for (const [name, outcome] of ends) {
    it(`one that a row loses is a stray: ${name}`, async (t) => {
      const d = await OutboxDriver.open(t, open);
      await d.settle(await begin(d, 'a', 1), outcome);
      assert.deepEqual(await straysOf(d), [stray('a', 1)]);
      assert.deepEqual(await d.outbox.strayLanes(), [d.lane()]);
      const [row] = await d.outbox.pageRows(BUCKET, {}, null, 9);
      assert.equal(row?.upload ?? null, null);
    });
  }

  it('also one in whose place another is stored', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const claim = await begin(d, 'a', 1);
    await d.tenure.storeUpload(claim, uploadOf(1));
    assert.deepEqual(await straysOf(d), []);
    await d.tenure.storeUpload(claim, uploadOf(2));
    assert.deepEqual(await straysOf(d), [stray('a', 1)]);
    await d.settle(claim, complete(1, 'upload-2'));
    assert.deepEqual(await straysOf(d), [stray('a', 1)]);
  });

  it('also those of rows that are superseded, or taken in by another', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settle(await begin(d, 'a', 1), retry(d.now + 1_000, { upload: uploadOf(1) }));
    await d.rules([{ n: RULE, enabled: false }, { n: 7 }]);
    await d.put('a', 2);
    await d.settle((await d.claim())!, complete(2));
    assert.deepEqual(await straysOf(d), [stray('a', 1)]);
    await d.settleIntent('b');
    await d.failOne();
    await d.settleIntent('b');
    const resolve = (await d.claim())!;
    await d.tenure.storeUpload(resolve, uploadOf(3));
    await d.settle(resolve, retry(d.now, { upload: uploadOf(3) }));
    assert.deepEqual(await straysOf(d), [stray('a', 1)]);
    await d.outbox.retryRows(BUCKET, { state: 'failed' }, d.now);
    assert.equal((await d.status()).pending, 1);
    assert.deepEqual(await straysOf(d), [stray('a', 1), stray('b', 3)]);
  });

  it('also those of refused rows that are overtaken', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const refused = retry(d.now + 1_000, { upload: uploadOf(1), refused: true });
    await d.settle(await begin(d, 'a', 1), refused);
    await d.put('a', 2);
    assert.deepEqual(await straysOf(d), [stray('a', 1)]);
    // The outcome may keep its upload or say that it is of no use: the row that carried it is gone.
    for (const n of [2, 3]) {
      const claim = (await d.claim())!;
      await d.tenure.storeUpload(claim, uploadOf(n));
      await d.put('a', n + 1);
      const upload = n === 2 ? uploadOf(n) : null;
      await d.settle(claim, retry(d.now, { upload, refused: true }));
    }
    assert.deepEqual(await straysOf(d), [stray('a', 1), stray('a', 2), stray('a', 3)]);
  });

  it('also those of rows whose rule was removed, whatever is left of them', async (t) => {
    const d = await OutboxDriver.open(t, open);
    for (const [key, n, doubtUntil] of [
      ['a', 1, null],
      ['b', 2, d.now + LINGER_MS],
    ] as const) {
      const outcome = retry(d.now, { upload: uploadOf(n), doubtUntil });
      await d.settle(await begin(d, key, n), outcome);
    }
    await d.rules([]);
    await d.sweep();
    assert.deepEqual(await straysOf(d), [stray('a', 1), stray('b', 2)]);
  });

  it('a retry that is asked for keeps the upload', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settle(await begin(d, 'a', 1), retry(d.now + 9_999, { upload: uploadOf(1) }));
    await d.outbox.retryRows(BUCKET, {}, d.now);
    assert.deepEqual((await d.claim())?.row.upload, uploadOf(1));
    assert.deepEqual(await straysOf(d), []);
  });

  it('they are told page by page, and forgotten by whoever leads', async (t) => {
    const d = await OutboxDriver.open(t, open);
    const all: StrayUpload[] = [];
    for (let n = 1; n <= 5; n++) {
      await d.settle(await begin(d, `key-${n}`, n), complete(n));
      all.push(stray(`key-${n}`, n));
    }
    const paged: StrayUpload[] = [];
    for (let after: StrayUpload | null = null; ;) {
      const page: readonly StrayUpload[] = await d.outbox.strayUploads(d.lane(), after, 2);
      paged.push(...page);
      after = page.at(-1) ?? null;
      if (after === null) break;
    }
    assert.deepEqual(sorted(paged), all);
    await d.tenure.forgetStrays(d.lane(), [all[1]!, all[3]!]);
    await d.tenure.forgetStrays(d.lane(), [all[1]!]);
    assert.deepEqual(await straysOf(d), [all[0], all[2], all[4]]);
    d.fixture.kill('self');
    const other = d.fixture.asProcess('other');
    const tenure = (await other.acquireLease())!;
    const lost = { code: 'LeaseLost' };
    await assert.rejects(d.tenure.forgetStrays(d.lane(), all), lost);
    await tenure.forgetStrays(d.lane(), all);
    assert.deepEqual(await straysOf(d), []);
  });

  it('they go with their target, not with its other values', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settle(await begin(d, 'a', 1), complete(1));
    const elsewhere = { n: 1, targetBucket: 'elsewhere' };
    await d.targets([elsewhere]);
    await d.settle(await begin(d, 'b', 2), complete(2));
    const moved = { ...stray('b', 2), place: placeOf(targetDraft(1, elsewhere)) };
    assert.deepEqual(await straysOf(d), [stray('a', 1), moved]);
    await d.sweep();
    assert.equal((await straysOf(d)).length, 2);
    await d.targets([]);
    await d.sweep();
    await d.targets([{ n: 1 }]);
    assert.deepEqual(await straysOf(d), []);
  });

  it('a bucket that was created again has none', async (t) => {
    const d = await OutboxDriver.open(t, open);
    await d.settle(await begin(d, 'a', 1), retry(d.now, { upload: uploadOf(1) }));
    await d.settle(await begin(d, 'b', 2), complete(2));
    await d.configurations.replaceTargets(RECREATED, [targetDraft(1)], ANY);
    await d.sweep();
    assert.deepEqual(await d.outbox.strayLanes(), []);
    assert.deepEqual(await straysOf(d), []);
    assert.deepEqual(await d.outbox.strayUploads({ ...d.lane(), bucket: RECREATED }, null, 9), []);
  });
}

/** A claim for a new version, whose upload has begun. */
async function begin(d: OutboxDriver, key: string, n: number): Promise<Claim> {
  await d.put(key, n);
  const claims = await d.tenure.claim(d.lane(), due(9, d.now));
  const claim = claims.find(({ row }) => row.key === key)!;
  for (const other of claims) {
    if (other !== claim) await d.settle(other, { kind: 'release', doubtUntil: null });
  }
  assert.equal(await d.tenure.storeUpload(claim, uploadOf(n)), true);
  return claim;
}

function uploadOf(n: number): UploadState {
  return { uploadId: `upload-${n}`, versionId: `v${n}`, order: n, partBytes: 8 };
}

function stray(key: string, n: number): StrayUpload {
  return { key, uploadId: `upload-${n}`, place: PLACE };
}

async function straysOf(d: OutboxDriver): Promise<StrayUpload[]> {
  return sorted(await d.outbox.strayUploads(d.lane(), null, 100));
}

function sorted(uploads: readonly StrayUpload[]): StrayUpload[] {
  return uploads.toSorted((a, b) => (a.uploadId < b.uploadId ? -1 : 1));
}
