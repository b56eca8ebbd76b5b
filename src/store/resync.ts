/** Resync jobs as they begin, move and end: the last run of each rule's, and an index of those that run. */
import type { BucketRef } from '../host.ts';
import type { StoredResync } from '../model/generated/stored-resync.ts';
import type { ResyncJob } from '../model/queue.ts';
import type { Rule } from '../model/rule.ts';
import { configurationOf } from './configurations.ts';
import { enqueue } from './enqueue.ts';
import { clearGap } from './gaps.ts';
import { tryTargetsAnew } from './retry.ts';
import type { Tx } from './tx.ts';

/** What was scanned since the last step. */
export interface ResyncStep {
  readonly keys: readonly string[];
  /** Null leaves the cursor where it is. */
  readonly cursor: string | null;
  readonly done: boolean;
}

/** Null where one of the rule runs, or the rule does not exist or is disabled. */
export function startResync(
  tx: Tx,
  bucket: BucketRef,
  ruleId: string,
  now: number,
): ResyncJob | null {
  const rule = ruleOf(tx, bucket, ruleId);
  if (rule?.enabled !== true) return null;
  if (findResync(tx, bucket, rule)?.state === 'running') return null;
  const job = beginResync(tx, bucket, rule, now);
  tryTargetsAnew(tx, bucket, [rule.targetId]);
  return job;
}

/** Replaces a run of the rule's earlier incarnation. */
export function beginResync(
  tx: Tx,
  bucket: BucketRef,
  rule: Pick<Rule, 'id' | 'incarnation'>,
  now: number,
): ResyncJob {
  return putResync(tx, {
    run: tx.counters.nextSequence(),
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

/** Null where the rule never had one, or came back since under its old id. */
export function readResync(tx: Tx, bucket: BucketRef, ruleId: string): ResyncJob | null {
  return findResync(tx, bucket, ruleOf(tx, bucket, ruleId));
}

export function cancelResync(tx: Tx, bucket: BucketRef, ruleId: string, now: number): boolean {
  const job = readResync(tx, bucket, ruleId);
  if (job?.state !== 'running') return false;
  putResync(tx, { ...job, state: 'cancelled', finishedAt: now });
  return true;
}

export function runningResyncs({ tables }: Tx): ResyncJob[] {
  const jobs: ResyncJob[] = [];
  for (const [bucketId, ruleId] of tables.running.keys()) {
    const stored = tables.resyncs.get([bucketId, ruleId]);
    if (stored !== undefined) jobs.push(jobOf(bucketId, ruleId, stored));
  }
  return jobs;
}

export function advanceResync(
  tx: Tx,
  { bucket, ruleId, run }: ResyncJob,
  step: ResyncStep,
  now: number,
): ResyncJob | null {
  const rule = ruleOf(tx, bucket, ruleId);
  const stored = findResync(tx, bucket, rule);
  if (rule === undefined || stored?.run !== run) return null;
  if (stored.state !== 'running') return stored;
  if (!rule.enabled) return putResync(tx, { ...stored, state: 'cancelled', finishedAt: now });
  const enqueued = step.keys.filter((key) => enqueueKey(tx, bucket, rule, key)).length;
  if (step.done) clearGap(tx, bucket, rule.incarnation, run);
  return putResync(tx, {
    ...stored,
    cursor: step.cursor ?? stored.cursor,
    scanned: stored.scanned + step.keys.length,
    enqueued: stored.enqueued + enqueued,
    ...(step.done ? { state: 'completed', finishedAt: now } : {}),
  });
}

export function removeResync({ tables }: Tx, bucketId: string, { id, incarnation }: Rule): void {
  if (tables.resyncs.get([bucketId, id])?.incarnation !== incarnation) return;
  tables.resyncs.remove([bucketId, id]);
  tables.running.remove([bucketId, id]);
}

function ruleOf(tx: Tx, bucket: BucketRef, ruleId: string): Rule | undefined {
  return configurationOf(tx, bucket).rules.find(({ id }) => id === ruleId);
}

function findResync(
  { tables }: Tx,
  bucket: BucketRef,
  rule: Pick<Rule, 'id' | 'incarnation'> | undefined,
): ResyncJob | null {
  if (rule === undefined) return null;
  const stored = tables.resyncs.get([bucket.id, rule.id]);
  return stored?.incarnation === rule.incarnation ? jobOf(bucket.id, rule.id, stored) : null;
}

function putResync({ tables }: Tx, job: ResyncJob): ResyncJob {
  const { bucket, ruleId, ...rest } = job;
  const stored: StoredResync = { ...rest, bucketName: bucket.name };
  tables.resyncs.put([bucket.id, ruleId], stored);
  if (job.state === 'running') tables.running.put([bucket.id, ruleId], true);
  else tables.running.remove([bucket.id, ruleId]);
  return job;
}

function jobOf(bucketId: string, ruleId: string, stored: StoredResync): ResyncJob {
  const { bucketName, ...rest } = stored;
  return { ...rest, bucket: { id: bucketId, name: bucketName }, ruleId };
}

function enqueueKey(
  tx: Tx,
  bucket: BucketRef,
  { incarnation, targetId, prefix }: Rule,
  key: string,
): boolean {
  if (!key.startsWith(prefix)) return false;
  const delivery = { key, operation: 'put', version: null } as const;
  return enqueue(tx, { bucket, targetId }, [incarnation], delivery) !== null;
}
