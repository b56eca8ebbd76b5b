/**
 * Lanes by number. A lane's number stands for (bucket id, target id) in every key; it is given at the
 * first row and never again to another lane.
 */
import type { BucketRef } from '../host.ts';
import type { LaneRef } from '../model/row.ts';
import { nextLane } from './counters.ts';
import type { LaneOwner, Tables } from './tables.ts';

export function findLane({ lanes }: Tables, lane: LaneRef): number | undefined {
  return lanes.get([lane.bucket.id, lane.targetId]);
}

/** Inside a write transaction. */
export function findOrAddLane(tables: Tables, { bucket, targetId }: LaneRef): number {
  const known = tables.lanes.get([bucket.id, targetId]);
  if (known !== undefined) return known;
  const lane = nextLane(tables);
  tables.lanes.putSync([bucket.id, targetId], lane);
  tables.laneOwners.putSync(lane, { bucketId: bucket.id, bucketName: bucket.name, targetId });
  return lane;
}

/** Numbers and target ids of the bucket's lanes; those of removed targets too, until they are swept. */
export function lanesOf(
  { lanes }: Tables,
  bucket: BucketRef,
): { lane: number; targetId: string }[] {
  const found: { lane: number; targetId: string }[] = [];
  const start = [bucket.id] as unknown as [string, string];
  for (const { key, value } of lanes.getRange({ start })) {
    if (key[0] !== bucket.id) break;
    found.push({ lane: value, targetId: key[1] });
  }
  return found;
}

export function ownerOf({ laneOwners }: Tables, lane: number): LaneOwner {
  const owner = laneOwners.get(lane);
  if (owner === undefined) throw new Error(`Lane ${lane} has rows but no owner.`);
  return owner;
}

export function laneRefOf({ bucketId, bucketName, targetId }: LaneOwner): LaneRef {
  return { bucket: { id: bucketId, name: bucketName }, targetId };
}

export function removeLane(tables: Tables, lane: number, owner: LaneOwner): void {
  tables.lanes.removeSync([owner.bucketId, owner.targetId]);
  tables.laneOwners.removeSync(lane);
}
