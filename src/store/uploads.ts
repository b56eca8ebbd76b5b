/**
 * Stray uploads: multipart uploads that a row carried and no row carries any longer, although they
 * were neither completed nor aborted. Whoever delivers aborts them later (engine/stray-uploads.ts), so
 * that no parts lie about at a target for ever. Those of a target that is no longer listed are
 * forgotten: nobody has credentials for it.
 */
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { StrayUpload } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import { placeOf } from '../model/target.ts';
import { configurationOfOwner } from './configurations.ts';
import { findLane, laneRefOf, ownerOf } from './lane-numbers.ts';
import { chainKey, endOf, keyNameOf, laneKey, laneOf } from './outbox-keys.ts';
import type { Tx } from './tx.ts';

/** The row goes, or goes on without the upload that it carries. */
export function addStray(tx: Tx, { lane, key, upload }: Readonly<StoredRow>): void {
  if (upload === null) return;
  const owner = ownerOf(tx, lane);
  const { targets } = configurationOfOwner(tx, owner);
  const target = targets.find(({ id }) => id === owner.targetId);
  if (target === undefined) return;
  const { uploadId } = upload;
  const place = placeOf(target);
  tx.tables.strays.put(strayKey(lane, { key, uploadId }), { key, uploadId, place });
}

/** Lanes that have some: one lookup each. */
export function strayLanes(tx: Tx): LaneRef[] {
  const lanes: LaneRef[] = [];
  let start = laneKey(0);
  for (;;) {
    const [key] = tx.tables.strays.keys({ start, limit: 1 });
    if (key === undefined) return lanes;
    lanes.push(laneRefOf(ownerOf(tx, laneOf(key))));
    start = endOf(laneKey(laneOf(key)));
  }
}

export function strayUploads(
  tx: Tx,
  ref: LaneRef,
  after: StrayUpload | null,
  limit: number,
): StrayUpload[] {
  const lane = findLane(tx, ref);
  if (lane === undefined) return [];
  const start = after === null ? laneKey(lane) : strayKey(lane, after);
  const range = { start, end: endOf(laneKey(lane)), exclusiveStart: after !== null, limit };
  return Array.from(tx.tables.strays.range(range), ({ value }) => value);
}

export function forgetStrays(tx: Tx, ref: LaneRef, strays: readonly StrayUpload[]): void {
  const lane = findLane(tx, ref);
  if (lane === undefined) return;
  for (const stray of strays) tx.tables.strays.remove(strayKey(lane, stray));
}

/** At most `limit` of the lane, whatever they are; returns how many went. */
export function forgetStraysOfLane({ tables }: Tx, lane: number, limit: number): number {
  const start = laneKey(lane);
  const keys = Array.from(tables.strays.keys({ start, end: endOf(start), limit }));
  for (const key of keys) tables.strays.remove(key);
  return keys.length;
}

/** Nothing says that a service gives no two keys the same upload id. */
function strayKey(lane: number, { key, uploadId }: Omit<StrayUpload, 'place'>): Buffer {
  return chainKey(lane, keyNameOf(JSON.stringify([uploadId, key])));
}
