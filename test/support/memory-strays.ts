/**
 * Stray uploads of the in-memory outbox, found by comparison: what some row carried before a change
 * and none carries after it is a stray, unless the change itself was the end of the upload.
 */
import type { StrayUpload } from '../../src/model/ports.ts';
import type { LaneRef, Row } from '../../src/model/row.ts';
import { isSameLane } from './memory-queue.ts';

interface Upload extends Pick<StrayUpload, 'key' | 'uploadId'> {
  readonly lane: LaneRef;
}

interface Stray extends Upload, StrayUpload {}

export class MemoryStrays {
  #strays: readonly Stray[] = [];

  copy(): MemoryStrays {
    const copy = new MemoryStrays();
    copy.#strays = this.#strays;
    return copy;
  }

  /**
   * @param placeOf where the lane's target is now; null where it is not listed
   * @param ended the upload that the change completed or aborted
   */
  note(
    before: readonly Upload[],
    after: readonly Upload[],
    placeOf: (lane: LaneRef) => string | null,
    ended: string | null,
  ): void {
    for (const { lane, key, uploadId } of before) {
      const isIt = (other: Upload): boolean =>
        isSameLane(other.lane, lane) && other.key === key && other.uploadId === uploadId;
      const place = placeOf(lane);
      if (uploadId === ended || after.some(isIt) || place === null) continue;
      const others = this.#strays.filter((stray) => !isIt(stray));
      this.#strays = [...others, { lane, key, uploadId, place }];
    }
  }

  lanes(): LaneRef[] {
    const lanes = new Map(this.#strays.map(({ lane }) => [JSON.stringify(lane), lane]));
    return [...lanes.values()];
  }

  page(lane: LaneRef, after: StrayUpload | null, limit: number): StrayUpload[] {
    return this.#strays
      .filter((stray) => isSameLane(stray.lane, lane))
      .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
      .filter((stray) => after === null || nameOf(stray) > nameOf(after))
      .slice(0, limit)
      .map(({ key, uploadId, place }) => ({ key, uploadId, place }));
  }

  /** Those of the lane, or only `some` of them. */
  forget(lane: LaneRef, some?: readonly StrayUpload[]): void {
    const names = some?.map(nameOf);
    this.#strays = this.#strays.filter(
      (stray) => !isSameLane(stray.lane, lane) || names?.includes(nameOf(stray)) === false,
    );
  }
}

/** Uploads that rows carry. */
export function uploadsOf(rows: Iterable<Row>): Upload[] {
  return [...rows].flatMap(({ lane, key, upload }) =>
    upload === null ? [] : [{ lane, key, uploadId: upload.uploadId }],
  );
}

function nameOf({ key, uploadId }: Pick<StrayUpload, 'key' | 'uploadId'>): string {
  return JSON.stringify([uploadId, key]);
}
