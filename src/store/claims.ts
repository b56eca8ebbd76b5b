/**
 * Claims: a chain's head goes to the process that holds the lease, and comes back as an outcome.
 * All methods run inside a write transaction; the caller has checked the epoch.
 */
import { judgeRuleset } from '../model/match.ts';
import type { ClaimOutcome } from '../model/ports.ts';
import { ORDER_LAST, type Claim, type LaneRef, type UploadState } from '../model/row.ts';
import { chainOf, type ChainRef, type Chains } from './chains.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import type { Enqueuer } from './enqueue.ts';
import type { LaneNumbers } from './lanes.ts';
import {
  chainEntryKey,
  chainKey,
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

  nextDueAt(lane: LaneRef): number | null {
    const times = this.#dueRulesets(lane).flatMap((prefix) =>
      Array.from(
        this.#tables.due.getKeys({ start: prefix, end: endOf(prefix), limit: 1 }),
        dueTimeOf,
      ),
    );
    return times.length === 0 ? null : Math.min(...times);
  }

  claim(epoch: number, lane: LaneRef, limit: number, now: number): Claim[] {
    const due = this.#dueRulesets(lane).flatMap((prefix) =>
      Array.from(this.#tables.due.getKeys({ start: prefix, end: endOf(prefix), limit }), (key) => ({
        time: dueTimeOf(key),
        sequence: trailingSequence(key),
      })),
    );
    return due
      .filter(({ time }) => time <= now)
      .sort((a, b) => a.time - b.time || a.sequence - b.sequence)
      .slice(0, limit)
      .map(({ sequence }) => {
        const entry = this.#chains.rows.expect(sequence);
        this.#chains.claimHead(entry, epoch);
        const compareFirst = this.#enqueuer.isSuspect(entry);
        return {
          row: { ...answerRow(entry, lane), compareFirst },
          laterVersionWaits: this.#chains.laterVersionWaits(entry),
        };
      });
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
    const row = { ...claimed.row, boot: this.#boot, verifyAt: null };
    const attempts = row.attempts + 1;
    switch (outcome.kind) {
      case 'retry': {
        const { nextAttemptAt, lastError, compareFirst, upload, asResolve } = outcome;
        const tried = { ...row, attempts, nextAttemptAt, lastError, compareFirst, upload };
        this.#giveBack(claimed, asResolve ? toResolve(tried) : tried);
        return true;
      }
      case 'fail': {
        const { lastError, compareFirst } = outcome;
        const failed = {
          ...row,
          attempts,
          lastError,
          compareFirst,
          upload: null,
          state: 'failed',
          failedAt: this.#now(),
        } as const;
        this.#chains.fail(claimed, failed);
        return true;
      }
      case 'release':
        this.#giveBack(claimed, { ...row, compareFirst: outcome.compareFirst });
        return true;
    }
  }

  /**
   * Gives back up to 256 claims of other epochs.
   *
   * @param after the key of the last claim that was looked at
   * @returns the key to go on after, or null at the end
   */
  recover(epoch: number, after: Buffer | null): Buffer | null {
    const start = after === null ? {} : { start: after, exclusiveStart: true };
    const claims = Array.from(this.#tables.claims.getRange({ ...start, limit: BATCH_MAX }));
    for (const { value } of claims) {
      const claim = readClaim(value);
      if (claim.epoch === epoch) continue;
      const entry = this.#chains.rows.expect(claim.sequence);
      this.#giveBack(entry, { ...entry.row, compareFirst: true, verifyAt: null });
    }
    return claims.length < BATCH_MAX ? null : (claims.at(-1)?.key ?? null);
  }

  #complete(
    claimed: Entry,
    { upTo, verifyAt, uploadId }: Extract<ClaimOutcome, { kind: 'complete' }>,
  ): boolean {
    // Most chains have one row: what else would have to be looked for is known not to be there.
    const isAlone = this.#chains.isAlone(claimed);
    if (!isAlone && !this.#supersede(claimed, upTo)) return false;
    const isCompleted = claimed.row.upload?.uploadId === uploadId;
    this.#chains.finish(isCompleted ? withoutUpload(claimed) : claimed);
    if (!isAlone) this.#adoptVerification(claimed);
    if (verifyAt === null) return true;
    const { key, lane, ruleset } = claimed.row;
    const delivery = { key, operation: 'put', version: null } as const;
    this.#enqueuer.add(lane, ruleset, delivery, verifyAt);
    return true;
  }

  /** Removes up to 256 rows that the claimed one supersedes; false where more are left. */
  #supersede(claimed: Entry, upTo: number): boolean {
    const entries = this.#superseded(chainOf(claimed), upTo)
      .filter((sequence) => sequence !== claimed.sequence)
      .map((sequence) => this.#chains.rows.expect(sequence));
    const batch = entries.slice(0, BATCH_MAX);
    this.#chains.remove(batch);
    if (batch.some((entry) => this.#enqueuer.isSuspect(entry))) this.#verifyLater(claimed);
    return entries.length <= BATCH_MAX;
  }

  /**
   * A request for a row whose rules are disabled or gone may be applied after what was delivered now:
   * the rules of the latter want the key looked at.
   */
  #adoptVerification(delivered: Entry): void {
    const resolve = this.#chains.findResolve(chainOf(delivered), -1);
    if (resolve === undefined || this.#chains.isActive(resolve)) return;
    if (this.#enqueuer.isSuspect(resolve)) this.#verifyLater(delivered);
  }

  #verifyLater({ row }: Entry): void {
    this.#enqueuer.addVerification(row.lane, row.ruleset, row.key);
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
        ({ key, pending }) =>
          pending > 0 && judgeRuleset(configuration, target.id, rulesetOf(key)) === 'active',
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
      return Array.from(this.#tables.chains.getKeys({ start, end, limit: BATCH_MAX + 2 }));
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
