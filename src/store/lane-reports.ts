/**
 * What lanes show, by bucket and target id, for as long as the target is listed. The process that
 * delivers writes reports; whoever changes a target, or is asked for a retry, sets the lane's *retry
 * mark* anew, and the lane begins from the report as it is then. A report that was made under another
 * mark is about a target that is no more, and is not stored.
 */
import type { StoredLaneReport } from '../model/generated/stored-lane-report.ts';
import { HEALTHY, type LaneReport } from '../model/lane-report.ts';
import type { LaneRef } from '../model/row.ts';
import { configurationOf } from './configurations.ts';
import type { Tx } from './tx.ts';

export function retryMarkOf({ tables }: Tx, { bucket, targetId }: LaneRef): number {
  return tables.laneReports.get([bucket.id, targetId])?.retryMark ?? 0;
}

export function reportOf({ tables }: Tx, { bucket, targetId }: LaneRef): LaneReport {
  return withoutMark(tables.laneReports.get([bucket.id, targetId]));
}

/**
 * Nothing where the target is not listed any longer.
 *
 * @param retryMark under which the report was made
 */
export function storeReport(tx: Tx, lane: LaneRef, retryMark: number, report: LaneReport): void {
  const { bucket, targetId } = lane;
  const isListed = configurationOf(tx, bucket).targets.some(({ id }) => id === targetId);
  if (!isListed || retryMarkOf(tx, lane) !== retryMark) return;
  tx.tables.laneReports.put([bucket.id, targetId], withMark(retryMark, report));
}

/** The targets were saved with other values: what their lanes said is about what is no more. */
export function renewReports(tx: Tx, bucketId: string, targetIds: readonly string[]): void {
  markAnew(tx, bucketId, targetIds, () => HEALTHY);
}

/** Somebody asks for a retry: how the lane is doing stays to be seen until the next request. */
export function askToTryAnew(tx: Tx, bucketId: string, targetIds: readonly string[]): void {
  markAnew(tx, bucketId, targetIds, (report) => ({ ...report, degraded: [] }));
}

export function removeReports(
  { tables }: Tx,
  bucketId: string,
  targetIds: readonly string[],
): void {
  for (const targetId of targetIds) tables.laneReports.remove([bucketId, targetId]);
}

/** One mark for all of them. */
function markAnew(
  { tables, counters }: Tx,
  bucketId: string,
  targetIds: readonly string[],
  change: (report: LaneReport) => LaneReport,
): void {
  if (targetIds.length === 0) return;
  const retryMark = counters.nextSequence();
  for (const targetId of targetIds) {
    const report = withoutMark(tables.laneReports.get([bucketId, targetId]));
    tables.laneReports.put([bucketId, targetId], withMark(retryMark, change(report)));
  }
  // Marks are read with the target, which is remembered until something changes.
  counters.noteChange();
}

function withMark(retryMark: number, report: LaneReport): StoredLaneReport {
  return { retryMark, ...report, degraded: [...report.degraded] };
}

function withoutMark(stored: StoredLaneReport | undefined): LaneReport {
  if (stored === undefined) return HEALTHY;
  const { retryMark, ...report } = stored;
  return report;
}
