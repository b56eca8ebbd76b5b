/** Resync jobs as they begin, move and end; each method runs inside a write transaction. */
import type { BucketRef } from '../host.ts';
import type { ResyncJob } from '../model/queue.ts';
import type { Rule } from '../model/rule.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import type { Enqueuer } from './enqueue.ts';
import { clearGap } from './gaps.ts';
import { beginResync, findResync, putResync } from './resyncs.ts';
import type { Tables } from './tables.ts';

/** What was scanned since the last step. */
export interface ResyncStep {
  readonly keys: readonly string[];
  /** Null leaves the cursor where it is. */
  readonly cursor: string | null;
  readonly done: boolean;
}

export class ResyncProgress {
  readonly #tables: Tables;
  readonly #configurations: ConfigurationCache;
  readonly #enqueuer: Enqueuer;

  constructor(tables: Tables, configurations: ConfigurationCache, enqueuer: Enqueuer) {
    this.#tables = tables;
    this.#configurations = configurations;
    this.#enqueuer = enqueuer;
  }

  ruleOf(bucket: BucketRef, ruleId: string): Rule | undefined {
    return this.#configurations.of(bucket).rules.find(({ id }) => id === ruleId);
  }

  start(bucket: BucketRef, ruleId: string, now: number): ResyncJob | null {
    const rule = this.ruleOf(bucket, ruleId);
    if (rule?.enabled !== true) return null;
    if (findResync(this.#tables, bucket, rule)?.state === 'running') return null;
    return beginResync(this.#tables, bucket, rule, now);
  }

  cancel(bucket: BucketRef, ruleId: string, now: number): boolean {
    const job = findResync(this.#tables, bucket, this.ruleOf(bucket, ruleId));
    if (job?.state !== 'running') return false;
    putResync(this.#tables, { ...job, state: 'cancelled', finishedAt: now });
    return true;
  }

  advance({ bucket, ruleId, run }: ResyncJob, step: ResyncStep, now: number): ResyncJob | null {
    const rule = this.ruleOf(bucket, ruleId);
    const stored = findResync(this.#tables, bucket, rule);
    if (rule === undefined || stored?.run !== run) return null;
    if (stored.state !== 'running') return stored;
    if (!rule.enabled) {
      return putResync(this.#tables, { ...stored, state: 'cancelled', finishedAt: now });
    }
    const enqueued = step.keys.filter((key) => this.#enqueue(bucket, rule, key)).length;
    if (step.done) clearGap(this.#tables, bucket, rule.incarnation, run);
    return putResync(this.#tables, {
      ...stored,
      cursor: step.cursor ?? stored.cursor,
      scanned: stored.scanned + step.keys.length,
      enqueued: stored.enqueued + enqueued,
      ...(step.done ? { state: 'completed', finishedAt: now } : {}),
    });
  }

  #enqueue(bucket: BucketRef, { incarnation, targetId, prefix }: Rule, key: string): boolean {
    if (!key.startsWith(prefix)) return false;
    const delivery = { key, operation: 'put', version: null } as const;
    return this.#enqueuer.enqueue({ bucket, targetId }, [incarnation], delivery) !== null;
  }
}
