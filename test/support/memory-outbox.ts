/**
 * The outbox port in memory, together with the configurations, on a disk that can be late: what
 * `announce` and changes of the configuration promise is flushed, everything else is volatile until
 * the next flush, as in LMDB. It is the oracle for the store in LMDB and the store of the simulation.
 *
 * - `crash()`: power failure. What was not flushed never happened, and every process is dead.
 * - `kill(instance)`: one process died; what was committed stays.
 * - `asProcess(instance)`: the outbox as another process of the server has it.
 */
import type { AnnouncedWrite, BucketRef, CommittedWrite, ObjectRef } from '../../src/host.ts';
import {
  EMPTY_CONFIGURATION,
  withoutSecrets,
  type Configuration,
} from '../../src/model/configuration.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import { LEASE_MS, LeaseLostError } from '../../src/model/lease.ts';
import { droppedBy, judgeRuleset, matchEvent, mergeRulesets } from '../../src/model/match.ts';
import type {
  ClaimOutcome,
  LeftIntent,
  Outbox,
  QueueStatus,
  QueueTotals,
  ResyncJob,
  RowFilter,
  TargetAccess,
} from '../../src/model/ports.ts';
import {
  ORDER_LAST,
  type Claim,
  type LaneRef,
  type Row,
  type RowCount,
  type UploadState,
} from '../../src/model/row.ts';
import { MemoryConfigurationStore } from './memory-configuration-store.ts';
import { MemoryGapsAndJobs } from './memory-gaps-and-jobs.ts';
import {
  absorb,
  asResolve,
  chainOf,
  HOUR_MS,
  isSameLane,
  MemoryQueue,
  type MemoryRow,
} from './memory-queue.ts';

const BACKLOG_MAX = 1_000_000;
const FAILED_KEPT_MS = 7 * 24 * HOUR_MS;
const INTENTS_MAX = 256;

export interface MemoryOutboxOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly isDiskLow?: () => boolean;
  /** Rows a bucket. */
  readonly backlogMax?: number;
  /** Since the store was opened; by default what `now` has moved. */
  readonly uptimeMs?: () => number;
}

interface Lease {
  readonly instance: string | null;
  readonly epoch: number;
  readonly expires: number;
}

interface State {
  readonly sequence: number;
  readonly queue: MemoryQueue;
  readonly intents: ReadonlyMap<number, { writes: readonly AnnouncedWrite[]; instance: string }>;
  readonly gapsAndJobs: MemoryGapsAndJobs;
  readonly lease: Lease;
}

export class MemoryOutbox extends MemoryConfigurationStore implements Outbox {
  readonly #now: () => number;
  readonly #isDiskLow: () => boolean;
  readonly #backlogMax: number;
  readonly #uptimeMs: () => number;
  readonly #dead = new Set<string>();
  readonly #listeners = new Set<() => void>();
  #instance = 'process-1';
  #starts = 1;
  #sequence = 0;
  #queue: MemoryQueue;
  #intents = new Map<number, { writes: readonly AnnouncedWrite[]; instance: string }>();
  #gapsAndJobs = new MemoryGapsAndJobs();
  #lease: Lease = { instance: null, epoch: 0, expires: 0 };
  #durableState: State;

  constructor(options: MemoryOutboxOptions) {
    super();
    const opened = options.now();
    this.#now = options.now;
    this.#isDiskLow = options.isDiskLow ?? (() => false);
    this.#backlogMax = options.backlogMax ?? BACKLOG_MAX;
    this.#uptimeMs = options.uptimeMs ?? (() => options.now() - opened);
    this.#queue = new MemoryQueue((row) => this.#judge(row) === 'active', this.#now);
    this.#durableState = this.#copy();
  }

  /** The process that calls are made from. */
  get instance(): string {
    return this.#instance;
  }

  override flush(): void {
    this.#durableState = this.#copy();
    super.flush();
  }

