/**
 * What happens to rows inside one transaction of the in-memory outbox: from events to rows, and from
 * outcomes to what becomes of them.
 */
import type { AnnouncedWrite, BucketRef, CommittedWrite } from '../../src/host.ts';
import type { Configuration } from '../../src/model/configuration.ts';
import { LINGER_MS } from '../../src/model/delivery.ts';
import { droppedBy, judgeRuleset, matchEvent, mergeRulesets } from '../../src/model/match.ts';
import type { ClaimOutcome, ResyncJob, RowFilter } from '../../src/model/ports.ts';
import { ORDER_LAST, type LaneRef, type Row } from '../../src/model/row.ts';
import { placeOf } from '../../src/model/target.ts';
import { MemoryGapsAndJobs } from './memory-gaps-and-jobs.ts';
import { MemoryLaneReports } from './memory-lane-reports.ts';
import { MemoryStrays, uploadsOf } from './memory-strays.ts';
import {
  absorb,
  asResolve,
  chainOf,
  HOUR_MS,
  isSameLane,
  MemoryQueue,
  type MemoryRow,
} from './memory-queue.ts';

const FAILED_KEPT_MS = 7 * 24 * HOUR_MS;

export interface MemoryRowsOptions {
  readonly now: () => number;
  readonly isDiskLow: () => boolean;
  readonly backlogMax: number;
  readonly uptimeMs: () => number;
  readonly bootedForMs: () => number;
  /** As it is committed now; the empty one where the bucket has another id. */
  readonly configuration: (bucket: BucketRef) => Configuration;
}

export class MemoryRows {
  readonly #options: MemoryRowsOptions;
  queue: MemoryQueue;
  gapsAndJobs = new MemoryGapsAndJobs();
  reports = new MemoryLaneReports();
  strays = new MemoryStrays();
  /** Which start of the operating system this is. */
  boot = 1;
  #sequence = 0;

  constructor(options: MemoryRowsOptions) {
    this.#options = options;
    this.queue = new MemoryQueue((row) => this.judge(row) === 'active', options.now);
  }

