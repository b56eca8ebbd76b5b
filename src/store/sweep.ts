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
 * takes it over (claims.ts).
 */
import { judgeRuleset } from '../model/match.ts';
import { chainOf, type Chains } from './chains.ts';
import type { ConfigurationCache, LiveConfiguration } from './configuration-cache.ts';
import type { Enqueuer } from './enqueue.ts';
import { noteGap } from './gaps.ts';
import type { LaneNumbers } from './lanes.ts';
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
import type { Entry } from './queue-rows.ts';
import type { RowCounts } from './row-counts.ts';
import type { Strays } from './strays.ts';
import type { LaneOwner, Tables } from './tables.ts';

/**
 * Rows, heads or lanes that one transaction looks at: a few milliseconds of work, so that writes in
 * between hardly notice.
 */
const BATCH_MAX = 64;
/** Rows of a dead ruleset that it looks at to find some that may go. */
const LOOK_MAX = 256;
const HOUR_MS = 3_600_000;
const FAILED_KEPT_MS = 7 * 24 * HOUR_MS;

interface LaneState {
  readonly lane: number;
  readonly owner: LaneOwner;
  readonly configuration: LiveConfiguration;
}

export interface SweepOptions {
  readonly tables: Tables;
  readonly chains: Chains;
  readonly enqueuer: Enqueuer;
  readonly lanes: LaneNumbers;
  readonly counts: RowCounts;
  readonly configurations: ConfigurationCache;
  readonly strays: Strays;
}

export class Sweep {
  readonly #tables: Tables;
  readonly #chains: Chains;
  readonly #enqueuer: Enqueuer;
  readonly #lanes: LaneNumbers;
  readonly #counts: RowCounts;
  readonly #configurations: ConfigurationCache;
  readonly #strays: Strays;
  /** The lane that is next; 0 at the beginning. */
  #lane = 0;
  /** Where the look at the lane's parked heads goes on. */
  #parkedAfter: Buffer | null = null;
  /** Count of configuration changes at which a lane's parked heads were last looked at. */
  readonly #parkedSeen = new Map<number, number>();

  constructor(options: SweepOptions) {
    const { tables, chains, enqueuer, lanes, counts, configurations, strays } = options;
    this.#tables = tables;
    this.#chains = chains;
    this.#enqueuer = enqueuer;
    this.#lanes = lanes;
    this.#counts = counts;
    this.#configurations = configurations;
    this.#strays = strays;
  }

  /**
   * One batch, inside a write transaction. False once the last lane was looked at.
   *
   * @param uptimeMs since the server started: nothing expires in the first hour
   */
  run(now: number, uptimeMs: number): boolean {
    let budget = BATCH_MAX;
    const lanes = Array.from(
      this.#tables.laneOwners.range({ start: this.#lane, limit: BATCH_MAX }),
    );
    for (const { key: lane, value: owner } of lanes) {
      if (lane !== this.#lane) this.#parkedAfter = null;
      this.#lane = lane;
      const state = { lane, owner, configuration: this.#configurations.ofOwner(owner) };
      budget -= this.#sweepDead(state, budget, now);
      budget -= this.#passParked(state, budget);
      budget -= this.#forgetStrays(state, budget);
      if (budget <= 0) return true;
      this.#forgetLane(state);
      this.#lane = lane + 1;
    }
    if (lanes.length === BATCH_MAX) return true;
    this.#lane = 0;
    return uptimeMs >= HOUR_MS && this.#expire(now);
  }

  /** How many rows went or became verifications: as many as `budget` where there may be more. */
  #sweepDead({ lane, owner, configuration }: LaneState, budget: number, now: number): number {
    const dead = this.#counts
      .of(lane)
      .filter(({ key }) => judgeRuleset(configuration, owner.targetId, rulesetOf(key)) === 'dead');
    let swept = 0;
    for (const state of [PENDING, VERIFYING, FAILED] as const) {
      for (const { key: ruleset } of dead) {
        const entries = this.#atRest(queuePrefix(ruleset, state), budget - swept, now);
        const isInDoubt = (entry: Entry): boolean => this.#isInDoubt(entry, now);
        this.#chains.remove(entries.filter((entry) => !isInDoubt(entry)));
        for (const { sequence } of entries.filter(isInDoubt)) {
          this.#enqueuer.becomeVerification(sequence);
        }
        swept += entries.length;
        if (swept >= budget) return swept;
      }
    }
    return swept;
  }

  /** Rows in flight stay until their claim ends, and verifications until their time; both are few. */
  #atRest(prefix: Buffer, limit: number, now: number): Entry[] {
    const entries: Entry[] = [];
    const range = { start: prefix, end: endOf(prefix), limit: LOOK_MAX };
    for (const key of this.#tables.queue.keys(range)) {
      if (entries.length >= limit) break;
      const entry = this.#chains.rows.expect(trailingSequence(key));
      const { state, doubtUntil } = entry.row;
      const isEarly = state === 'verifying' && (doubtUntil ?? 0) > now;
      const mustStay = isEarly || this.#chains.isClaimed(entry);
      if (!mustStay) entries.push(entry);
    }
    return entries;
  }

