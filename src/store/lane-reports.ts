/**
 * What lanes show, by bucket and target id, for as long as the target is listed. The process that
 * delivers writes reports; whoever changes a target, or is asked for a retry, sets the lane's *retry
 * mark* anew, and the lane begins from the report as it is then. A report that was made under another
 * mark is about a target that is no more, and is not stored.
 *
 * All that write run inside a write transaction of the caller.
 */
import type { StoredLaneReport } from '../model/generated/stored-lane-report.ts';
import { HEALTHY, type LaneReport } from '../model/lane-report.ts';
import type { LaneRef } from '../model/row.ts';
import type { Tables } from './tables.ts';

type Reports = Pick<Tables, 'laneReports'>;

export function retryMarkOf({ laneReports }: Reports, { bucket, targetId }: LaneRef): number {
  return laneReports.get([bucket.id, targetId])?.retryMark ?? 0;
}

export function reportOf({ laneReports }: Reports, { bucket, targetId }: LaneRef): LaneReport {
  return withoutMark(laneReports.get([bucket.id, targetId]));
}

/** @param retryMark under which the report was made */
export function storeReport(
  tables: Reports,
  lane: LaneRef,
  retryMark: number,
  report: LaneReport,
): void {
  const key: [string, string] = [lane.bucket.id, lane.targetId];
  if (retryMarkOf(tables, lane) !== retryMark) return;
  tables.laneReports.put(key, withMark(retryMark, report));
}

/** The targets were saved with other values: what their lanes said is about what is no more. */
export function renewReports(tables: Tables, bucketId: string, targetIds: readonly string[]): void {
  markAnew(tables, bucketId, targetIds, () => HEALTHY);
}

/** Somebody asks for a retry: how the lane is doing stays to be seen until the next request. */
export function askToTryAnew(tables: Tables, bucketId: string, targetIds: readonly string[]): void {
  markAnew(tables, bucketId, targetIds, (report) => ({ ...report, degraded: [] }));
}

export function removeReports(
  { laneReports }: Reports,
  bucketId: string,
  targetIds: readonly string[],
): void {
  for (const targetId of targetIds) laneReports.remove([bucketId, targetId]);
}

/** One mark for all of them. */
function markAnew(
  tables: Tables,
  bucketId: string,
  targetIds: readonly string[],
  change: (report: LaneReport) => LaneReport,
): void {
  if (targetIds.length === 0) return;
  const retryMark = tables.counters.nextSequence();
  for (const targetId of targetIds) {
    const report = withoutMark(tables.laneReports.get([bucketId, targetId]));
    tables.laneReports.put([bucketId, targetId], withMark(retryMark, change(report)));
  }
  // Marks are read with the target, which is remembered until something changes.
  tables.counters.noteChange();
}

function withMark(retryMark: number, report: LaneReport): StoredLaneReport {
  return { retryMark, ...report, degraded: [...report.degraded] };
}

function withoutMark(stored: StoredLaneReport | undefined): LaneReport {
  if (stored === undefined) return HEALTHY;
  const { retryMark, ...report } = stored;
  return report;
}