  copy(): MemoryRows {
    const copy = new MemoryRows(this.#options);
    copy.queue = this.queue.copy();
    copy.gapsAndJobs = this.gapsAndJobs.copy();
    copy.reports = this.reports.copy();
    copy.strays = this.strays.copy();
    copy.boot = this.boot;
    copy.#sequence = this.#sequence;
    return copy;
  }

  /** Does what may take uploads off their rows; @param ended the one that was completed or aborted */
  losingUploads<T>(work: () => T, ended: string | null = null): T {
    const before = uploadsOf(this.queue.rows.values());
    const result = work();
    if (before.length === 0) return result;
    const after = uploadsOf(this.queue.rows.values());
    this.strays.note(before, after, (lane) => this.#placeOf(lane), ended);
    return result;
  }

  #placeOf(lane: LaneRef): string | null {
    const { targets } = this.#options.configuration(lane.bucket);
    const target = targets.find(({ id }) => id === lane.targetId);
    return target === undefined ? null : placeOf(target);
  }

  /** Those of targets that are not listed: nobody has credentials for them. */
  forgetStrays(): void {
    for (const lane of this.strays.lanes()) {
      if (this.#placeOf(lane) === null) this.strays.forget(lane);
    }
  }

  next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  enqueueMatching(
    event: Pick<CommittedWrite, 'bucket' | 'key' | 'operation' | 'replica'>,
    version: CommittedWrite | null,
  ): MemoryRow[] {
    const { enqueue, dropped } = matchEvent(this.#options.configuration(event.bucket), event);
    for (const { incarnation, deleteLost } of dropped) this.#drop(event, incarnation, deleteLost);
    return enqueue.flatMap(({ targetId, ruleset }) => {
      const lane = { bucket: event.bucket, targetId };
      const row = this.enqueue(lane, ruleset, event.key, event.operation, version);
      return row === null ? [] : [row];
    });
  }

  isCovered(write: AnnouncedWrite): boolean {
    const event = { ...write, replica: false };
    return matchEvent(this.#options.configuration(write.bucket), event).enqueue.length > 0;
  }

  isSynchronous({ lane, ruleset }: MemoryRow): boolean {
    const { rules, targets } = this.#options.configuration(lane.bucket);
    const target = targets.find(({ id }) => id === lane.targetId);
    const wanted = rules.filter(({ incarnation }) => ruleset.includes(incarnation));
    return target?.enabled === true && wanted.some((rule) => rule.enabled && rule.synchronous);
  }

  /** Null where the event is dropped. Without a version: whatever is current. */
  enqueue(
    lane: LaneRef,
    ruleset: readonly number[],
    key: string,
    operation: 'put' | 'delete',
    version: CommittedWrite | null,
  ): MemoryRow | null {
    const backlog = [...this.queue.rows.values()].filter(
      (row) => row.lane.bucket.id === lane.bucket.id,
    ).length;
    const other = version === null ? this.queue.otherResolve({ lane, key, sequence: 0 }) : null;
    if (this.#options.isDiskLow() || (backlog >= this.#options.backlogMax && !other)) {
      for (const { incarnation, deleteLost } of droppedBy({ targetId: '', ruleset }, operation)) {
        this.#drop(lane, incarnation, deleteLost);
      }
      return null;
    }
    return this.#insertNew(lane, ruleset, key, version, operation, null);
  }

  #insertNew(
    lane: LaneRef,
    ruleset: readonly number[],
    key: string,
    version: Pick<CommittedWrite, 'versionId' | 'order'> | null,
    operation: 'put' | 'delete',
    verifyAt: number | null,
  ): MemoryRow {
    const now = this.#options.now();
    const row: MemoryRow = {
      sequence: 0,
      lane,
      ruleset,
      key,
      operation: version === null ? 'resolve' : operation,
      versionId: version?.versionId ?? null,
      order: version?.order ?? ORDER_LAST,
      state: 'pending',
      attempts: 0,
      nextAttemptAt: verifyAt ?? now,
      lastError: null,
      createdAt: now,
      failedAt: null,
      compareFirst: verifyAt !== null,
      upload: null,
      boot: this.boot,
      verifyAt,
    };
    const other = version === null ? this.queue.otherResolve(row) : undefined;
    if (other === undefined) return this.queue.insert({ ...row, sequence: this.next() });
    const earliest = Math.min(other.nextAttemptAt, row.nextAttemptAt);
    return this.queue.insert(absorb(other, row, earliest, this.#merged(other, row)));
  }

  applyOutcome(row: MemoryRow, outcome: ClaimOutcome): void {
    const attempts = row.attempts + 1;
    switch (outcome.kind) {
      case 'complete':
        return this.#complete(row, outcome);
      case 'retry': {
        const { nextAttemptAt, lastError, compareFirst, upload } = outcome;
        const tried = { ...row, attempts, nextAttemptAt, lastError, compareFirst, upload };
        return this.giveBack(outcome.asResolve ? asResolve(tried) : tried);
      }
      case 'fail': {
        const { lastError, compareFirst } = outcome;
        const failedAt = this.#options.now();
        this.queue.rows.set(row.sequence, {
          ...row,
          attempts,
          lastError,
          compareFirst,
          upload: null,
          state: 'failed',
          failedAt,
        });
        return this.queue.chooseHead(row);
      }
      case 'release':
        return this.giveBack({ ...row, compareFirst: outcome.compareFirst });
    }
  }

  #complete(row: MemoryRow, { upTo, verifyAt }: Extract<ClaimOutcome, { kind: 'complete' }>): void {
    this.queue.rows.delete(row.sequence);
    const superseded = this.queue
      .chain(row)
      .filter(({ order, state }) => (order === ORDER_LAST ? state === 'failed' : order <= upTo));
    for (const { sequence } of superseded) this.queue.rows.delete(sequence);
    this.queue.chooseHead(row);
    const verify = (at: number): void =>
      void this.#insertNew(row.lane, row.ruleset, row.key, null, 'put', at);
    if (superseded.some((other) => this.isSuspect(other))) verify(this.#lingersUntil());
    const resolve = this.queue.otherResolve(row);
    if (resolve !== undefined && this.judge(resolve) !== 'active' && this.isSuspect(resolve)) {
      verify(this.#lingersUntil());
    }
    if (verifyAt !== null) verify(verifyAt);
  }

  isSuspect(row: MemoryRow): boolean {
    const isJustBooted = this.#options.bootedForMs() < LINGER_MS;
    return row.compareFirst || row.boot !== this.boot || isJustBooted;
  }

  #lingersUntil(): number {
    return this.#options.now() + LINGER_MS;
  }

  /** Rows of rules that are gone, in the order in which the store in LMDB meets them. */
  sweepDead(now: number): void {
    const dead = [...this.queue.rows.values()].filter((row) => this.judge(row) === 'dead');
    const inOrder = dead.sort(
      (a, b) =>
        byStateAndRuleset(a, b) ||
        Number(this.#mayBeApplied(a)) - Number(this.#mayBeApplied(b)) ||
        a.sequence - b.sequence,
    );
    for (const { sequence } of inOrder) {
      const row = this.queue.rows.get(sequence);
      if (row === undefined || this.queue.isClaimed(row) || (row.verifyAt ?? 0) > now) continue;
      this.queue.remove(row);
      if (this.#mayBeApplied(row)) this.#becomeVerification(row);
    }
  }

  #mayBeApplied(row: MemoryRow): boolean {
    if (row.verifyAt !== null) return false;
    return row.compareFirst || (this.#options.uptimeMs() < LINGER_MS && this.isSuspect(row));
  }

  #becomeVerification(row: MemoryRow): void {
    const verifyAt = this.#lingersUntil();
    const verification: MemoryRow = {
      ...asResolve(row),
      state: 'pending',
      attempts: 0,
      nextAttemptAt: verifyAt,
      lastError: null,
      failedAt: null,
      compareFirst: true,
      upload: null,
      boot: this.boot,
      verifyAt,
    };
    this.queue.insert(this.#takeIn(verification));
  }

  /** A row whose claim ended; it takes in the other row of its chain that looks up what is current. */
  giveBack(row: MemoryRow): void {
    this.queue.rows.set(row.sequence, this.#takeIn(row));
    this.queue.chooseHead(row);
  }

  #takeIn(row: MemoryRow): MemoryRow {
    const other = row.operation === 'resolve' ? this.queue.otherResolve(row) : undefined;
    if (other === undefined) return row;
    this.queue.remove(other);
    return absorb(row, other, row.nextAttemptAt, this.#merged(row, other));
  }

  retry(row: MemoryRow, now: number): boolean {
    if (this.queue.isClaimed(row)) return false;
    const nextAttemptAt = Math.max(now, row.verifyAt ?? 0);
    const next = { ...row, attempts: 0, nextAttemptAt, state: 'pending', failedAt: null } as const;
    this.queue.rows.set(row.sequence, next);
    if (row.state === 'failed') this.queue.insert(this.#takeIn(next));
    else if (this.queue.heads.get(chainOf(row)) === row.sequence) this.queue.insert(next);
    return true;
  }

  isExpired(row: MemoryRow, now: number): boolean {
    return (
      row.failedAt !== null &&
      row.failedAt <= now - FAILED_KEPT_MS &&
      this.#options.uptimeMs() >= HOUR_MS
    );
  }

  expire(row: MemoryRow): void {
    const { rules } = this.#options.configuration(row.lane.bucket);
    for (const rule of rules.filter(({ incarnation }) => row.ruleset.includes(incarnation))) {
      if (rule.targetId !== row.lane.targetId) continue;
      const deleteLost = row.operation !== 'put' && rule.replicateDeletes;
      this.#drop(row.lane, rule.incarnation, deleteLost);
    }
    this.queue.remove(row);
  }

  #drop({ bucket }: Pick<LaneRef, 'bucket'>, incarnation: number, deleteLost: boolean): void {
    this.gapsAndJobs.drop(bucket, incarnation, deleteLost, this.#options.now(), this.next());
  }

  claimable(lane: LaneRef): MemoryRow[] {
    const target = this.#options
      .configuration(lane.bucket)
      .targets.find(({ id }) => id === lane.targetId);
    if (target?.enabled !== true) return [];
    return [...this.queue.heads.values()].flatMap((sequence) => {
      const row = this.queue.rows.get(sequence);
      if (row === undefined || !isSameLane(row.lane, lane)) return [];
      return this.judge(row) === 'active' ? [row] : [];
    });
  }

  visible(bucket: BucketRef, { state, ruleIncarnation }: RowFilter): MemoryRow[] {
    return [...this.queue.rows.values()].filter(
      (row) =>
        row.lane.bucket.id === bucket.id &&
        this.judge(row) !== 'dead' &&
        (state === undefined || this.#shownState(row) === state) &&
        (ruleIncarnation === undefined || row.ruleset.includes(ruleIncarnation)),
    );
  }

  #shownState({ lane, state }: MemoryRow): Row['state'] {
    const hasTarget = this.#options
      .configuration(lane.bucket)
      .targets.some(({ id }) => id === lane.targetId);
    return hasTarget ? state : 'failed';
  }

  judge({ lane, ruleset }: Pick<Row, 'lane' | 'ruleset'>): ReturnType<typeof judgeRuleset> {
    return judgeRuleset(this.#options.configuration(lane.bucket), lane.targetId, ruleset);
  }

  #merged({ lane, ruleset }: Row, other: Row): readonly number[] {
    return mergeRulesets(this.#options.configuration(lane.bucket), ruleset, other.ruleset);
  }

  retryAll(bucket: BucketRef, filter: RowFilter, now: number): number {
    const rows = this.visible(bucket, filter).sort(
      (a, b) => byStateAndRuleset(a, b) || a.sequence - b.sequence,
    );
    let retried = 0;
    for (const { sequence } of rows) {
      // One that was absorbed by a row before it is gone.
      const row = this.queue.rows.get(sequence);
      if (row !== undefined && this.retry(row, now)) retried += 1;
    }
    return retried;
  }

  /** @param job as it is stored; its rule exists */
  advanceResync(
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): ResyncJob {
    const { bucket, ruleId } = job;
    const rule = this.#options.configuration(bucket).rules.find(({ id }) => id === ruleId);
    if (rule === undefined || job.state !== 'running') return job;
    if (!rule.enabled) {
      return this.gapsAndJobs.put({ ...job, state: 'cancelled', finishedAt: now });
    }
    const lane = { bucket, targetId: rule.targetId };
    const enqueued = keys.filter(
      (key) =>
        key.startsWith(rule.prefix) &&
        this.enqueue(lane, [rule.incarnation], key, 'put', null) !== null,
    ).length;
    if (done) this.gapsAndJobs.clear(bucket, rule.incarnation, job.run);
    return this.gapsAndJobs.put({
      ...job,
      cursor: cursor ?? job.cursor,
      scanned: job.scanned + keys.length,
      enqueued: job.enqueued + enqueued,
      ...(done ? { state: 'completed', finishedAt: now } : {}),
    });
  }
}

/** The order in which rows are met decides which of two absorbs the other. */
function byStateAndRuleset(a: MemoryRow, b: MemoryRow): number {
  return b.state.localeCompare(a.state) || compareRulesets(a.ruleset, b.ruleset);
}

function compareRulesets(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length - b.length;
  const at = a.findIndex((incarnation, index) => incarnation !== b[index]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
