/** What users see of a bucket's queue: pages of rows, one row, and numbers. */
import type { BucketRef, ObjectRef } from '../host.ts';
import { judgeRuleset } from '../model/match.ts';
import type { LaneCondition, QueueStatus, QueueTotals, RowFilter } from '../model/queue.ts';
import type { LaneRef, Row, RowCount } from '../model/row.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import { gapsOf } from './gaps.ts';
import { reportOf } from './lane-reports.ts';
import { laneRefOf, type LaneNumbers } from './lanes.ts';
import {
  chainKey,
  endOf,
  FAILED,
  keyNameOf,
  laneOf,
  PENDING,
  queueKey,
  queuePrefix,
  readRuleset,
  rulesetOf,
  sequenceKey,
  trailingSequence,
  VERIFYING,
  type QueueStateByte,
  type StateByte,
} from './outbox-keys.ts';
import { OldestPending } from './oldest-pending.ts';
import { answerRow, queueStateOf, type QueueRows } from './queue-rows.ts';
import type { RowCounts, RulesetCount } from './row-counts.ts';
import type { Tables } from './tables.ts';
import type { TargetAccesses } from './target-access.ts';

const ALL_STATES: readonly QueueStateByte[] = [PENDING, VERIFYING, FAILED];
/** Rows of one chain and state that are looked at for a version. */
const VERSIONS_MAX = 64;
/** Counts that are looked at for lanes in one turn of the event loop: some milliseconds. */
const LANE_COUNTS_MAX = 64;

/** Rows of one lane and ruleset, as far as the bucket's configuration lets them be seen. */
export interface VisibleRuleset {
  /** Its key in `counts`. */
  readonly key: Buffer;
  readonly count: RowCount;
  /** In which states its rows match the filter. */
  readonly states: readonly QueueStateByte[];
}

export interface LanePage {
  /** By number. */
  readonly lanes: ReadonlyMap<number, LaneRef>;
  /** Where to go on; null at the end. */
  readonly last: Buffer | null;
}

export interface QueueViewOptions {
  readonly tables: Tables;
  readonly rows: QueueRows;
  readonly lanes: LaneNumbers;
  readonly counts: RowCounts;
  readonly configurations: ConfigurationCache;
  readonly accesses: TargetAccesses;
}

export class QueueView {
  readonly #tables: Tables;
  readonly #rows: QueueRows;
  readonly #lanes: LaneNumbers;
  readonly #counts: RowCounts;
  readonly #configurations: ConfigurationCache;
  readonly #accesses: TargetAccesses;
  readonly #oldest: OldestPending;

  constructor({ tables, rows, lanes, counts, configurations, accesses }: QueueViewOptions) {
    this.#tables = tables;
    this.#rows = rows;
    this.#lanes = lanes;
    this.#counts = counts;
    this.#configurations = configurations;
    this.#accesses = accesses;
    this.#oldest = new OldestPending(tables);
  }

