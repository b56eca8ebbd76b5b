/**
 * The sweep: rows that nobody waits for go, a bounded number in each transaction.
 *
 * It walks the lanes in the order of their numbers, a batch at a time, and remembers where it was
 * only in memory: it begins anew after a restart. Per lane it removes rows of dead rulesets, lets
 * rows under enabled rules pass heads under disabled ones, forgets strays that nobody has credentials
 * for any longer, and forgets the lane where nothing can come back to it.
 *
 * A row of a dead ruleset whose request may still be applied leaves a verification, as dead as itself,
 * for as long as that may happen. Should a rule come back meanwhile, the first delivery of the key
 * takes it over (record.ts).
 */
import { judgeRuleset } from '../model/match.ts';
import { chainOf, isClaimed } from './chains.ts';
import { configurationOfOwner, type LiveConfiguration } from './configurations.ts';
import { becomeVerification, doubtOf } from './enqueue.ts';
import { noteGap } from './gaps.ts';
import { chooseHeadAnew, removeRows } from './heads.ts';
import { removeLane } from './lane-numbers.ts';
import {
  endOf,
  FAILED,
  PENDING,
  VERIFYING,
  queuePrefix,
  rulesetOf,
  dueTimeOf,
  trailingSequence,
} from './outbox-keys.ts';
import { expectEntry, type Entry } from './rows.ts';
import type { LaneOwner } from './tables.ts';
import type { Tx } from './tx.ts';
import { forgetStraysOfLane } from './uploads.ts';

/**
 * Rows, heads or lanes that one transaction looks at: a few milliseconds of work, so that writes in
 * between hardly notice.
 */
const BATCH_MAX = 64;
/** Rows of a dead ruleset that it looks at to find some that may go. */
const LOOK_MAX = 256;
const HOUR_MS = 3_600_000;
const FAILED_KEPT_MS = 7 * 24 * HOUR_MS;

/** Where a process is in the walk, and what it knows of the lanes. */
export interface SweepPlace {
  /** The lane that is next; 0 at the beginning. */
  lane: number;
  /** Where the look at the lane's parked heads goes on. */
  parkedAfter: Buffer | null;
  /** Count of configuration changes at which a lane's parked heads were last looked at. */
  readonly parkedSeen: Map<number, number>;
}

interface LaneState {
  readonly lane: number;
  readonly owner: LaneOwner;
  readonly configuration: LiveConfiguration;
}

/**
 * One batch. False once the last lane was looked at. Nothing expires in the first hour after the server
 * started.
 */
export function sweep(tx: Tx, now: number): boolean {
  const place = tx.sweepPlace;
  let budget = BATCH_MAX;
  const lanes = Array.from(tx.tables.laneOwners.range({ start: place.lane, limit: BATCH_MAX }));
  for (const { key: lane, value: owner } of lanes) {
    if (lane !== place.lane) place.parkedAfter = null;
    place.lane = lane;
    const state = { lane, owner, configuration: configurationOfOwner(tx, owner) };
    budget -= sweepDead(tx, state, budget, now);
    budget -= passParked(tx, state, budget);
    budget -= forgetStrays(tx, state, budget);
    if (budget <= 0) return true;
    forgetLane(tx, state);
    place.lane = lane + 1;
  }
  if (lanes.length === BATCH_MAX) return true;
  place.lane = 0;
  return tx.uptimeMs() >= HOUR_MS && expire(tx, now);
}

/** How many rows went or became verifications: as many as `budget` where there may be more. */
function sweepDead(
  tx: Tx,
  { lane, owner, configuration }: LaneState,
  budget: number,
  now: number,
): number {
  const dead = tx.counts
    .of(lane)
    .filter(({ key }) => judgeRuleset(configuration, owner.targetId, rulesetOf(key)) === 'dead');
  let swept = 0;
  for (const state of [PENDING, VERIFYING, FAILED] as const) {
    for (const { key: ruleset } of dead) {
      const entries = atRest(tx, queuePrefix(ruleset, state), budget - swept, now);
      const inDoubt = entries.filter((entry) => isInDoubt(tx, entry, now));
      removeRows(
        tx,
        entries.filter((entry) => !inDoubt.includes(entry)),
      );
      for (const { sequence } of inDoubt) becomeVerification(tx, sequence);
      swept += entries.length;
      if (swept >= budget) return swept;
    }
  }
  return swept;
}

