/**
 * Lanes by number. A lane's number stands for (bucket id, target id) in every key; it is given at the
 * first row and never again to another lane.
 */
import type { BucketRef } from '../host.ts';
import type { LaneRef } from '../model/row.ts';
import { Memo } from './memo.ts';
import type { LaneOwner, Tables } from './tables.ts';

/** Some hundred bytes each. */
const KNOWN_MAX = 10_000;

export class LaneNumbers {
  readonly #tables: Tables;
  readonly #owners: Memo<number, LaneOwner>;
  /** By bucket id and target id. */
  readonly #numbers: Memo<string, number>;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#owners = new Memo(tables.counters, KNOWN_MAX);
    this.#numbers = new Memo(tables.counters, KNOWN_MAX);
  }

  find({ bucket, targetId }: LaneRef): number | undefined {
    return this.#numbers.get(`${bucket.id}\n${targetId}`, () =>
      this.#tables.lanes.get([bucket.id, targetId]),
    );
  }

  /** Inside a write transaction. */
  findOrAdd(ref: LaneRef): number {
    const known = this.find(ref);
    if (known !== undefined) return known;
    const { bucket, targetId } = ref;
    const lane = this.#tables.counters.nextLane();
    this.#tables.lanes.put([bucket.id, targetId], lane);
    const owner = { bucketId: bucket.id, bucketName: bucket.name, targetId };
    this.#tables.laneOwners.put(lane, owner);
    return lane;
  }

  /** Numbers and target ids of the bucket's lanes; those of removed targets too, until they are swept. */
  of(bucket: BucketRef): { lane: number; targetId: string }[] {
    const found: { lane: number; targetId: string }[] = [];
    const start = [bucket.id] as unknown as [string, string];
    for (const { key, value } of this.#tables.lanes.range({ start })) {
      if (key[0] !== bucket.id) break;
      found.push({ lane: value, targetId: key[1] });
    }
    return found;
  }

  /** @throws Error where a row names a lane that is not there */
  ownerOf(lane: number): LaneOwner {
    const owner = this.#owners.get(lane, () => this.#tables.laneOwners.get(lane));
    if (owner === undefined) throw new Error(`Lane ${lane} has rows but no owner.`);
    return owner;
  }

  remove(lane: number, owner: LaneOwner): void {
    this.#tables.lanes.remove([owner.bucketId, owner.targetId]);
    this.#tables.laneOwners.remove(lane);
    this.#tables.counters.noteChange();
  }
}

export function laneRefOf({ bucketId, bucketName, targetId }: LaneOwner): LaneRef {
  return { bucket: { id: bucketId, name: bucketName }, targetId };
}
