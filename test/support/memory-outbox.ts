/**
 * The outbox port in memory, together with the configurations, on a disk that can be late: what
 * `announce` and changes of the configuration promise is flushed, everything else is volatile until
 * the next flush, as in LMDB. It is the oracle for the store in LMDB and the store of the simulation.
 *
 * - `crash()`: power failure. What was not flushed never happened, and every process is dead.
 * - `kill(instance)`: one process died; what was committed stays.
 * - `asProcess(instance)`: the outbox as another process of the server has it.
 */
import type { AnnouncedWrite, BucketRef, CommittedWrite } from '../../src/host.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import type { LaneReport } from '../../src/model/lane-report.ts';
import type {
  AnnouncedIntent,
  ClaimOutcome,
  ClaimRequest,
  LeftIntent,
  Outbox,
  QueuedRow,
  ResyncJob,
  RowFilter,
  StrayUpload,
} from '../../src/model/ports.ts';
import { LINGER_MS } from '../../src/model/delivery.ts';
import {
  operationOf,
  ORDER_LAST,
  type Claim,
  type LaneRef,
  type Row,
  type UploadState,
} from '../../src/model/row.ts';
import { ANYWHERE, type Work } from '../../src/model/work.ts';
import { chainOf, HOUR_MS } from './memory-queue.ts';
import { callsInside } from './calls-inside.ts';
import { MemoryLease } from './memory-lease.ts';
import { MemoryOutboxReads } from './memory-outbox-reads.ts';
import { MemoryRows } from './memory-rows.ts';

export interface MemoryOutboxOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly isDiskLow?: () => boolean;
  /** Rows a bucket. */
  readonly backlogMax?: number;
  /** Since the store was opened; by default what `now` has moved. */
  readonly uptimeMs?: () => number;
  /** Since the operating system started; by default so long that it does not matter. */
  readonly bootedForMs?: () => number;
}

interface State {
  readonly rows: MemoryRows;
  readonly intents: ReadonlyMap<number, { writes: readonly AnnouncedWrite[]; instance: string }>;
  readonly lease: MemoryLease;
}

export class MemoryOutbox extends MemoryOutboxReads implements Outbox {
  readonly #now: () => number;
  readonly #dead = new Set<string>();
  readonly #listeners = new Set<(work: Work) => void>();
  #instance = 'process-1';
  protected rows: MemoryRows;
  #intents = new Map<number, { writes: readonly AnnouncedWrite[]; instance: string }>();
  #lease = new MemoryLease();
  #durableState: State;

  constructor(options: MemoryOutboxOptions) {
    super();
    const opened = options.now();
    this.#now = options.now;
    this.rows = new MemoryRows({
      now: options.now,
      isDiskLow: options.isDiskLow ?? (() => false),
      backlogMax: options.backlogMax ?? 1_000_000,
      uptimeMs: options.uptimeMs ?? (() => options.now() - opened),
      bootedForMs: options.bootedForMs ?? (() => Infinity),
      configuration: (bucket) => this.configuration(bucket),
    });
    this.#durableState = this.#copy();
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
    const boot = this.rows.boot + 1;
    const { rows, intents, lease } = this.#durableState;
    this.rows = rows.copy();
    this.rows.boot = boot;
    this.#instance = `process-${boot}`;
    this.#intents = new Map(intents);
    this.#lease = lease.copy();
    this.#listeners.clear();
  }

  kill(instance: string): void {
    this.#dead.add(instance);
  }

  asProcess(instance: string): Outbox {
    return callsInside<MemoryOutbox>(this, () => {
      const caller = this.#instance;
      this.#instance = instance;
      return () => {
        this.#instance = caller;
      };
    });
  }

  async announce(writes: readonly AnnouncedWrite[]): Promise<AnnouncedIntent> {
    const id = this.rows.next();
    this.#intents.set(id, { writes, instance: this.#instance });
    const replicates = writes.map((write) => this.rows.isCovered(write));
    await this.flushed();
    return { intent: id, replicates };
  }

  async commit(intent: number, writes: readonly CommittedWrite[]): Promise<readonly QueuedRow[]> {
    this.#intents.delete(intent);
    const rows = writes.flatMap((write) => this.rows.enqueueMatching(write, write));
    this.#tellRows(rows);
    return rows.map((row) => ({
      ...this.answer(this.rows.queue.rows.get(row.sequence) ?? row),
      isSynchronous: this.rows.isSynchronous(row),
    }));
  }

  async abandon(intent: number): Promise<void> {
    this.#intents.delete(intent);
  }

  async acquireLease(): Promise<number | null> {
    return this.#lease.take(this.#instance, this.#now(), (instance) => this.#dead.has(instance));
  }

