/**
 * What lanes show, by bucket and target id, for as long as the target is listed. The process that
 * delivers writes reports; whoever changes a target, or is asked for a retry, sets the lane's *retry
 * mark* anew, and the lane begins from the report as it is then. A report that was made under another
 * mark is about a target that is no more, and is not stored.
 *
 * All that write run inside a write transaction of the caller.
 */
import { HEALTHY, type LaneReport } from '../model/lane-report.ts';
import type { LaneRef } from '../model/row.ts';
import type { Tables } from './tables.ts';

type Reports = Pick<Tables, 'laneReports'>;

export function retryMarkOf({ laneReports }: Reports, { bucket, targetId }: LaneRef): number {
  return laneReports.get([bucket.id, targetId])?.retryMark ?? 0;
}

export function reportOf({ laneReports }: Reports, { bucket, targetId }: LaneRef): LaneReport {
  const stored = laneReports.get([bucket.id, targetId]);
  if (stored === undefined) return HEALTHY;
  const { retryMark, ...report } = stored;
  return report;
}

/** @param retryMark under which the report was made */
export function storeReport(
  tables: Reports,
  lane: LaneRef,
  retryMark: number,
  { breaker, retryAt, lastError, degraded }: LaneReport,
): void {
  if (retryMarkOf(tables, lane) !== retryMark) return;
  tables.laneReports.putSync([lane.bucket.id, lane.targetId], {
    retryMark,
    breaker,
    retryAt,
    lastError,
    degraded: [...degraded],
  });
}

/** The targets were saved with other values: what their lanes said is about what is no more. */
export function renewReports(tables: Tables, bucketId: string, targetIds: readonly string[]): void {
  if (targetIds.length === 0) return;
  const retryMark = tables.counters.nextSequence();
  for (const targetId of targetIds) {
    tables.laneReports.putSync([bucketId, targetId], { retryMark, ...HEALTHY, degraded: [] });
  }
}

export function removeReports(
  { laneReports }: Reports,
  bucketId: string,
  targetIds: readonly string[],
): void {
  for (const targetId of targetIds) laneReports.removeSync([bucketId, targetId]);
}