  override crash(): void {
    super.crash();
    this.#dead.add(this.#instance);
    if (this.#lease.instance !== null) this.#dead.add(this.#lease.instance);
    for (const { instance } of this.#intents.values()) this.#dead.add(instance);
    this.#starts += 1;
    this.#instance = `process-${this.#starts}`;
    const { sequence, queue, intents, gapsAndJobs, lease } = this.#durableState;
    this.#sequence = sequence;
    this.#queue = queue.copy();
    this.#intents = new Map(intents);
    this.#gapsAndJobs = gapsAndJobs.copy();
    this.#lease = lease;
    this.#listeners.clear();
  }

  kill(instance: string): void {
    this.#dead.add(instance);
  }

  asProcess(instance: string): Outbox {
    return new Proxy<MemoryOutbox>(this, {
      get: (store, name) => {
        const method = Reflect.get(store, name, store) as (...args: unknown[]) => unknown;
        return (...args: unknown[]): unknown => {
          const caller = this.#instance;
          this.#instance = instance;
          try {
            return method.apply(store, args);
          } finally {
            this.#instance = caller;
          }
        };
      },
    });
  }

  async announce(writes: readonly AnnouncedWrite[]): Promise<number> {
    const id = this.#next();
    this.#intents.set(id, { writes, instance: this.#instance });
    await this.flushed();
    return id;
  }

  async commit(intent: number, writes: readonly CommittedWrite[]): Promise<readonly Row[]> {
    this.#intents.delete(intent);
    const rows = writes.flatMap((write) => this.#enqueueMatching(write, write));
    this.#tell();
    return rows.map((row) => this.#answer(this.#queue.rows.get(row.sequence) ?? row));
  }

  async abandon(intent: number): Promise<void> {
    this.#intents.delete(intent);
  }

  async acquireLease(): Promise<number | null> {
    const { instance, epoch, expires } = this.#lease;
    const isHeld =
      instance !== null &&
      instance !== this.#instance &&
      expires > this.#now() &&
      !this.#dead.has(instance);
    if (isHeld) return null;
    const expiresAt = this.#now() + LEASE_MS;
    this.#lease = { instance: this.#instance, epoch: epoch + 1, expires: expiresAt };
    return epoch + 1;
  }

  async renewLease(epoch: number): Promise<boolean> {
    if (!this.#holds(epoch)) return false;
    this.#lease = { ...this.#lease, expires: this.#now() + LEASE_MS };
    return true;
  }

  async releaseLease(epoch: number): Promise<void> {
    if (this.#holds(epoch)) this.#lease = { instance: null, epoch, expires: 0 };
  }

  async recoverClaims(epoch: number): Promise<void> {
    this.#fence(epoch);
    for (const [chain, claim] of [...this.#queue.claims]) {
      if (claim.epoch === epoch) continue;
      const row = this.#queue.rows.get(claim.sequence);
      this.#queue.claims.delete(chain);
      if (row !== undefined) this.#giveBack({ ...row, compareFirst: true });
    }
    this.#tell();
  }

  async leftIntents(epoch: number): Promise<readonly LeftIntent[]> {
    this.#fence(epoch);
    return [...this.#intents]
      .filter(([, { instance }]) => this.#dead.has(instance))
      .slice(0, INTENTS_MAX)
      .map(([id, { writes }]) => ({ id, writes }));
  }

  async settle(epoch: number, intent: number, changed: readonly AnnouncedWrite[]): Promise<void> {
    this.#fence(epoch);
    this.#intents.delete(intent);
    for (const write of changed) this.#enqueueMatching({ ...write, replica: false }, null);
    this.#tell();
  }

  async lanes(): Promise<readonly LaneRef[]> {
    const lanes: LaneRef[] = [];
    for (const row of this.#queue.rows.values()) {
      if (row.state !== 'pending' || this.#judge(row) === 'dead') continue;
      if (!lanes.some((lane) => isSameLane(lane, row.lane))) lanes.push(row.lane);
    }
    return lanes;
  }

  async nextDueAt(lane: LaneRef): Promise<number | null> {
    const times = this.#claimable(lane).map((row) => row.nextAttemptAt);
    return times.length === 0 ? null : Math.min(...times);
  }

  async claim(epoch: number, lane: LaneRef, limit: number, now: number): Promise<Claim[]> {
    this.#fence(epoch);
    const due = this.#claimable(lane)
      .filter((row) => row.nextAttemptAt <= now)
      .sort((a, b) => a.nextAttemptAt - b.nextAttemptAt || a.sequence - b.sequence)
      .slice(0, limit);
    return due.map((row) => {
      const chain = chainOf(row);
      this.#queue.heads.delete(chain);
      this.#queue.claims.set(chain, { sequence: row.sequence, epoch });
      const laterVersionWaits = this.#queue
        .pendingOf(row)
        .some(({ order }) => order > row.order && order < ORDER_LAST);
      const compareFirst = row.compareFirst || row.boot !== this.#starts;
      return { row: this.#answer({ ...row, compareFirst }), laterVersionWaits };
    });
  }

  async settleClaim(epoch: number, claim: Claim, outcome: ClaimOutcome): Promise<boolean> {
    this.#fence(epoch);
    const chain = chainOf(claim.row);
    const held = this.#queue.claims.get(chain);
    const row = this.#queue.rows.get(claim.row.sequence);
    if (row === undefined || held?.sequence !== row.sequence || held.epoch !== epoch) return false;
    this.#queue.claims.delete(chain);
    this.#applyOutcome({ ...row, boot: this.#starts }, outcome);
    this.#tell();
    return true;
  }

  async storeUpload(epoch: number, claim: Claim, upload: UploadState | null): Promise<void> {
    this.#fence(epoch);
    const held = this.#queue.claims.get(chainOf(claim.row));
    const row = this.#queue.rows.get(claim.row.sequence);
    if (row === undefined || held?.sequence !== row.sequence || held.epoch !== epoch) {
      throw new LeaseLostError();
    }
    this.#queue.rows.set(row.sequence, { ...row, upload });
  }

  async accessTarget(lane: LaneRef): Promise<TargetAccess> {
    const stored = this.#stored(lane.bucket)?.targets.find(({ id }) => id === lane.targetId);
    if (stored === undefined) return { kind: 'absent' };
    const { secret, ...target } = stored;
    const [bucketId, targetId, secretAccessKey] = JSON.parse(
      Buffer.from(secret.box).toString(),
    ) as [string, string, string];
    if (bucketId !== lane.bucket.id || targetId !== target.id) return { kind: 'sealed', target };
    return { kind: 'usable', target, secretAccessKey };
  }

  async pageRows(
    bucket: BucketRef,
    filter: RowFilter,
    after: number | null,
    limit: number,
  ): Promise<readonly Row[]> {
    return this.#visible(bucket, filter)
      .filter(({ sequence }) => after === null || sequence < after)
      .sort((a, b) => b.sequence - a.sequence)
      .slice(0, limit)
      .map((row) => this.#answer(row));
  }

  async findRow(bucket: BucketRef, sequence: number): Promise<Row | null> {
    const row = this.#visible(bucket, {}).find((visible) => visible.sequence === sequence);
    return row === undefined ? null : this.#answer(row);
  }

  async retryRow(bucket: BucketRef, sequence: number, now: number): Promise<Row | null> {
    const row = this.#visible(bucket, {}).find((visible) => visible.sequence === sequence);
    if (row === undefined) return null;
    this.#retry(row, now);
    await this.flushed();
    this.#tell();
    return this.#answer(this.#queue.rows.get(sequence) ?? row);
  }

  async retryRows(bucket: BucketRef, filter: RowFilter, now: number): Promise<number> {
    const rows = this.#visible(bucket, filter).sort(
      (a, b) =>
        b.state.localeCompare(a.state) ||
        compareRulesets(a.ruleset, b.ruleset) ||
        a.sequence - b.sequence,
    );
    let retried = 0;
    for (const { sequence } of rows) {
      // One that was absorbed by a row before it is gone.
      const row = this.#queue.rows.get(sequence);
      if (row !== undefined && this.#retry(row, now)) retried += 1;
    }
    await this.flushed();
    this.#tell();
    return retried;
  }

  async queueStatus(bucket: BucketRef): Promise<QueueStatus> {
    const counts = new Map<string, RowCount>();
    const oldest = new Map<string, MemoryRow>();
    for (const row of this.#visible(bucket, {}).sort((a, b) => a.sequence - b.sequence)) {
      const { targetId } = row.lane;
      const name = JSON.stringify([targetId, row.ruleset]);
      const { pending, failed } = counts.get(name) ?? { pending: 0, failed: 0 };
      counts.set(name, {
        targetId,
        ruleset: row.ruleset,
        pending: pending + (row.state === 'pending' ? 1 : 0),
        failed: failed + (row.state === 'failed' ? 1 : 0),
      });
      if (row.state === 'pending' && !oldest.has(targetId)) oldest.set(targetId, row);
    }
    return {
      counts: [...counts.values()],
      gaps: this.#gapsAndJobs.gapsOf(bucket, this.#configuration(bucket).rules),
      oldest: Array.from(oldest, ([targetId, { createdAt }]) => ({ targetId, createdAt })),
    };
  }

  async queueTotals(): Promise<QueueTotals> {
    const rows = [...this.#queue.rows.values()];
    const pending = rows.filter(({ state }) => state === 'pending');
    return {
      pending: pending.length,
      failed: rows.length - pending.length,
      oldestPendingAt: pending.length === 0 ? null : Math.min(...pending.map((r) => r.createdAt)),
    };
  }

  async versionState({ bucket, key, versionId }: ObjectRef): Promise<Row['state'] | null> {
    const states = this.#visible(bucket, {})
      .filter((row) => row.key === key)
      .filter((row) => row.versionId === versionId || row.operation === 'resolve')
      .map((row) => row.state);
    return states.includes('pending') ? 'pending' : (states[0] ?? null);
  }

  async startResync(bucket: BucketRef, ruleId: string, now: number): Promise<ResyncJob | null> {
    const rule = this.#configuration(bucket).rules.find(({ id }) => id === ruleId);
    if (rule?.enabled !== true) return null;
    if ((await this.readResync(bucket, ruleId))?.state === 'running') return null;
    const job = this.#gapsAndJobs.begin(bucket, rule, this.#next(), now);
    await this.flushed();
    this.#tell();
    return job;
  }

  async readResync(bucket: BucketRef, ruleId: string): Promise<ResyncJob | null> {
    const job = this.#gapsAndJobs.find(bucket, ruleId);
    const rule = this.#configuration(bucket).rules.find(({ id }) => id === ruleId);
    return job?.incarnation === rule?.incarnation ? (job ?? null) : null;
  }

  async cancelResync(bucket: BucketRef, ruleId: string, now: number): Promise<boolean> {
    const job = await this.readResync(bucket, ruleId);
    if (job?.state !== 'running') return false;
    this.#gapsAndJobs.put({ ...job, state: 'cancelled', finishedAt: now });
    await this.flushed();
    return true;
  }

  async runningResyncs(): Promise<readonly ResyncJob[]> {
    return this.#gapsAndJobs.running();
  }

  async advanceResync(
    epoch: number,
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): Promise<ResyncJob | null> {
    this.#fence(epoch);
    const { bucket, ruleId } = job;
    const stored = await this.readResync(bucket, ruleId);
    const rule = this.#configuration(bucket).rules.find(({ id }) => id === ruleId);
    if (rule === undefined || stored?.run !== job.run) return null;
    if (stored.state !== 'running') return stored;
    if (!rule.enabled) {
      return this.#gapsAndJobs.put({ ...stored, state: 'cancelled', finishedAt: now });
    }
    const ruleset = [rule.incarnation];
    const lane = { bucket, targetId: rule.targetId };
    const enqueued = keys.filter(
      (key) =>
        key.startsWith(rule.prefix) && this.#enqueue(lane, ruleset, key, 'put', null) !== null,
    ).length;
    if (done) this.#gapsAndJobs.clear(bucket, rule.incarnation, stored.run);
    this.#tell();
    return this.#gapsAndJobs.put({
      ...stored,
      cursor: cursor ?? stored.cursor,
      scanned: stored.scanned + keys.length,
      enqueued: stored.enqueued + enqueued,
      ...(done ? { state: 'completed', finishedAt: now } : {}),
    });
  }

  async sweep(epoch: number, now: number): Promise<boolean> {
    this.#fence(epoch);
    for (const row of [...this.#queue.rows.values()]) {
      if (this.#queue.isClaimed(row)) continue;
      if (this.#judge(row) === 'dead') this.#queue.remove(row);
      else if (this.#isExpired(row, now)) this.#expire(row);
    }
    this.#queue.chooseHeadsAnew();
    this.#tell();
    return false;
  }

  async clampSchedules(epoch: number, now: number): Promise<void> {
    this.#fence(epoch);
    const latest = now + HOUR_MS;
    for (const sequence of this.#queue.heads.values()) {
      const row = this.#queue.rows.get(sequence);
      if (row === undefined || row.nextAttemptAt <= latest) continue;
      const verifyAt = row.verifyAt === null ? null : Math.min(row.verifyAt, latest);
      this.#queue.rows.set(sequence, { ...row, nextAttemptAt: latest, verifyAt });
    }
    this.#tell();
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected override changed(
    bucketName: string,
    before: StoredConfiguration | undefined,
    after: StoredConfiguration | undefined,
  ): void {
    this.#gapsAndJobs.change(bucketName, before, after, this.#now(), () => this.#next());
    this.#tell();
  }

  #enqueueMatching(
    event: Pick<CommittedWrite, 'bucket' | 'key' | 'operation' | 'replica'>,
    version: CommittedWrite | null,
  ): MemoryRow[] {
    const { enqueue, dropped } = matchEvent(this.#configuration(event.bucket), event);
    for (const { incarnation, deleteLost } of dropped) this.#drop(event, incarnation, deleteLost);
    return enqueue.flatMap(({ targetId, ruleset }) => {
      const lane = { bucket: event.bucket, targetId };
      const row = this.#enqueue(lane, ruleset, event.key, event.operation, version);
      return row === null ? [] : [row];
    });
  }

  /** Null where the event is dropped. Without a version: whatever is current. */
  #enqueue(
    lane: LaneRef,
    ruleset: readonly number[],
    key: string,
    operation: 'put' | 'delete',
    version: CommittedWrite | null,
  ): MemoryRow | null {
    const backlog = [...this.#queue.rows.values()].filter(
      (row) => row.lane.bucket.id === lane.bucket.id,
    ).length;
    const other = version === null ? this.#queue.otherResolve({ lane, key, sequence: 0 }) : null;
    if (this.#isDiskLow() || (backlog >= this.#backlogMax && !other)) {
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
    const now = this.#now();
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
      boot: this.#starts,
      verifyAt,
    };
    const other = version === null ? this.#queue.otherResolve(row) : undefined;
    if (other === undefined) return this.#queue.insert({ ...row, sequence: this.#next() });
    const earliest = Math.min(other.nextAttemptAt, row.nextAttemptAt);
    return this.#queue.insert(absorb(other, row, earliest, this.#merged(other, row)));
  }

  #applyOutcome(row: MemoryRow, outcome: ClaimOutcome): void {
    const attempts = row.attempts + 1;
    switch (outcome.kind) {
      case 'complete': {
        for (const { sequence, order, state } of this.#queue.chain(row)) {
          const isSuperseded = order === ORDER_LAST ? state === 'failed' : order <= outcome.upTo;
          if (sequence === row.sequence || isSuperseded) {
            this.#queue.rows.delete(sequence);
          }
        }
        this.#queue.chooseHead(row);
        const { lane, ruleset, key } = row;
        if (outcome.verifyAt !== null) {
          this.#insertNew(lane, ruleset, key, null, 'put', outcome.verifyAt);
        }
        return;
      }
      case 'retry': {
        const { nextAttemptAt, lastError, compareFirst, upload } = outcome;
        const tried = { ...row, attempts, nextAttemptAt, lastError, compareFirst, upload };
        return this.#giveBack(outcome.asResolve ? asResolve(tried) : tried);
      }
      case 'fail': {
        const { lastError } = outcome;
        const failedAt = this.#now();
        this.#queue.rows.set(row.sequence, {
          ...row,
          attempts,
          lastError,
          state: 'failed',
          failedAt,
        });
        return this.#queue.chooseHead(row);
      }
      case 'release':
        return this.#giveBack({ ...row, compareFirst: outcome.compareFirst });
    }
  }

  /** A row whose claim ended; it takes in the other row of its chain that looks up what is current. */
  #giveBack(row: MemoryRow): void {
    this.#queue.rows.set(row.sequence, this.#takeIn(row));
    this.#queue.chooseHead(row);
  }

  #takeIn(row: MemoryRow): MemoryRow {
    const other = row.operation === 'resolve' ? this.#queue.otherResolve(row) : undefined;
    if (other === undefined) return row;
    this.#queue.remove(other);
    return absorb(row, other, row.nextAttemptAt, this.#merged(row, other));
  }

  #retry(row: MemoryRow, now: number): boolean {
    if (this.#queue.isClaimed(row)) return false;
    const nextAttemptAt = Math.max(now, row.verifyAt ?? 0);
    const next = { ...row, attempts: 0, nextAttemptAt, state: 'pending', failedAt: null } as const;
    this.#queue.rows.set(row.sequence, next);
    if (row.state === 'failed') this.#queue.insert(this.#takeIn(next));
    else if (this.#queue.heads.get(chainOf(row)) === row.sequence) this.#queue.insert(next);
    return true;
  }

  #isExpired(row: MemoryRow, now: number): boolean {
    return (
      row.failedAt !== null && row.failedAt <= now - FAILED_KEPT_MS && this.#uptimeMs() >= HOUR_MS
    );
  }

  #expire(row: MemoryRow): void {
    const { rules } = this.#configuration(row.lane.bucket);
    for (const rule of rules.filter(({ incarnation }) => row.ruleset.includes(incarnation))) {
      if (rule.targetId !== row.lane.targetId) continue;
      const deleteLost = row.operation !== 'put' && rule.replicateDeletes;
      this.#drop(row.lane, rule.incarnation, deleteLost);
    }
    this.#queue.remove(row);
  }

  #drop({ bucket }: Pick<LaneRef, 'bucket'>, incarnation: number, deleteLost: boolean): void {
    this.#gapsAndJobs.drop(bucket, incarnation, deleteLost, this.#now(), this.#next());
  }

  #claimable(lane: LaneRef): MemoryRow[] {
    const target = this.#configuration(lane.bucket).targets.find(({ id }) => id === lane.targetId);
    if (target?.enabled !== true) return [];
    return [...this.#queue.heads.values()].flatMap((sequence) => {
      const row = this.#queue.rows.get(sequence);
      if (row === undefined || !isSameLane(row.lane, lane)) return [];
      return this.#judge(row) === 'active' ? [row] : [];
    });
  }

  #visible(bucket: BucketRef, { state, ruleIncarnation }: RowFilter): MemoryRow[] {
    return [...this.#queue.rows.values()].filter(
      (row) =>
        row.lane.bucket.id === bucket.id &&
        this.#judge(row) !== 'dead' &&
        (state === undefined || this.#shownState(row) === state) &&
        (ruleIncarnation === undefined || row.ruleset.includes(ruleIncarnation)),
    );
  }

  #shownState({ lane, state }: MemoryRow): Row['state'] {
    const hasTarget = this.#configuration(lane.bucket).targets.some(
      ({ id }) => id === lane.targetId,
    );
    return hasTarget ? state : 'failed';
  }

  #judge({ lane, ruleset }: Pick<Row, 'lane' | 'ruleset'>): ReturnType<typeof judgeRuleset> {
    return judgeRuleset(this.#configuration(lane.bucket), lane.targetId, ruleset);
  }

  #merged({ lane, ruleset }: Row, other: Row): readonly number[] {
    return mergeRulesets(this.#configuration(lane.bucket), ruleset, other.ruleset);
  }

  #configuration(bucket: BucketRef): Configuration {
    const stored = this.#stored(bucket);
    return stored === undefined ? EMPTY_CONFIGURATION : withoutSecrets(stored);
  }

  #stored(bucket: BucketRef): StoredConfiguration | undefined {
    const stored = this.record(bucket.name);
    return stored?.bucketId === bucket.id ? stored : undefined;
  }

  #answer({ boot, verifyAt, ...row }: MemoryRow): Row {
    return row;
  }

  #holds(epoch: number): boolean {
    return this.#lease.instance !== null && this.#lease.epoch === epoch;
  }

  #fence(epoch: number): void {
    if (!this.#holds(epoch)) throw new LeaseLostError();
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  #tell(): void {
    for (const listener of this.#listeners) queueMicrotask(listener);
  }

  #copy(): State {
    return {
      sequence: this.#sequence,
      queue: this.#queue.copy(),
      intents: new Map(this.#intents),
      gapsAndJobs: this.#gapsAndJobs.copy(),
      lease: this.#lease,
    };
  }
}

/** The order in which rows are retried decides which of two absorbs the other. */
function compareRulesets(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length) return a.length - b.length;
  const at = a.findIndex((incarnation, index) => incarnation !== b[index]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
