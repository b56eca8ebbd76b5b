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
type Mark = Pick<StoredLaneReport, 'retryMark' | 'markedAt'>;

const NEVER: Mark = { retryMark: 0, markedAt: 0 };
/** Of a bucket: how often requests for a retry count. */
const MARK_INTERVAL_MS = 1_000;

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
  const { retryMark: present, markedAt } = tables.laneReports.get(key) ?? NEVER;
  if (present !== retryMark) return;
  tables.laneReports.put(key, withMark({ retryMark, markedAt }, report));
}

/** The targets were saved with other values: what their lanes said is about what is no more. */
export function renewReports(tables: Tables, bucketId: string, targetIds: readonly string[]): void {
  markAnew(tables, bucketId, targetIds, 0, () => HEALTHY);
}

/**
 * Somebody asks for a retry: how the lane is doing stays to be seen until the next request. What was
 * asked for less than a second ago is not asked for again: each time, an object may be sent.
 */
export function askToTryAnew(
  tables: Tables,
  bucketId: string,
  targetIds: readonly string[],
  now: number,
): void {
  const isRecent = (id: string): boolean => {
    const { markedAt } = tables.laneReports.get([bucketId, id]) ?? NEVER;
    return markedAt <= now && now - markedAt < MARK_INTERVAL_MS;
  };
  const marked = targetIds.filter((id) => !isRecent(id));
  markAnew(tables, bucketId, marked, now, (report) => ({ ...report, degraded: [] }));
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
  markedAt: number,
  change: (report: LaneReport) => LaneReport,
): void {
  if (targetIds.length === 0) return;
  const retryMark = tables.counters.nextSequence();
  for (const targetId of targetIds) {
    const report = withoutMark(tables.laneReports.get([bucketId, targetId]));
    tables.laneReports.put([bucketId, targetId], withMark({ retryMark, markedAt }, change(report)));
  }
  // Marks are read with the target, which is remembered until something changes.
  tables.counters.noteChange();
}

function withMark(mark: Mark, report: LaneReport): StoredLaneReport {
  return { ...mark, ...report, degraded: [...report.degraded] };
}

function withoutMark(stored: StoredLaneReport | undefined): LaneReport {
  if (stored === undefined) return HEALTHY;
  const { retryMark, markedAt, ...report } = stored;
  return report;
}
