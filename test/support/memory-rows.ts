/**
 * What happens to rows inside one transaction of the in-memory outbox: from events to rows, and from
 * outcomes to what becomes of them.
 */
import type { AnnouncedWrite, BucketRef, CommittedWrite } from '../../src/host.ts';
import type { Configuration } from '../../src/model/configuration.ts';
import { LINGER_MS } from '../../src/model/delivery.ts';
import { laterDoubt, presentDoubt } from '../../src/model/doubt.ts';
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
    doubtUntil: number | null,
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
      state: doubtUntil === null ? 'pending' : 'verifying',
      attempts: 0,
      nextAttemptAt: doubtUntil ?? now,
      lastError: null,
      createdAt: now,
      failedAt: null,
      doubtUntil,
      refused: false,
      upload: null,
      boot: this.boot,
    };
    if (doubtUntil === null) this.#overtakeRefused(row);
    const other = version === null ? this.queue.otherResolve(row) : undefined;
    if (other === undefined) return this.queue.insert({ ...row, sequence: this.next() });
    const earliest = Math.min(other.nextAttemptAt, row.nextAttemptAt);
    return this.queue.insert(absorb(other, row, earliest, this.#merged(other, row)));
  }

  /** A head that the target refuses goes where a newer event of its key is queued behind it. */
  #overtakeRefused({ lane, key, order, ruleset }: MemoryRow): void {
    const chain = chainOf({ lane, key });
    const head = this.queue.rows.get(this.queue.heads.get(chain) ?? -1);
    if (head?.refused !== true || head.order >= order || head.state !== 'pending') return;
    const doubtUntil = this.doubtOf(head);
    this.losingUploads(() => this.queue.remove(head));
    if (doubtUntil !== null && doubtUntil > this.#options.now()) {
      this.#insertNew(lane, ruleset, key, null, 'put', doubtUntil);
    }
  }

  applyOutcome(row: MemoryRow, outcome: ClaimOutcome): void {
    if (outcome.kind === 'complete') return this.#complete(row, outcome);
    const attempts = row.attempts + 1;
    const { doubtUntil } = outcome;
    switch (outcome.kind) {
      case 'retry': {
        const { nextAttemptAt, lastError, refused, upload, asResolve: isGone } = outcome;
        const tried = { ...row, attempts, nextAttemptAt, lastError, doubtUntil, refused, upload };
        if ((refused || isGone) && this.#isOvertaken(row)) return this.#overtake(tried);
        return this.giveBack(isGone ? asResolve(tried) : tried);
      }
      case 'fail': {
        const { lastError, refused } = outcome;
        const failedAt = this.#options.now();
        this.queue.rows.set(row.sequence, {
          ...row,
          attempts,
          lastError,
          doubtUntil,
          refused,
          upload: null,
          state: 'failed',
          failedAt,
        });
        return this.queue.chooseHead(row);
      }
      case 'release':
        return this.giveBack({ ...row, doubtUntil });
    }
  }

  #isOvertaken(row: MemoryRow): boolean {
    return this.queue
      .chain(row)
      .some(
        (other) =>
          other.order > row.order && other.state === 'pending' && this.judge(other) === 'active',
      );
  }

  #overtake(row: MemoryRow): void {
    const doubtUntil = this.doubtOf(row);
    this.queue.rows.delete(row.sequence);
    this.queue.chooseHead(row);
    if (doubtUntil !== null && doubtUntil > this.#options.now()) {
      this.#insertNew(row.lane, row.ruleset, row.key, null, 'put', doubtUntil);
    }
  }

  #complete(row: MemoryRow, { upTo, begunAt }: Extract<ClaimOutcome, { kind: 'complete' }>): void {
    this.queue.rows.delete(row.sequence);
    const superseded = this.queue
      .chain(row)
      .filter(({ order, state }) => (order === ORDER_LAST ? state === 'failed' : order <= upTo));
    for (const { sequence } of superseded) this.queue.rows.delete(sequence);
    this.queue.chooseHead(row);
    const verify = (doubtUntil: number | null): void => {
      if (doubtUntil === null || doubtUntil <= begunAt) return;
      this.#insertNew(row.lane, row.ruleset, row.key, null, 'put', doubtUntil);
    };
    verify(superseded.map((other) => this.doubtOf(other)).reduce(laterDoubt, null));
    const resolve = this.queue.otherResolve(row);
    if (resolve !== undefined && this.judge(resolve) !== 'active') verify(this.doubtOf(resolve));
    verify(this.doubtOf(row));
  }

  /** Until when an earlier request of the row's chain may be applied. */
  doubtOf(row: MemoryRow): number | null {
    const upMs = this.#options.bootedForMs();
    const known = presentDoubt(row.doubtUntil, this.#options.now());
    if (row.boot === this.boot && upMs >= LINGER_MS) return known;
    return laterDoubt(known, Math.round(this.#options.now() - upMs) + LINGER_MS);
  }

  /** Rows of rules that are gone, in the order in which the store in LMDB meets them. */
  sweepDead(now: number): void {
    const dead = [...this.queue.rows.values()].filter((row) => this.judge(row) === 'dead');
    const inOrder = dead.sort(
      (a, b) =>
        byStateAndRuleset(a, b) ||
        Number(this.#isInDoubt(a, now)) - Number(this.#isInDoubt(b, now)) ||
        a.sequence - b.sequence,
    );
    for (const { sequence } of inOrder) {
      const row = this.queue.rows.get(sequence);
      const isEarly = row?.state === 'verifying' && (row.doubtUntil ?? 0) > now;
      if (row === undefined || this.queue.isClaimed(row) || isEarly) continue;
      this.queue.remove(row);
      if (this.#isInDoubt(row, now)) this.#becomeVerification(row);
    }
  }

  #isInDoubt(row: MemoryRow, now: number): boolean {
    return row.state !== 'verifying' && (this.doubtOf(row) ?? 0) > now;
  }

  #becomeVerification(row: MemoryRow): void {
    const doubtUntil = this.doubtOf(row) ?? this.#options.now();
    const verification: MemoryRow = {
      ...asResolve(row),
      state: 'verifying',
      attempts: 0,
      nextAttemptAt: doubtUntil,
      lastError: null,
      failedAt: null,
      doubtUntil,
      refused: false,
      upload: null,
      boot: this.boot,
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
    const state = row.state === 'verifying' ? 'verifying' : 'pending';
    const nextAttemptAt = state === 'verifying' ? Math.max(now, row.doubtUntil ?? 0) : now;
    const next = { ...row, attempts: 0, nextAttemptAt, state, failedAt: null } as const;
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

  /** What the targets refused: failed rows, and heads that wait for a later time. */
  retryRefused(bucket: BucketRef, targetIds: readonly string[], now: number): number {
    let retried = 0;
    for (const row of this.visible(bucket, {})) {
      if (!row.refused || !targetIds.includes(row.lane.targetId)) continue;
      const isHead = this.queue.heads.get(chainOf(row)) === row.sequence;
      const isWaiting = row.state !== 'failed' && isHead && row.nextAttemptAt > now;
      if ((row.state === 'failed' || isWaiting) && this.retry(row, now)) retried += 1;
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
const STATE_ORDER = { pending: 0, verifying: 1, failed: 2 } as const;

function byStateAndRuleset(a: MemoryRow, b: MemoryRow): number {
  return STATE_ORDER[a.state] - STATE_ORDER[b.state] || compareRulesets(a.ruleset, b.ruleset);
}

function compareRulesets(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length - b.length;
  const at = a.findIndex((incarnation, index) => incarnation !== b[index]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