  async renewLease(epoch: number): Promise<boolean> {
    return this.#lease.extend(epoch, this.#now());
  }

  async releaseLease(epoch: number): Promise<void> {
    this.#lease.giveBack(epoch);
  }

  async recoverClaims(epoch: number): Promise<void> {
    this.#fence(epoch);
    for (const [chain, claim] of [...this.rows.queue.claims]) {
      if (claim.epoch === epoch) continue;
      const row = this.rows.queue.rows.get(claim.sequence);
      this.rows.queue.claims.delete(chain);
      if (row === undefined) continue;
      const given = { ...row, doubtUntil: this.#now() + LINGER_MS };
      this.rows.losingUploads(() => this.rows.giveBack(given));
    }
    this.#tell(ANYWHERE);
  }

  async leftIntents(epoch: number): Promise<readonly LeftIntent[]> {
    this.#fence(epoch);
    return [...this.#intents]
      .filter(([, { instance }]) => this.#dead.has(instance))
      .slice(0, 256)
      .map(([id, { writes }]) => ({ id, writes }));
  }

  async settle(epoch: number, intent: number, changed: readonly AnnouncedWrite[]): Promise<void> {
    this.#fence(epoch);
    this.#intents.delete(intent);
    this.#tellRows(
      changed.flatMap((write) => this.rows.enqueueMatching({ ...write, replica: false }, null)),
    );
  }

  async claim(epoch: number, lane: LaneRef, request: ClaimRequest): Promise<Claim[]> {
    const { limit, now, operations, untriedFirst } = request;
    this.#fence(epoch);
    const due = this.rows
      .claimable(lane)
      .filter((row) => row.nextAttemptAt <= now && operations.includes(operationOf(row)))
      .sort((a, b) => a.nextAttemptAt - b.nextAttemptAt || a.sequence - b.sequence);
    const isTried = ({ attempts }: Row): boolean => untriedFirst && attempts > 0;
    const inOrder = [...due.filter((row) => !isTried(row)), ...due.filter(isTried)];
    return inOrder.slice(0, limit).map((row) => {
      const chain = chainOf(row);
      this.rows.queue.heads.delete(chain);
      this.rows.queue.claims.set(chain, { sequence: row.sequence, epoch });
      const laterVersionWaits = this.rows.queue
        .pendingOf(row)
        .some(({ order }) => order > row.order && order < ORDER_LAST);
      const doubtUntil = this.rows.doubtOf(row);
      return { row: this.answer({ ...row, doubtUntil }), laterVersionWaits };
    });
  }

  async settleClaim(epoch: number, claim: Claim, outcome: ClaimOutcome): Promise<boolean> {
    this.#fence(epoch);
    const chain = chainOf(claim.row);
    const held = this.rows.queue.claims.get(chain);
    const row = this.rows.queue.rows.get(claim.row.sequence);
    if (row === undefined || held?.sequence !== row.sequence || held.epoch !== epoch) return false;
    this.rows.queue.claims.delete(chain);
    const ended = outcome.kind === 'complete' ? outcome.uploadId : null;
    this.rows.losingUploads(
      () =>
        this.rows.applyOutcome(
          outcome.kind === 'complete' ? row : { ...row, boot: this.rows.boot },
          outcome,
        ),
      ended,
    );
    return true;
  }

  async storeUpload(epoch: number, claim: Claim, upload: UploadState | null): Promise<boolean> {
    this.#fence(epoch);
    const held = this.rows.queue.claims.get(chainOf(claim.row));
    const row = this.rows.queue.rows.get(claim.row.sequence);
    if (row === undefined || held?.sequence !== row.sequence || held.epoch !== epoch) return false;
    const aborted = upload === null ? (row.upload?.uploadId ?? null) : null;
    this.rows.losingUploads(
      () => this.rows.queue.rows.set(row.sequence, { ...row, upload }),
      aborted,
    );
    return true;
  }

  async forgetStrays(epoch: number, lane: LaneRef, strays: readonly StrayUpload[]): Promise<void> {
    this.#fence(epoch);
    this.rows.strays.forget(lane, strays);
  }

  async storeReport(
    epoch: number,
    lane: LaneRef,
    retryMark: number,
    report: LaneReport,
  ): Promise<void> {
    this.#fence(epoch);
    const { targets } = this.configuration(lane.bucket);
    if (!targets.some(({ id }) => id === lane.targetId)) return;
    this.rows.reports.store(lane, retryMark, report);
  }

  async retryRow(bucket: BucketRef, sequence: number, now: number): Promise<Row | null> {
    const row = this.rows.visible(bucket, {}).find((visible) => visible.sequence === sequence);
    if (row === undefined) return null;
    this.rows.losingUploads(() => this.rows.retry(row, now));
    this.#askToTryAnew(bucket, (id) => id === row.lane.targetId);
    await this.flushed();
    this.#tellRows([row]);
    return this.answer(this.rows.queue.rows.get(sequence) ?? row);
  }

  async retryRows(bucket: BucketRef, filter: RowFilter, now: number): Promise<number> {
    const retried = this.rows.losingUploads(() => this.rows.retryAll(bucket, filter, now));
    const { ruleIncarnation } = filter;
    const { rules } = this.configuration(bucket);
    const rule = rules.find(({ incarnation }) => incarnation === ruleIncarnation);
    this.#askToTryAnew(bucket, (id) => ruleIncarnation === undefined || id === rule?.targetId);
    await this.flushed();
    this.#tell({ kind: 'bucket', bucket });
    return retried;
  }

  async retryRefused(
    bucket: BucketRef,
    targetIds: readonly string[],
    now: number,
  ): Promise<number> {
    const retried = this.rows.losingUploads(() => this.rows.retryRefused(bucket, targetIds, now));
    await this.flushed();
    this.#tell({ kind: 'bucket', bucket });
    return retried;
  }

  async startResync(bucket: BucketRef, ruleId: string, now: number): Promise<ResyncJob | null> {
    const rule = this.configuration(bucket).rules.find(({ id }) => id === ruleId);
    if (rule?.enabled !== true) return null;
    if (this.resyncOf(bucket, ruleId)?.state === 'running') return null;
    const job = this.rows.gapsAndJobs.begin(bucket, rule, this.rows.next(), now);
    this.#askToTryAnew(bucket, (id) => id === rule.targetId);
    await this.flushed();
    this.#tell({ kind: 'bucket', bucket });
    return job;
  }

  async cancelResync(bucket: BucketRef, ruleId: string, now: number): Promise<boolean> {
    const job = this.resyncOf(bucket, ruleId);
    if (job?.state !== 'running') return false;
    this.rows.gapsAndJobs.put({ ...job, state: 'cancelled', finishedAt: now });
    await this.flushed();
    return true;
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
    const stored = this.resyncOf(job.bucket, job.ruleId);
    if (stored?.run !== job.run) return null;
    this.#tell({ kind: 'bucket', bucket: job.bucket });
    return this.rows.advanceResync(stored, keys, cursor, done, now);
  }

  async sweep(epoch: number, now: number): Promise<boolean> {
    this.#fence(epoch);
    this.rows.losingUploads(() => {
      this.rows.sweepDead(now);
      for (const row of [...this.rows.queue.rows.values()]) {
        if (this.rows.isExpired(row, now)) this.rows.expire(row);
      }
      this.rows.queue.chooseHeadsAnew();
    });
    this.rows.forgetStrays();
    return false;
  }

  async clampSchedules(epoch: number, now: number): Promise<void> {
    this.#fence(epoch);
    const latest = now + HOUR_MS;
    for (const sequence of this.rows.queue.heads.values()) {
      const row = this.rows.queue.rows.get(sequence);
      if (row === undefined || row.nextAttemptAt <= latest) continue;
      const doubtUntil = row.doubtUntil === null ? null : Math.min(row.doubtUntil, latest);
      this.rows.queue.rows.set(sequence, { ...row, nextAttemptAt: latest, doubtUntil });
    }
    this.#tell(ANYWHERE);
  }

  subscribe(listener: (work: Work) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  protected override changed(
    bucketName: string,
    before: StoredConfiguration | undefined,
    after: StoredConfiguration | undefined,
  ): void {
    const next = (): number => this.rows.next();
    this.rows.gapsAndJobs.change(bucketName, before, after, this.#now(), next);
    this.rows.reports.change(before, after, next);
    const ids = new Set([before?.bucketId, after?.bucketId]);
    for (const id of ids) {
      if (id !== undefined) this.#tell({ kind: 'bucket', bucket: { id, name: bucketName } });
    }
  }

  #askToTryAnew(bucket: BucketRef, isConcerned: (targetId: string) => boolean): void {
    const targets = this.configuration(bucket).targets.filter(({ id }) => isConcerned(id));
    this.rows.reports.askToTryAnew(bucket.id, targets, () => this.rows.next());
  }

  #fence(epoch: number): void {
    this.#lease.assert(epoch);
  }

  #tellRows(rows: readonly Pick<Row, 'lane'>[]): void {
    if (rows.length > 0) this.#tell({ kind: 'lanes', lanes: rows.map(({ lane }) => lane) });
  }

  #tell(work: Work): void {
    for (const listener of this.#listeners) queueMicrotask(() => listener(work));
  }

  #copy(): State {
    return {
      rows: this.rows.copy(),
      intents: new Map(this.#intents),
      lease: this.#lease.copy(),
    };
  }
}
