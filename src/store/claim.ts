/** What there is to deliver: lanes that have rows, when these are due, and claims of due heads. */
import type { BucketRef } from '../host.ts';
import { judgeRuleset } from '../model/match.ts';
import type { ClaimRequest, DueTimes } from '../model/queue.ts';
import type { Claim, LaneRef, Operation } from '../model/row.ts';
import { laterVersionWaits } from './chains.ts';
import { configurationOf, configurationOfOwner } from './configurations.ts';
import { doubtOf } from './enqueue.ts';
import { claimHead } from './heads.ts';
import { findLane, laneRefOf, lanesOf, ownerOf } from './lane-numbers.ts';
import { duePrefix, dueTimeOf, endOf, laneOf, rulesetOf, trailingSequence } from './outbox-keys.ts';
import type { RulesetCount } from './row-counts.ts';
import { answerRow, expectEntry } from './rows.ts';
import type { Tx } from './tx.ts';

/** Due heads of each ruleset and operation that are looked at for one that was never tried. */
const UNTRIED_LOOK_MAX = 64;
/** Counts that are looked at for lanes in one turn of the event loop: some milliseconds. */
const LANE_COUNTS_MAX = 64;

export interface LanePage {
  /** By number. */
  readonly lanes: ReadonlyMap<number, LaneRef>;
  /** Where to go on; null at the end. */
  readonly last: Buffer | null;
}

interface DueHead {
  readonly time: number;
  readonly sequence: number;
}

/** Lanes with rows to try that some rule is left for, of one bucket. */
export function lanesWithRows(tx: Tx, bucket: BucketRef): LaneRef[] {
  const counts = lanesOf(tx, bucket).flatMap(({ lane }) => tx.counts.of(lane));
  return [...lanesOfCounts(tx, counts).values()];
}

/** The same of all buckets, as far as some counts behind `after` tell. A lane may be on two pages. */
export function pageLanesWithRows(tx: Tx, after: Buffer | null): LanePage {
  const counts = tx.counts.page(after, LANE_COUNTS_MAX);
  const last = counts.length < LANE_COUNTS_MAX ? null : (counts.at(-1)?.key ?? null);
  return { lanes: lanesOfCounts(tx, counts), last };
}

export function nextDueAt(tx: Tx, lane: LaneRef): DueTimes {
  const rulesets = dueRulesets(tx, lane);
  const firstOf = (operation: Operation): number | null => {
    const times = rulesets.flatMap((ruleset) => dueHeads(tx, ruleset, operation, 1));
    return times.length === 0 ? null : Math.min(...times.map(({ time }) => time));
  };
  return { put: firstOf('put'), delete: firstOf('delete') };
}

export function claim(tx: Tx, epoch: number, lane: LaneRef, request: ClaimRequest): Claim[] {
  const { limit, now, operations, untriedFirst } = request;
  const looked = untriedFirst ? Math.max(limit, UNTRIED_LOOK_MAX) : limit;
  const due = dueRulesets(tx, lane)
    .flatMap((ruleset) =>
      operations.flatMap((operation) => dueHeads(tx, ruleset, operation, looked)),
    )
    .filter(({ time }) => time <= now)
    .sort((a, b) => a.time - b.time || a.sequence - b.sequence);
  return (untriedFirst ? withUntriedFirst(tx, due) : due).slice(0, limit).map(({ sequence }) => {
    const entry = expectEntry(tx, sequence);
    claimHead(tx, entry, epoch);
    const doubtUntil = doubtOf(tx, entry);
    return {
      row: { ...answerRow(entry, lane), doubtUntil },
      laterVersionWaits: laterVersionWaits(tx, entry),
    };
  });
}

function lanesOfCounts(tx: Tx, counts: readonly RulesetCount[]): Map<number, LaneRef> {
  const lanes = new Map<number, LaneRef>();
  for (const { key, pending, verifying } of counts) {
    const lane = laneOf(key);
    if (lanes.has(lane) || pending + verifying === 0) continue;
    const owner = ownerOf(tx, lane);
    const configuration = configurationOfOwner(tx, owner);
    if (judgeRuleset(configuration, owner.targetId, rulesetOf(key)) === 'dead') continue;
    lanes.set(lane, laneRefOf(owner));
  }
  return lanes;
}

/** Prefixes in `due` of the rulesets that may deliver now. */
function dueRulesets(tx: Tx, lane: LaneRef): Buffer[] {
  const number = findLane(tx, lane);
  const configuration = configurationOf(tx, lane.bucket);
  const target = configuration.targets.find(({ id }) => id === lane.targetId);
  if (number === undefined || target?.enabled !== true) return [];
  return tx.counts
    .of(number)
    .filter(
      ({ key, pending, verifying }) =>
        pending + verifying > 0 &&
        judgeRuleset(configuration, target.id, rulesetOf(key)) === 'active',
    )
    .map(({ key }) => key);
}

function dueHeads({ tables }: Tx, ruleset: Buffer, operation: Operation, limit: number): DueHead[] {
  const start = duePrefix(ruleset, operation);
  return Array.from(tables.due.keys({ start, end: endOf(start), limit }), (key) => ({
    time: dueTimeOf(key),
    sequence: trailingSequence(key),
  }));
}

function withUntriedFirst(tx: Tx, due: readonly DueHead[]): DueHead[] {
  const isTried = ({ sequence }: DueHead): boolean => expectEntry(tx, sequence).row.attempts > 0;
  const tried = due.slice(0, UNTRIED_LOOK_MAX).filter(isTried);
  return [...due.filter((head) => !tried.includes(head)), ...tried];
}
