/** What people see of a bucket's queue: pages of rows, one row, and numbers. */
import type { BucketRef, ObjectRef } from '../host.ts';
import { judgeRuleset } from '../model/match.ts';
import type { LaneCondition, QueueStatus, QueueTotals, RowFilter } from '../model/queue.ts';
import type { LaneRef, Row, RowCount } from '../model/row.ts';
import { configurationOf } from './configurations.ts';
import { gapsOf } from './gaps.ts';
import { lanesOf, laneRefOf, ownerOf } from './lane-numbers.ts';
import { reportOf } from './lane-reports.ts';
import {
  chainKey,
  endOf,
  FAILED,
  keyNameOf,
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
import { answerRow, expectEntry, queueStateOf } from './rows.ts';
import { accessTarget } from './target-access.ts';
import type { Tx } from './tx.ts';

const ALL_STATES: readonly QueueStateByte[] = [PENDING, VERIFYING, FAILED];
/** Rows of one chain and state that are looked at for a version. */
const VERSIONS_MAX = 64;

/** Rows of one lane and ruleset, as far as the bucket's configuration lets them be seen. */
export interface VisibleRuleset {
  /** Its key in `counts`. */
  readonly key: Buffer;
  readonly count: RowCount;
  /** In which states its rows match the filter. */
  readonly states: readonly QueueStateByte[];
}

/** Newest first, before `after`; each ruleset gives its newest, and the newest of those are shown. */
export function pageRows(
  tx: Tx,
  bucket: BucketRef,
  filter: RowFilter,
  after: number | null,
  limit: number,
): Row[] {
  const sequences = visibleRulesets(tx, bucket, filter).flatMap(({ key, states }) =>
    states.flatMap((state) => newestRows(tx, key, state, after, limit)),
  );
  return sequences
    .sort((a, b) => b - a)
    .slice(0, limit)
    .map((sequence) => showRow(tx, sequence));
}

export function findRow(tx: Tx, bucket: BucketRef, sequence: number): Row | null {
  const row = tx.tables.rows.get(sequenceKey(sequence));
  if (row === undefined) return null;
  const owner = ownerOf(tx, row.lane);
  if (owner.bucketId !== bucket.id) return null;
  const state = judgeRuleset(configurationOf(tx, bucket), owner.targetId, row.ruleset);
  return state === 'dead' ? null : showRow(tx, sequence);
}

export function queueStatus(tx: Tx, bucket: BucketRef): QueueStatus {
  const { targets, rules } = configurationOf(tx, bucket);
  const rulesets = visibleRulesets(tx, bucket, {});
  const oldest = new Map<string, number>();
  for (const { key, count } of rulesets) {
    const sequence = oldestPending(tx, key);
    const known = oldest.get(count.targetId) ?? Infinity;
    if (sequence !== undefined) oldest.set(count.targetId, Math.min(known, sequence));
  }
  return {
    counts: rulesets.map(({ count }) => count),
    gaps: gapsOf(tx, bucket, rules),
    oldest: Array.from(oldest, ([targetId, sequence]) => ({
      targetId,
      createdAt: expectEntry(tx, sequence).row.createdAt,
    })),
    lanes: targets.map(({ id }) => conditionOf(tx, { bucket, targetId: id })),
  };
}

export function queueTotals({ counts, oldestPending: oldest }: Tx): QueueTotals {
  const totals = counts.totals();
  return { ...totals, oldestPendingAt: totals.pending === 0 ? null : oldest.createdAt() };
}

export function versionState(tx: Tx, { bucket, key, versionId }: ObjectRef): Row['state'] | null {
  const rules = configurationOf(tx, bucket);
  const keyName = keyNameOf(key);
  const chains = lanesOf(tx, bucket).map(({ lane, targetId }) => ({
    prefix: chainKey(lane, keyName),
    isDead: (ruleset: readonly number[]) => judgeRuleset(rules, targetId, ruleset) === 'dead',
  }));
  const isIn = (state: StateByte): boolean =>
    chains.some((chain) => mayHold(tx, chain, state, versionId));
  if (isIn(PENDING)) return 'pending';
  return isIn(FAILED) ? 'failed' : null;
}

export function visibleRulesets(
  tx: Tx,
  bucket: BucketRef,
  { state, ruleIncarnation }: RowFilter,
): VisibleRuleset[] {
  const configuration = configurationOf(tx, bucket);
  return lanesOf(tx, bucket).flatMap(({ lane, targetId }) => {
    const hasTarget = configuration.targets.some(({ id }) => id === targetId);
    return tx.counts
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
export function coveredTargets(
  tx: Tx,
  bucket: BucketRef,
  { ruleIncarnation }: RowFilter,
): string[] {
  const { targets, rules } = configurationOf(tx, bucket);
  const ids = targets.map(({ id }) => id);
  if (ruleIncarnation === undefined) return ids;
  const rule = rules.find(({ incarnation }) => incarnation === ruleIncarnation);
  return ids.filter((id) => id === rule?.targetId);
}

function conditionOf(tx: Tx, lane: LaneRef): LaneCondition {
  return {
    targetId: lane.targetId,
    isSealed: accessTarget(tx, lane).kind === 'sealed',
    report: reportOf(tx, lane),
  };
}

/**
 * Whether the version is among the chain's rows of that state. Versions that are asked for are new
 * ones mostly, and only the newest rows are looked at: somebody may ask for each of a hundred
 * thousand. Behind those, it is taken for one of the rest. That is wrong only of a version that was
 * delivered before all of them were queued, and right again once so few are left.
 */
function mayHold(
  tx: Tx,
  { prefix, isDead }: { prefix: Buffer; isDead: (ruleset: readonly number[]) => boolean },
  state: StateByte,
  versionId: string,
): boolean {
  const end = Buffer.concat([prefix, Buffer.of(state)]);
  const entries = Array.from(
    tx.tables.chains.range({ start: endOf(end), end, reverse: true, limit: VERSIONS_MAX }),
  );
  const holds = entries.some(({ key, value }) => {
    if (isDead(readRuleset(value, 0))) return false;
    const { row } = expectEntry(tx, trailingSequence(key));
    // A row without a version delivers whatever is current, which may be this one.
    return row.versionId === versionId || row.operation === 'resolve';
  });
  return holds || entries.length === VERSIONS_MAX;
}

function oldestPending({ tables }: Tx, ruleset: Buffer): number | undefined {
  const start = queuePrefix(ruleset, PENDING);
  const [entry] = tables.queue.keys({ start, end: endOf(start), limit: 1 });
  return entry === undefined ? undefined : trailingSequence(entry);
}

function newestRows(
  { tables }: Tx,
  ruleset: Buffer,
  state: QueueStateByte,
  after: number | null,
  limit: number,
): number[] {
  const prefix = queuePrefix(ruleset, state);
  const start = after === null ? endOf(prefix) : queueKey(ruleset, state, after);
  const keys = tables.queue.keys({ start, end: prefix, reverse: true, limit: limit + 1 });
  return Array.from(keys, trailingSequence).filter((found) => after === null || found < after);
}

function showRow(tx: Tx, sequence: number): Row {
  const entry = expectEntry(tx, sequence);
  return answerRow(entry, laneRefOf(ownerOf(tx, entry.row.lane)));
}

/** Without its target, a row that is pending counts as failed. */
function statesOf(state: RowFilter['state'], hasTarget: boolean): readonly QueueStateByte[] {
  if (state === undefined) return ALL_STATES;
  if (!hasTarget) return state === 'failed' ? ALL_STATES : [];
  return [queueStateOf({ state })];
}