/** Rows in flight stay until their claim ends, and verifications until their time; both are few. */
function atRest(tx: Tx, prefix: Buffer, limit: number, now: number): Entry[] {
  const entries: Entry[] = [];
  const range = { start: prefix, end: endOf(prefix), limit: LOOK_MAX };
  for (const key of tx.tables.queue.keys(range)) {
    if (entries.length >= limit) break;
    const entry = expectEntry(tx, trailingSequence(key));
    const { state, doubtUntil } = entry.row;
    const isEarly = state === 'verifying' && (doubtUntil ?? 0) > now;
    const mustStay = isEarly || isClaimed(tx, entry);
    if (!mustStay) entries.push(entry);
  }
  return entries;
}

/** A verification whose time has come is over: nobody asked for it meanwhile. */
function isInDoubt(tx: Tx, entry: Entry, now: number): boolean {
  return entry.row.state !== 'verifying' && (doubtOf(tx, entry) ?? 0) > now;
}

/** Only after a change of a configuration, and only where the lane has rows under enabled rules too. */
function passParked(tx: Tx, { lane, owner, configuration }: LaneState, budget: number): number {
  const changes = tx.counters.changes();
  if (budget <= 0 || tx.sweepPlace.parkedSeen.get(lane) === changes) return 0;
  const rulesets = tx.counts.of(lane).filter(({ pending, verifying }) => pending + verifying > 0);
  const states = new Map(
    rulesets.map(({ key }) => [key, judgeRuleset(configuration, owner.targetId, rulesetOf(key))]),
  );
  let looked = 0;
  if ([...states.values()].includes('active')) {
    for (const [ruleset, state] of states) {
      if (state !== 'active') looked += passHeads(tx, ruleset, budget - looked);
      if (looked >= budget) return looked;
    }
  }
  tx.sweepPlace.parkedAfter = null;
  tx.sweepPlace.parkedSeen.set(lane, changes);
  return looked;
}

function passHeads(tx: Tx, ruleset: Buffer, limit: number): number {
  const after = tx.sweepPlace.parkedAfter;
  const isPast = after !== null && Buffer.compare(after, endOf(ruleset)) >= 0;
  if (limit <= 0 || isPast) return 0;
  const isInside = after !== null && Buffer.compare(after, ruleset) > 0;
  const start = isInside ? { start: after, exclusiveStart: true } : { start: ruleset };
  const keys = Array.from(tx.tables.due.keys({ ...start, end: endOf(ruleset), limit }));
  for (const key of keys) {
    chooseHeadAnew(tx, chainOf(expectEntry(tx, trailingSequence(key))));
  }
  tx.sweepPlace.parkedAfter = keys.at(-1) ?? after;
  return keys.length;
}

function forgetStrays(tx: Tx, { lane, owner, configuration }: LaneState, budget: number): number {
  if (budget <= 0 || configuration.targets.some(({ id }) => id === owner.targetId)) return 0;
  return forgetStraysOfLane(tx, lane, budget);
}

function forgetLane(tx: Tx, { lane, owner, configuration }: LaneState): void {
  const { targets, rules } = configuration;
  if (targets.some(({ id }) => id === owner.targetId)) return;
  if (rules.some(({ targetId }) => targetId === owner.targetId)) return;
  if (tx.counts.of(lane).length > 0) return;
  removeLane(tx, lane, owner);
  tx.sweepPlace.parkedSeen.delete(lane);
}

/** Failed rows that are too old; what they did not deliver is a gap from now on. */
function expire(tx: Tx, now: number): boolean {
  const keys = Array.from(tx.tables.expiries.keys({ limit: BATCH_MAX }));
  const old = keys.filter((key) => dueTimeOf(key) <= now - FAILED_KEPT_MS);
  for (const key of old) {
    const entry = expectEntry(tx, trailingSequence(key));
    const owner = tx.tables.laneOwners.get(entry.row.lane);
    if (owner !== undefined) noteExpiry(tx, entry, owner, now);
    removeRows(tx, [entry]);
  }
  return old.length === BATCH_MAX;
}

function noteExpiry(tx: Tx, { row }: Entry, owner: LaneOwner, now: number): void {
  for (const rule of configurationOfOwner(tx, owner).rules) {
    if (rule.targetId !== owner.targetId || !row.ruleset.includes(rule.incarnation)) continue;
    const deleteLost = row.operation !== 'put' && rule.replicateDeletes;
    const drop = { incarnation: rule.incarnation, deleteLost };
    noteGap(tx, { id: owner.bucketId }, drop, now);
  }
}
