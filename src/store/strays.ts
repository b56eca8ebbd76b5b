/**
 * Stray uploads: multipart uploads that a row carried and no row carries any longer, although they
 * were neither completed nor aborted. Whoever delivers aborts them later (engine/stray-uploads.ts), so
 * that no parts lie about at a target for ever. Those of a target that is no longer listed are
 * forgotten: nobody has credentials for it.
 *
 * All that write run inside a write transaction of the caller.
 */
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { StrayUpload } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import { placeOf } from '../model/target.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import { laneRefOf, type LaneNumbers } from './lanes.ts';
import { chainKey, endOf, keyNameOf, laneKey, laneOf } from './outbox-keys.ts';
import type { Tables } from './tables.ts';

export class Strays {
  readonly #strays: Tables['strays'];
  readonly #lanes: LaneNumbers;
  readonly #configurations: ConfigurationCache;

  constructor(
    { strays }: Pick<Tables, 'strays'>,
    lanes: LaneNumbers,
    configurations: ConfigurationCache,
  ) {
    this.#strays = strays;
    this.#lanes = lanes;
    this.#configurations = configurations;
  }

  /** The row goes, or goes on without the upload that it carries. */
  add({ lane, key, upload }: Readonly<StoredRow>): void {
    if (upload === null) return;
    const owner = this.#lanes.ownerOf(lane);
    const { targets } = this.#configurations.ofOwner(owner);
    const target = targets.find(({ id }) => id === owner.targetId);
    if (target === undefined) return;
    const { uploadId } = upload;
    this.#strays.put(strayKey(lane, { key, uploadId }), {
      key,
      uploadId,
      place: placeOf(target),
    });
  }

  /** Lanes that have some: one lookup each. */
  lanes(): LaneRef[] {
    const lanes: LaneRef[] = [];
    let start = laneKey(0);
    for (;;) {
      const [key] = this.#strays.keys({ start, limit: 1 });
      if (key === undefined) return lanes;
      lanes.push(laneRefOf(this.#lanes.ownerOf(laneOf(key))));
      start = endOf(laneKey(laneOf(key)));
    }
  }

  page(ref: LaneRef, after: StrayUpload | null, limit: number): StrayUpload[] {
    const lane = this.#lanes.find(ref);
    if (lane === undefined) return [];
    const start = after === null ? laneKey(lane) : strayKey(lane, after);
    const range = { start, end: endOf(laneKey(lane)), exclusiveStart: after !== null, limit };
    return Array.from(this.#strays.range(range), ({ value }) => value);
  }

  remove(ref: LaneRef, strays: readonly StrayUpload[]): void {
    const lane = this.#lanes.find(ref);
    if (lane === undefined) return;
    for (const stray of strays) this.#strays.remove(strayKey(lane, stray));
  }

  /** At most `limit` of the lane, whatever they are; returns how many went. */
  forget(lane: number, limit: number): number {
    const start = laneKey(lane);
    const keys = Array.from(this.#strays.keys({ start, end: endOf(start), limit }));
    for (const key of keys) this.#strays.remove(key);
    return keys.length;
  }
}

/** Nothing says that a service gives no two keys the same upload id. */
function strayKey(lane: number, { key, uploadId }: Omit<StrayUpload, 'place'>): Buffer {
  return chainKey(lane, keyNameOf(JSON.stringify([uploadId, key])));
}
