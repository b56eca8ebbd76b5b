/** Resync jobs: the last run of each rule's resync, and an index of those that run. */
import type { BucketRef } from '../host.ts';
import type { StoredResync } from '../model/generated/stored-resync.ts';
import type { ResyncJob } from '../model/queue.ts';
import type { Rule } from '../model/rule.ts';
import type { Tables } from './tables.ts';

/** Inside a write transaction; replaces a run of the rule's earlier incarnation. */
export function beginResync(
  tables: Tables,
  bucket: BucketRef,
  rule: Pick<Rule, 'id' | 'incarnation'>,
  now: number,
): ResyncJob {
  return putResync(tables, {
    run: tables.counters.nextSequence(),
    bucket: { id: bucket.id, name: bucket.name },
    ruleId: rule.id,
    incarnation: rule.incarnation,
    state: 'running',
    cursor: null,
    scanned: 0,
    enqueued: 0,
    startedAt: now,
    finishedAt: null,
  });
}

export function putResync({ resyncs, running }: Tables, job: ResyncJob): ResyncJob {
  const { bucket, ruleId, ...rest } = job;
  const stored: StoredResync = { ...rest, bucketName: bucket.name };
  resyncs.put([bucket.id, ruleId], stored);
  if (job.state === 'running') running.put([bucket.id, ruleId], true);
  else running.remove([bucket.id, ruleId]);
  return job;
}

/** Null where the rule never had one, or came back since under its old id. */
export function findResync(
  { resyncs }: Tables,
  bucket: BucketRef,
  rule: Pick<Rule, 'id' | 'incarnation'> | undefined,
): ResyncJob | null {
  if (rule === undefined) return null;
  const stored = resyncs.get([bucket.id, rule.id]);
  return stored?.incarnation === rule.incarnation ? jobOf(bucket.id, rule.id, stored) : null;
}

export function removeResync(
  { resyncs, running }: Tables,
  bucketId: string,
  { id, incarnation }: Rule,
): void {
  if (resyncs.get([bucketId, id])?.incarnation !== incarnation) return;
  resyncs.remove([bucketId, id]);
  running.remove([bucketId, id]);
}

export function runningResyncs({ resyncs, running }: Tables): ResyncJob[] {
  const jobs: ResyncJob[] = [];
  for (const [bucketId, ruleId] of running.keys()) {
    const stored = resyncs.get([bucketId, ruleId]);
    if (stored !== undefined) jobs.push(jobOf(bucketId, ruleId, stored));
  }
  return jobs;
}

function jobOf(bucketId: string, ruleId: string, stored: StoredResync): ResyncJob {
  const { bucketName, ...rest } = stored;
  return { ...rest, bucket: { id: bucketId, name: bucketName }, ruleId };
}