  /** A verification whose time has come is over: nobody asked for it meanwhile. */
  #isInDoubt(entry: Entry, now: number): boolean {
    return entry.row.state !== 'verifying' && (this.#enqueuer.doubtOf(entry) ?? 0) > now;
  }

  /** Only after a change of a configuration, and only where the lane has rows under enabled rules too. */
  #passParked({ lane, owner, configuration }: LaneState, budget: number): number {
    const changes = this.#tables.counters.changes();
    if (budget <= 0 || this.#parkedSeen.get(lane) === changes) return 0;
    const rulesets = this.#counts
      .of(lane)
      .filter(({ pending, verifying }) => pending + verifying > 0);
    const states = new Map(
      rulesets.map(({ key }) => [key, judgeRuleset(configuration, owner.targetId, rulesetOf(key))]),
    );
    let looked = 0;
    if ([...states.values()].includes('active')) {
      for (const [ruleset, state] of states) {
        if (state !== 'active') looked += this.#passHeads(ruleset, budget - looked);
        if (looked >= budget) return looked;
      }
    }
    this.#parkedAfter = null;
    this.#parkedSeen.set(lane, changes);
    return looked;
  }

  #passHeads(ruleset: Buffer, limit: number): number {
    const after = this.#parkedAfter;
    const isPast = after !== null && Buffer.compare(after, endOf(ruleset)) >= 0;
    if (limit <= 0 || isPast) return 0;
    const isInside = after !== null && Buffer.compare(after, ruleset) > 0;
    const start = isInside ? { start: after, exclusiveStart: true } : { start: ruleset };
    const keys = Array.from(this.#tables.due.keys({ ...start, end: endOf(ruleset), limit }));
    for (const key of keys) {
      this.#chains.chooseHeadAnew(chainOf(this.#chains.rows.expect(trailingSequence(key))));
    }
    this.#parkedAfter = keys.at(-1) ?? after;
    return keys.length;
  }

  #forgetStrays({ lane, owner, configuration }: LaneState, budget: number): number {
    if (budget <= 0 || configuration.targets.some(({ id }) => id === owner.targetId)) return 0;
    return this.#strays.forget(lane, budget);
  }

  #forgetLane({ lane, owner, configuration }: LaneState): void {
    const { targets, rules } = configuration;
    if (targets.some(({ id }) => id === owner.targetId)) return;
    if (rules.some(({ targetId }) => targetId === owner.targetId)) return;
    if (this.#counts.of(lane).length > 0) return;
    this.#lanes.remove(lane, owner);
    this.#parkedSeen.delete(lane);
  }

  /** Failed rows that are too old; what they did not deliver is a gap from now on. */
  #expire(now: number): boolean {
    const keys = Array.from(this.#tables.expiries.keys({ limit: BATCH_MAX }));
    const old = keys.filter((key) => dueTimeOf(key) <= now - FAILED_KEPT_MS);
    for (const key of old) {
      const entry = this.#chains.rows.expect(trailingSequence(key));
      const owner = this.#tables.laneOwners.get(entry.row.lane);
      if (owner !== undefined) this.#noteExpiry(entry, owner, now);
      this.#chains.remove([entry]);
    }
    return old.length === BATCH_MAX;
  }

  #noteExpiry({ row }: Entry, owner: LaneOwner, now: number): void {
    for (const rule of this.#configurations.ofOwner(owner).rules) {
      if (rule.targetId !== owner.targetId || !row.ruleset.includes(rule.incarnation)) continue;
      const deleteLost = row.operation !== 'put' && rule.replicateDeletes;
      const drop = { incarnation: rule.incarnation, deleteLost };
      noteGap(this.#tables, { id: owner.bucketId }, drop, now);
    }
  }
}