  /** Newest first, before `after`; each ruleset gives its newest, and the newest of those are shown. */
  page(bucket: BucketRef, filter: RowFilter, after: number | null, limit: number): Row[] {
    const sequences = this.visible(bucket, filter).flatMap(({ key, states }) =>
      states.flatMap((state) => this.#newest(key, state, after, limit)),
    );
    return sequences
      .sort((a, b) => b - a)
      .slice(0, limit)
      .map((sequence) => this.#answer(sequence));
  }

  find(bucket: BucketRef, sequence: number): Row | null {
    const row = this.#tables.rows.get(sequenceKey(sequence));
    if (row === undefined) return null;
    const owner = this.#lanes.ownerOf(row.lane);
    if (owner.bucketId !== bucket.id) return null;
    const state = judgeRuleset(this.#configurations.of(bucket), owner.targetId, row.ruleset);
    return state === 'dead' ? null : this.#answer(sequence);
  }

  status(bucket: BucketRef): QueueStatus {
    const { targets, rules } = this.#configurations.of(bucket);
    const rulesets = this.visible(bucket, {});
    const oldest = new Map<string, number>();
    for (const { key, count } of rulesets) {
      const sequence = this.#oldestPending(key);
      const known = oldest.get(count.targetId) ?? Infinity;
      if (sequence !== undefined) oldest.set(count.targetId, Math.min(known, sequence));
    }
    return {
      counts: rulesets.map(({ count }) => count),
      gaps: gapsOf(this.#tables, bucket, rules),
      oldest: Array.from(oldest, ([targetId, sequence]) => ({
        targetId,
        createdAt: this.#rows.expect(sequence).row.createdAt,
      })),
      lanes: targets.map(({ id }) => this.#condition({ bucket, targetId: id })),
    };
  }

  #condition(lane: LaneRef): LaneCondition {
    return {
      targetId: lane.targetId,
      isSealed: this.#accesses.of(lane).kind === 'sealed',
      report: reportOf(this.#tables, lane),
    };
  }

  versionState({ bucket, key, versionId }: ObjectRef): Row['state'] | null {
    const rules = this.#configurations.of(bucket);
    const keyName = keyNameOf(key);
    const chains = this.#lanes.of(bucket).map(({ lane, targetId }) => ({
      prefix: chainKey(lane, keyName),
      isDead: (ruleset: readonly number[]) => judgeRuleset(rules, targetId, ruleset) === 'dead',
    }));
    const isIn = (state: StateByte): boolean =>
      chains.some((chain) => this.#mayHold(chain, state, versionId));
    if (isIn(PENDING)) return 'pending';
    return isIn(FAILED) ? 'failed' : null;
  }

  /**
   * Whether the version is among the chain's rows of that state. Versions that are asked for are new
   * ones mostly, and only the newest rows are looked at: somebody may ask for each of a hundred
   * thousand. Behind those, it is taken for one of the rest. That is wrong only of a version that was
   * delivered before all of them were queued, and right again once so few are left.
   */
  #mayHold(
    { prefix, isDead }: { prefix: Buffer; isDead: (ruleset: readonly number[]) => boolean },
    state: StateByte,
    versionId: string,
  ): boolean {
    const end = Buffer.concat([prefix, Buffer.of(state)]);
    const entries = Array.from(
      this.#tables.chains.range({ start: endOf(end), end, reverse: true, limit: VERSIONS_MAX }),
    );
    const holds = entries.some(({ key, value }) => {
      if (isDead(readRuleset(value, 0))) return false;
      const { row } = this.#rows.expect(trailingSequence(key));
      // A row without a version delivers whatever is current, which may be this one.
      return row.versionId === versionId || row.operation === 'resolve';
    });
    return holds || entries.length === VERSIONS_MAX;
  }

  totals(): QueueTotals {
    const totals = this.#counts.totals();
    return { ...totals, oldestPendingAt: totals.pending === 0 ? null : this.#oldest.createdAt() };
  }

  #oldestPending(ruleset: Buffer): number | undefined {
    const start = queuePrefix(ruleset, PENDING);
    const [entry] = this.#tables.queue.keys({ start, end: endOf(start), limit: 1 });
    return entry === undefined ? undefined : trailingSequence(entry);
  }

  /** Lanes with rows to try that some rule is left for, of one bucket. */
  lanes(bucket: BucketRef): LaneRef[] {
    const counts = this.#lanes.of(bucket).flatMap(({ lane }) => this.#counts.of(lane));
    return [...this.#withRows(counts).values()];
  }

  /** The same of all buckets, as far as some counts behind `after` tell. A lane may be on two pages. */
  lanePage(after: Buffer | null): LanePage {
    const counts = this.#counts.page(after, LANE_COUNTS_MAX);
    const last = counts.length < LANE_COUNTS_MAX ? null : (counts.at(-1)?.key ?? null);
    return { lanes: this.#withRows(counts), last };
  }

  #withRows(counts: readonly RulesetCount[]): Map<number, LaneRef> {
    const lanes = new Map<number, LaneRef>();
    for (const { key, pending, verifying } of counts) {
      const lane = laneOf(key);
      if (lanes.has(lane) || pending + verifying === 0) continue;
      const owner = this.#lanes.ownerOf(lane);
      const configuration = this.#configurations.ofOwner(owner);
      if (judgeRuleset(configuration, owner.targetId, rulesetOf(key)) === 'dead') continue;
      lanes.set(lane, laneRefOf(owner));
    }
    return lanes;
  }

  visible(bucket: BucketRef, { state, ruleIncarnation }: RowFilter): VisibleRuleset[] {
    const configuration = this.#configurations.of(bucket);
    return this.#lanes.of(bucket).flatMap(({ lane, targetId }) => {
      const hasTarget = configuration.targets.some(({ id }) => id === targetId);
      return this.#counts
        .of(lane)
        .map(({ key, pending, verifying, failed }) => ({
          key,
          count: { targetId, ruleset: rulesetOf(key), pending, verifying, failed },
          states: statesOf(state, hasTarget),
        }))
        .filter(
          ({ count: { ruleset } }) =>
            judgeRuleset(configuration, targetId, ruleset) !== 'dead' &&
            (ruleIncarnation === undefined || ruleset.includes(ruleIncarnation)),
        );
    });
  }

  /** The listed targets whose lanes the filter covers, whether or not they have rows. */
  targets(bucket: BucketRef, { ruleIncarnation }: RowFilter): string[] {
    const { targets, rules } = this.#configurations.of(bucket);
    const ids = targets.map(({ id }) => id);
    if (ruleIncarnation === undefined) return ids;
    const rule = rules.find(({ incarnation }) => incarnation === ruleIncarnation);
    return ids.filter((id) => id === rule?.targetId);
  }

  #newest(ruleset: Buffer, state: QueueStateByte, after: number | null, limit: number): number[] {
    const prefix = queuePrefix(ruleset, state);
    const start = after === null ? endOf(prefix) : queueKey(ruleset, state, after);
    const keys = this.#tables.queue.keys({
      start,
      end: prefix,
      reverse: true,
      limit: limit + 1,
    });
    return Array.from(keys, trailingSequence).filter((found) => after === null || found < after);
  }

  #answer(sequence: number): Row {
    const entry = this.#rows.expect(sequence);
    return answerRow(entry, laneRefOf(this.#lanes.ownerOf(entry.row.lane)));
  }
}

/** Without its target, a row that is pending counts as failed. */
function statesOf(state: RowFilter['state'], hasTarget: boolean): readonly QueueStateByte[] {
  if (state === undefined) return ALL_STATES;
  if (!hasTarget) return state === 'failed' ? ALL_STATES : [];
  return [queueStateOf({ state })];
}
