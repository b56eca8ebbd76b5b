/** What tests share that kill a process between two transactions of one operation of the store. */
import assert from 'node:assert/strict';
import { putTarget, replicate, targetAt, type Link } from '../support/replication-site.ts';
import { createVersionedBucket } from '../support/s3-sdk.ts';
import { describeStep, type Step } from '../support/steps.ts';
import type { CrashRun } from './crash-run.ts';

/** Rows that one transaction removes or gives back at most (BATCH_MAX of store/rows.ts). */
export const BATCH = 256;

/** Makes the bucket at both ends, with a rule and a target that is disabled. */
export async function pause(
  run: CrashRun,
  bucket: string,
  destination = run.target.account,
): Promise<Link> {
  await createVersionedBucket(run.source.s3, bucket);
  await createVersionedBucket(run.replica, bucket);
  return replicate(run.source.site, destination, bucket, { enabled: false });
}

export async function resume(
  run: CrashRun,
  bucket: string,
  targetId: string,
  destination = run.target.account,
): Promise<void> {
  await putTarget(run.source.site, bucket, { ...targetAt(destination, bucket), id: targetId });
}

/** Waits until the process is at the steps, kills it there, and looks at what it leaves. */
export async function killAt(
  run: CrashRun,
  steps: readonly Step[],
  { rows, claims }: { readonly rows: number; readonly claims: number },
): Promise<void> {
  const missed = await run.source.missed(steps);
  assert.deepEqual(missed.map(describeStep), []);
  await run.source.killAndCheck((tables) => {
    const counts = [tables.rows, tables.claims].map((table) => [...table.keys()].length);
    assert.deepEqual(counts, [rows, claims], 'rows and claims');
  });
}
