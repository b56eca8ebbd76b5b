/** Gaps and resync jobs of the in-memory outbox. */
import type { BucketRef } from '../../src/host.ts';
import { consequencesOf } from '../../src/model/consequences.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import type { ResyncJob, RuleGap } from '../../src/model/ports.ts';
import type { Rule } from '../../src/model/rule.ts';

interface Gap extends RuleGap {
  readonly bucketId: string;
  /** When, in the order of the environment, the last event was dropped. */
  readonly last: number;
}

export class MemoryGapsAndJobs {
  #gaps: readonly Gap[] = [];
  #jobs: readonly ResyncJob[] = [];

  copy(): MemoryGapsAndJobs {
    const copy = new MemoryGapsAndJobs();
    copy.#gaps = this.#gaps;
    copy.#jobs = this.#jobs;
    return copy;
  }

  drop(
    bucket: Pick<BucketRef, 'id'>,
    incarnation: number,
    deleteLost: boolean,
    now: number,
    last: number,
  ): void {
    const isIt = (gap: Gap): boolean =>
      gap.bucketId === bucket.id && gap.incarnation === incarnation;
    const known = this.#gaps.find(isIt);
    const gap: Gap = {
      bucketId: bucket.id,
      incarnation,
      gapSince: known?.gapSince ?? now,
      deleteLost: deleteLost || (known?.deleteLost ?? false),
      last,
    };
    this.#gaps = [...this.#gaps.filter((other) => !isIt(other)), gap];
  }

  gapsOf(bucket: BucketRef, rules: readonly Rule[]): RuleGap[] {
    return this.#gaps
      .filter(
        (gap) =>
          gap.bucketId === bucket.id &&
          rules.some(({ incarnation }) => incarnation === gap.incarnation),
      )
      .map(({ incarnation, gapSince, deleteLost }) => ({ incarnation, gapSince, deleteLost }));
  }

  /** Where nothing was dropped since the run began. */
  clear(bucket: BucketRef, incarnation: number, run: number): void {
    this.#gaps = this.#gaps.filter(
      (gap) =>
        gap.bucketId !== bucket.id ||
        gap.incarnation !== incarnation ||
        gap.deleteLost ||
        gap.last > run,
    );
  }

  begin(bucket: BucketRef, rule: Rule, run: number, now: number): ResyncJob {
    return this.put({
      run,
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

  put(job: ResyncJob): ResyncJob {
    const others = this.#jobs.filter(
      ({ bucket, ruleId }) => bucket.id !== job.bucket.id || ruleId !== job.ruleId,
    );
    this.#jobs = [...others, job];
    return job;
  }

  find(bucket: BucketRef, ruleId: string): ResyncJob | undefined {
    return this.#jobs.find((job) => job.bucket.id === bucket.id && job.ruleId === ruleId);
  }

  running(): ResyncJob[] {
    return this.#jobs.filter(({ state }) => state === 'running');
  }

  change(
    bucketName: string,
    before: StoredConfiguration | undefined,
    after: StoredConfiguration | undefined,
    now: number,
    next: () => number,
  ): void {
    if (before !== undefined && before.bucketId !== after?.bucketId) {
      this.#gaps = this.#gaps.filter(({ bucketId }) => bucketId !== before.bucketId);
      this.#jobs = this.#jobs.filter(({ bucket }) => bucket.id !== before.bucketId);
    }
    if (after === undefined) return;
    const same = before?.bucketId === after.bucketId ? before : { targets: [], rules: [] };
    const bucket = { id: after.bucketId, name: bucketName };
    const { removed, gaps, resyncs } = consequencesOf(same, after);
    for (const { id, incarnation } of removed) {
      this.#gaps = this.#gaps.filter(
        (gap) => gap.bucketId !== bucket.id || gap.incarnation !== incarnation,
      );
      this.#jobs = this.#jobs.filter(
        (job) =>
          job.bucket.id !== bucket.id || job.ruleId !== id || job.incarnation !== incarnation,
      );
    }
    for (const { incarnation } of gaps) this.drop(bucket, incarnation, false, now, next());
    for (const rule of resyncs) this.begin(bucket, rule, next(), now);
  }
}
