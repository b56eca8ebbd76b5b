/** What the lanes of the in-memory outbox show. */
import { HEALTHY, type LaneReport } from '../../src/model/lane-report.ts';
import { consequencesOf } from '../../src/model/consequences.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import type { LaneRef } from '../../src/model/row.ts';
import type { Target } from '../../src/model/target.ts';

interface Marked {
  readonly retryMark: number;
  readonly report: LaneReport;
}

const NEVER: Marked = { retryMark: 0, report: HEALTHY };

export class MemoryLaneReports {
  /** By bucket id and target id. */
  #lanes = new Map<string, Marked>();

  copy(): MemoryLaneReports {
    const copy = new MemoryLaneReports();
    copy.#lanes = new Map(this.#lanes);
    return copy;
  }

  of(lane: LaneRef): Marked {
    return this.#lanes.get(nameOf(lane.bucket.id, lane.targetId)) ?? NEVER;
  }

  store({ bucket, targetId }: LaneRef, retryMark: number, report: LaneReport): void {
    if (this.of({ bucket, targetId }).retryMark !== retryMark) return;
    this.#lanes.set(nameOf(bucket.id, targetId), { retryMark, report });
  }

  change(
    before: StoredConfiguration | undefined,
    after: StoredConfiguration | undefined,
    next: () => number,
  ): void {
    const isSame = before?.bucketId === after?.bucketId;
    for (const { id } of isSame ? [] : (before?.targets ?? [])) {
      this.#lanes.delete(nameOf(before?.bucketId ?? '', id));
    }
    if (after === undefined) return;
    const previous = isSame ? before : undefined;
    const { left, renewed } = consequencesOf(previous ?? { targets: [], rules: [] }, after);
    for (const { id } of left) this.#lanes.delete(nameOf(after.bucketId, id));
    this.#mark(after.bucketId, renewed, next, () => HEALTHY);
  }

  askToTryAnew(bucketId: string, targets: readonly Pick<Target, 'id'>[], next: () => number): void {
    this.#mark(bucketId, targets, next, (report) => ({ ...report, degraded: [] }));
  }

  #mark(
    bucketId: string,
    targets: readonly Pick<Target, 'id'>[],
    next: () => number,
    change: (report: LaneReport) => LaneReport,
  ): void {
    const retryMark = targets.length === 0 ? 0 : next();
    for (const { id } of targets) {
      const name = nameOf(bucketId, id);
      this.#lanes.set(name, {
        retryMark,
        report: change((this.#lanes.get(name) ?? NEVER).report),
      });
    }
  }
}

function nameOf(bucketId: string, targetId: string): string {
  return JSON.stringify([bucketId, targetId]);
}
