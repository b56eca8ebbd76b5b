/**
 * Lanes by number. A lane's number stands for (bucket id, target id) in every key; it is given at the
 * first row and never again to another lane.
 */
import type { BucketRef } from '../host.ts';
import type { LaneRef } from '../model/row.ts';
import type { LaneOwner } from './tables.ts';
import type { Tx } from './tx.ts';

export function findLane(tx: Tx, { bucket, targetId }: LaneRef): number | undefined {
  return tx.laneNumbers.get(`${bucket.id}\n${targetId}`, () =>
    tx.tables.lanes.get([bucket.id, targetId]),
  );
}

export function findOrAddLane(tx: Tx, ref: LaneRef): number {
  const known = findLane(tx, ref);
  if (known !== undefined) return known;
  const { bucket, targetId } = ref;
  const lane = tx.counters.nextLane();
  tx.tables.lanes.put([bucket.id, targetId], lane);
  const owner = { bucketId: bucket.id, bucketName: bucket.name, targetId };
  tx.tables.laneOwners.put(lane, owner);
  return lane;
}

/** Numbers and target ids of the bucket's lanes; those of removed targets too, until they are swept. */
export function lanesOf({ tables }: Tx, bucket: BucketRef): { lane: number; targetId: string }[] {
  const found: { lane: number; targetId: string }[] = [];
  const start = [bucket.id] as unknown as [string, string];
  for (const { key, value } of tables.lanes.range({ start })) {
    if (key[0] !== bucket.id) break;
    found.push({ lane: value, targetId: key[1] });
  }
  return found;
}

/** @throws Error where a row names a lane that is not there */
export function ownerOf(tx: Tx, lane: number): LaneOwner {
  const owner = tx.laneOwners.get(lane, () => tx.tables.laneOwners.get(lane));
  if (owner === undefined) throw new Error(`Lane ${lane} has rows but no owner.`);
  return owner;
}

export function removeLane({ tables, counters }: Tx, lane: number, owner: LaneOwner): void {
  tables.lanes.remove([owner.bucketId, owner.targetId]);
  tables.laneOwners.remove(lane);
  counters.noteChange();
}

export function laneRefOf({ bucketId, bucketName, targetId }: LaneOwner): LaneRef {
  return { bucket: { id: bucketId, name: bucketName }, targetId };
}
