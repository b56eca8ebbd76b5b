/**
 * Claims: a chain's head goes to the process that holds the lease, and comes back as an outcome.
 * All methods run inside a write transaction; the caller has checked the epoch.
 */
import { judgeRuleset } from '../model/match.ts';
import { LINGER_MS } from '../model/delivery.ts';
import { laterDoubt } from '../model/doubt.ts';
import type { ClaimOutcome, ClaimRequest, DueTimes } from '../model/queue.ts';
import {
  ORDER_LAST,
  type Claim,
  type LaneRef,
  type Operation,
  type UploadState,
} from '../model/row.ts';
import { chainOf, type ChainRef, type Chains } from './chains.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import type { Enqueuer } from './enqueue.ts';
import type { LaneNumbers } from './lanes.ts';
import {
  chainEntryKey,
  chainKey,
  duePrefix,
  dueTimeOf,
  endOf,
  FAILED,
  orderOf,
  PENDING,
  readClaim,
  rulesetOf,
  trailingSequence,
  type StateByte,
} from './outbox-keys.ts';
import { answerRow, withoutUpload, type Entry } from './queue-rows.ts';
import type { RowCounts } from './row-counts.ts';
import type { Tables } from './tables.ts';

/** Rows that one transaction removes at most. */
export const BATCH_MAX = 256;
/** Due heads of each ruleset and operation that are looked at for one that was never tried. */
const UNTRIED_LOOK_MAX = 64;

interface DueHead {
  readonly time: number;
  readonly sequence: number;
}

export interface ClaimsOptions {
  readonly tables: Tables;
  readonly chains: Chains;
  readonly lanes: LaneNumbers;
  readonly counts: RowCounts;
  readonly configurations: ConfigurationCache;
  readonly enqueuer: Enqueuer;
  readonly now: () => number;
  /** Which start of the operating system this is. */
  readonly boot: number;
}

export class Claims {
  readonly #tables: Tables;
  readonly #chains: Chains;
  readonly #lanes: LaneNumbers;
  readonly #counts: RowCounts;
  readonly #configurations: ConfigurationCache;
  readonly #enqueuer: Enqueuer;
  readonly #now: () => number;
  readonly #boot: number;

  constructor(options: ClaimsOptions) {
    const { tables, chains, lanes, counts, configurations, enqueuer, now, boot } = options;
    this.#tables = tables;
    this.#chains = chains;
    this.#lanes = lanes;
    this.#counts = counts;
    this.#configurations = configurations;
    this.#enqueuer = enqueuer;
    this.#now = now;
    this.#boot = boot;
  }

