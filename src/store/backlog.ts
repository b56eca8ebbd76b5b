/**
 * The limit of a bucket's rows. They are counted once for many: after a count, a process adds at most a
 * sixteenth of the room that was left, so that sixteen processes together stay below the limit, and at
 * most 1,024 rows.
 */
import type { BucketRef } from '../host.ts';
import { lanesOf } from './lane-numbers.ts';
import type { Tx } from './tx.ts';

const SHARES = 16;
const UNCOUNTED_MAX = 1_024;
const BUCKETS_MAX = 10_000;

/** Whether the bucket may have one more row; takes it as added. */
export function hasRoom(tx: Tx, bucket: BucketRef): boolean {
  const { uncounted, backlogMax } = tx;
  const left = uncounted.get(bucket.id) ?? 0;
  if (left > 0) {
    uncounted.set(bucket.id, left - 1);
    return true;
  }
  const room = backlogMax - countRows(tx, bucket);
  if (room <= 0) return false;
  const [oldest] = uncounted.keys();
  if (uncounted.size >= BUCKETS_MAX && oldest !== undefined) uncounted.delete(oldest);
  uncounted.set(bucket.id, Math.min(Math.floor(room / SHARES), UNCOUNTED_MAX));
  return true;
}

function countRows(tx: Tx, bucket: BucketRef): number {
  let rows = 0;
  for (const { lane } of lanesOf(tx, bucket)) {
    for (const { pending, verifying, failed } of tx.counts.of(lane)) {
      rows += pending + verifying + failed;
    }
  }
  return rows;
}
