/** What the in-memory outbox answers without changing anything. */
import type { BucketRef, ObjectRef } from '../../src/host.ts';
import {
  EMPTY_CONFIGURATION,
  withoutSecrets,
  type Configuration,
} from '../../src/model/configuration.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import type { LaneReport } from '../../src/model/lane-report.ts';
import type {
  DueTimes,
  QueueStatus,
  QueueTotals,
  ResyncJob,
  RowFilter,
  StrayUpload,
  TargetAccess,
} from '../../src/model/ports.ts';
import { operationOf, type LaneRef, type Operation, type Row } from '../../src/model/row.ts';
import { MemoryConfigurationStore, openMemoryBox } from './memory-configuration-store.ts';
import { isSameLane, type MemoryRow } from './memory-queue.ts';
import type { MemoryRows } from './memory-rows.ts';
import { stateOf, statusOf, totalsOf } from './memory-view.ts';

export abstract class MemoryOutboxReads extends MemoryConfigurationStore {
  protected abstract rows: MemoryRows;

  async lanes(bucket?: BucketRef): Promise<readonly LaneRef[]> {
    const lanes: LaneRef[] = [];
    for (const row of this.rows.queue.rows.values()) {
      if (bucket !== undefined && row.lane.bucket.id !== bucket.id) continue;
      if (row.state === 'failed' || this.rows.judge(row) === 'dead') continue;
      if (!lanes.some((lane) => isSameLane(lane, row.lane))) lanes.push(row.lane);
    }
    return lanes;
  }

  async nextDueAt(lane: LaneRef): Promise<DueTimes> {
    const rows = this.rows.claimable(lane);
    const firstOf = (operation: Operation): number | null => {
      const times = rows.filter((row) => operationOf(row) === operation);
      return times.length === 0 ? null : Math.min(...times.map((row) => row.nextAttemptAt));
    };
    return { put: firstOf('put'), delete: firstOf('delete') };
  }

  async accessTarget(lane: LaneRef): Promise<TargetAccess> {
    const configuration = this.stored(lane.bucket);
    const stored = configuration?.targets.find(({ id }) => id === lane.targetId);
    if (configuration === undefined || stored === undefined) return { kind: 'absent' };
    const { secret, ...target } = stored;
    const secretAccessKey = openMemoryBox(lane.bucket.id, stored);
    if (secretAccessKey === null) return { kind: 'sealed', target };
    const rules = configuration.rules.filter(
      ({ enabled, targetId }) => enabled && targetId === target.id,
    );
    const { retryMark } = this.rows.reports.of(lane);
    return { kind: 'usable', target, secretAccessKey, rules, retryMark };
  }

  async strayLanes(): Promise<readonly LaneRef[]> {
    return this.rows.strays.lanes();
  }

  async strayUploads(
    lane: LaneRef,
    after: StrayUpload | null,
    limit: number,
  ): Promise<readonly StrayUpload[]> {
    return this.rows.strays.page(lane, after, limit);
  }

  async laneReport(lane: LaneRef): Promise<LaneReport> {
    return this.rows.reports.of(lane).report;
  }

  async pageRows(
    bucket: BucketRef,
    filter: RowFilter,
    after: number | null,
    limit: number,
  ): Promise<readonly Row[]> {
    return this.rows
      .visible(bucket, filter)
      .filter(({ sequence }) => after === null || sequence < after)
      .sort((a, b) => b.sequence - a.sequence)
      .slice(0, limit)
      .map((row) => this.answer(row));
  }

  async findRow(bucket: BucketRef, sequence: number): Promise<Row | null> {
    const row = this.rows.visible(bucket, {}).find((visible) => visible.sequence === sequence);
    return row === undefined ? null : this.answer(row);
  }

  async queueStatus(bucket: BucketRef): Promise<QueueStatus> {
    const { targets, rules } = this.configuration(bucket);
    const lanes = targets.map(async ({ id: targetId }) => {
      const lane = { bucket, targetId };
      const isSealed = (await this.accessTarget(lane)).kind === 'sealed';
      return { targetId, isSealed, report: await this.laneReport(lane) };
    });
    return { ...statusOf(this.rows, bucket, rules), lanes: await Promise.all(lanes) };
  }

  async queueTotals(): Promise<QueueTotals> {
    return totalsOf(this.rows);
  }

  async versionState(version: ObjectRef): Promise<Row['state'] | null> {
    return stateOf(this.rows, version);
  }

  async readResync(bucket: BucketRef, ruleId: string): Promise<ResyncJob | null> {
    return this.resyncOf(bucket, ruleId);
  }

  async runningResyncs(): Promise<readonly ResyncJob[]> {
    return this.rows.gapsAndJobs.running();
  }

  protected resyncOf(bucket: BucketRef, ruleId: string): ResyncJob | null {
    const job = this.rows.gapsAndJobs.find(bucket, ruleId);
    const rule = this.configuration(bucket).rules.find(({ id }) => id === ruleId);
    return job?.incarnation === rule?.incarnation ? (job ?? null) : null;
  }

  protected configuration(bucket: BucketRef): Configuration {
    const stored = this.stored(bucket);
    return stored === undefined ? EMPTY_CONFIGURATION : withoutSecrets(stored);
  }

  protected stored(bucket: BucketRef): StoredConfiguration | undefined {
    const stored = this.record(bucket.name);
    return stored?.bucketId === bucket.id ? stored : undefined;
  }

  protected answer({ boot, ...row }: MemoryRow): Row {
    return row;
  }
}