  nextDueAt(lane: LaneRef): DueTimes {
    const rulesets = this.#dueRulesets(lane);
    const firstOf = (operation: Operation): number | null => {
      const times = rulesets.flatMap((ruleset) => this.#due(ruleset, operation, 1));
      return times.length === 0 ? null : Math.min(...times.map(({ time }) => time));
    };
    return { put: firstOf('put'), delete: firstOf('delete') };
  }

  claim(epoch: number, lane: LaneRef, request: ClaimRequest): Claim[] {
    const { limit, now, operations, untriedFirst } = request;
    const looked = untriedFirst ? Math.max(limit, UNTRIED_LOOK_MAX) : limit;
    const due = this.#dueRulesets(lane)
      .flatMap((ruleset) =>
        operations.flatMap((operation) => this.#due(ruleset, operation, looked)),
      )
      .filter(({ time }) => time <= now)
      .sort((a, b) => a.time - b.time || a.sequence - b.sequence);
    return (untriedFirst ? this.#untriedFirst(due) : due).slice(0, limit).map(({ sequence }) => {
      const entry = this.#chains.rows.expect(sequence);
      this.#chains.claimHead(entry, epoch);
      const doubtUntil = this.#enqueuer.doubtOf(entry);
      return {
        row: { ...answerRow(entry, lane), doubtUntil },
        laterVersionWaits: this.#chains.laterVersionWaits(entry),
      };
    });
  }

  #due(ruleset: Buffer, operation: Operation, limit: number): DueHead[] {
    const start = duePrefix(ruleset, operation);
    return Array.from(this.#tables.due.keys({ start, end: endOf(start), limit }), (key) => ({
      time: dueTimeOf(key),
      sequence: trailingSequence(key),
    }));
  }

  #untriedFirst(due: readonly DueHead[]): DueHead[] {
    const isTried = ({ sequence }: DueHead): boolean =>
      this.#chains.rows.expect(sequence).row.attempts > 0;
    const tried = due.slice(0, UNTRIED_LOOK_MAX).filter(isTried);
    return [...due.filter((head) => !tried.includes(head)), ...tried];
  }

  /** The claimed row, or undefined where it is not claimed under that epoch. */
  find(epoch: number, claim: Claim): Entry | undefined {
    const entry = this.#chains.rows.read(claim.row.sequence);
    if (entry === undefined) return undefined;
    const held = this.#tables.claims.get(chainKey(entry.row.lane, entry.keyName));
    if (held === undefined) return undefined;
    const { sequence, epoch: heldEpoch } = readClaim(held);
    return sequence === entry.sequence && heldEpoch === epoch ? entry : undefined;
  }

  storeUpload(entry: Entry, upload: UploadState | null): void {
    const old = upload === null ? withoutUpload(entry) : entry;
    this.#chains.rows.replace(old, { ...entry, row: { ...entry.row, upload } });
  }

  /** False where hundreds of rows are superseded: then a batch of them went, and it is to be called again. */
  settle(claimed: Entry, outcome: ClaimOutcome): boolean {
    if (outcome.kind === 'complete') return this.#complete(claimed, outcome);
    const { doubtUntil } = outcome;
    const row = { ...claimed.row, boot: this.#boot, doubtUntil };
    const attempts = row.attempts + 1;
    switch (outcome.kind) {
      case 'retry': {
        const { nextAttemptAt, lastError, refused, upload, asResolve } = outcome;
        const tried = { ...row, attempts, nextAttemptAt, lastError, refused, upload };
        const newer = refused || asResolve ? this.#chains.overtaking(claimed) : undefined;
        if (newer !== undefined) {
          this.#overtake(claimed, newer, this.#enqueuer.doubtOf({ ...claimed, row: tried }));
        } else {
          this.#giveBack(claimed, asResolve ? toResolve(tried) : tried);
        }
        return true;
      }
      case 'fail': {
        const { lastError, refused } = outcome;
        const failed = {
          ...row,
          attempts,
          lastError,
          refused,
          upload: null,
          state: 'failed',
          failedAt: this.#now(),
        } as const;
        this.#chains.fail(claimed, failed);
        return true;
      }
      case 'release':
        this.#giveBack(claimed, row);
        return true;
    }
  }

  /** What the target refuses, or what is gone, does not hold up what came after it. */
  #overtake(claimed: Entry, { sequence }: Entry, doubtUntil: number | null): void {
    this.#chains.finish(claimed);
    const newer = this.#chains.rows.expect(sequence);
    this.#chains.update(newer, this.#chains.adoptRules(newer.row, claimed.row));
    if (doubtUntil !== null && doubtUntil > this.#now()) this.#verifyLater(claimed, doubtUntil);
  }

  /**
   * Gives back up to 256 claims of other epochs.
   *
   * @param after the key of the last claim that was looked at
   * @returns the key to go on after, or null at the end
   */
  recover(epoch: number, after: Buffer | null): Buffer | null {
    const start = after === null ? {} : { start: after, exclusiveStart: true };
    const claims = Array.from(this.#tables.claims.range({ ...start, limit: BATCH_MAX }));
    for (const { value } of claims) {
      const claim = readClaim(value);
      if (claim.epoch === epoch) continue;
      const entry = this.#chains.rows.expect(claim.sequence);
      this.#giveBack(entry, { ...entry.row, doubtUntil: this.#now() + LINGER_MS });
    }
    return claims.length < BATCH_MAX ? null : (claims.at(-1)?.key ?? null);
  }

  #complete(
    claimed: Entry,
    { upTo, begunAt, uploadId }: Extract<ClaimOutcome, { kind: 'complete' }>,
  ): boolean {
    // Most chains have one row: what else would have to be looked for is known not to be there.
    const isAlone = this.#chains.isAlone(claimed);
    if (!isAlone && !this.#supersede(claimed, upTo, begunAt)) return false;
    const isCompleted = claimed.row.upload?.uploadId === uploadId;
    this.#chains.finish(isCompleted ? withoutUpload(claimed) : claimed);
    if (!isAlone) this.#adoptDoubt(claimed, begunAt);
    this.#verifyAfter(claimed, this.#enqueuer.doubtOf(claimed), begunAt);
    return true;
  }

  /** Removes up to 256 rows that the claimed one supersedes; false where more are left. */
  #supersede(claimed: Entry, upTo: number, begunAt: number): boolean {
    const entries = this.#superseded(chainOf(claimed), upTo)
      .filter((sequence) => sequence !== claimed.sequence)
      .map((sequence) => this.#chains.rows.expect(sequence));
    const batch = entries.slice(0, BATCH_MAX);
    this.#chains.remove(batch);
    const doubts = batch.map((entry) => this.#enqueuer.doubtOf(entry));
    this.#verifyAfter(claimed, doubts.reduce(laterDoubt, null), begunAt);
    return entries.length <= BATCH_MAX;
  }

  /**
   * A request for a row whose rules are disabled or gone may be applied after what was delivered now:
   * the rules of the latter want the key looked at.
   */
  #adoptDoubt(delivered: Entry, begunAt: number): void {
    const resolve = this.#chains.findResolve(chainOf(delivered), -1);
    if (resolve === undefined || this.#chains.isActive(resolve)) return;
    this.#verifyAfter(delivered, this.#enqueuer.doubtOf(resolve), begunAt);
  }

  /** What was sent after the doubt was over stays as it is. */
  #verifyAfter(delivered: Entry, doubtUntil: number | null, begunAt: number): void {
    if (doubtUntil !== null && doubtUntil > begunAt) this.#verifyLater(delivered, doubtUntil);
  }

  #verifyLater({ row }: Entry, doubtUntil: number): void {
    this.#enqueuer.addVerification(row.lane, row.ruleset, row.key, doubtUntil);
  }

  #giveBack(claimed: Entry, row: Entry['row']): void {
    this.#chains.giveBack(claimed, this.#enqueuer.takeIn(claimed, row));
  }

  /** Prefixes in `due` of the rulesets that may deliver now. */
  #dueRulesets(lane: LaneRef): Buffer[] {
    const number = this.#lanes.find(lane);
    const configuration = this.#configurations.of(lane.bucket);
    const target = configuration.targets.find(({ id }) => id === lane.targetId);
    if (number === undefined || target?.enabled !== true) return [];
    return this.#counts
      .of(number)
      .filter(
        ({ key, pending, verifying }) =>
          pending + verifying > 0 &&
          judgeRuleset(configuration, target.id, rulesetOf(key)) === 'active',
      )
      .map(({ key }) => key);
  }

  /**
   * Rows up to that order, at most two batches and a little more. Pending `resolve` rows stay: they may
   * be for changes after what was delivered. Failed ones are from before it and go.
   */
  #superseded({ lane, keyName }: ChainRef, upTo: number): number[] {
    const last = Math.min(upTo, ORDER_LAST - 1);
    const find = (state: StateByte): Buffer[] => {
      const start = chainEntryKey(lane, keyName, state, 0, 0);
      const end = endOf(start.subarray(0, -12));
      return Array.from(this.#tables.chains.keys({ start, end, limit: BATCH_MAX + 2 }));
    };
    const isPast = (key: Buffer): boolean => orderOf(key) <= last || orderOf(key) === ORDER_LAST;
    return [
      ...find(PENDING).filter((key) => orderOf(key) <= last),
      ...find(FAILED).filter(isPast),
    ].map(trailingSequence);
  }
}

function toResolve(row: Entry['row']): Entry['row'] {
  return { ...row, operation: 'resolve', versionId: null, order: ORDER_LAST };
}
