/**
 * The right to deliver: model/ports.ts on the tables, under the epoch of one taking of the lease. Every
 * transaction asks first whether the lease is still held under it.
 */
import type { AnnouncedWrite } from '../host.ts';
import type { LaneReport } from '../model/lane-report.ts';
import type { Tenure } from '../model/ports.ts';
import type {
  ClaimOutcome,
  ClaimRequest,
  IntentId,
  LeftIntent,
  ResyncJob,
  StrayUpload,
} from '../model/queue.ts';
import type { Claim, LaneRef, UploadState } from '../model/row.ts';
import { ANYWHERE } from '../model/work.ts';
import { leftIntents } from './announce.ts';
import { claim } from './claim.ts';
import type { CommitFeed } from './commit-feed.ts';
import { settle } from './commit.ts';
import { storeReport } from './lane-reports.ts';
import { assertLeaseHeld, giveLeaseBack, renewLease } from './ownership.ts';
import { settleClaim, storeUpload } from './record.ts';
import { advanceResync } from './resync.ts';
import { sweep } from './sweep.ts';
import type { Manner, Transactions } from './transactions.ts';
import type { Tx } from './tx.ts';
import { clampSchedules, recoverClaims, scheduledRulesets } from './upkeep.ts';
import { forgetStrays } from './uploads.ts';

/** How long an outcome that nobody waits for lets others share its transaction. */
const OUTCOME_PATIENCE_MS = 8;

export class StoredTenure implements Tenure {
  readonly epoch: number;
  readonly #transactions: Transactions;
  readonly #feed: CommitFeed;

  constructor(epoch: number, transactions: Transactions, feed: CommitFeed) {
    this.epoch = epoch;
    this.#transactions = transactions;
    this.#feed = feed;
  }

  renew(): Promise<boolean> {
    return this.#transactions.write((tx) => renewLease(tx, this.epoch));
  }

  release(): Promise<void> {
    return this.#transactions.write((tx) => giveLeaseBack(tx, this.epoch));
  }

  claim(lane: LaneRef, request: ClaimRequest): Promise<readonly Claim[]> {
    return this.#writeTogether((tx) => claim(tx, this.epoch, lane, request));
  }

  async settleClaim(claimed: Claim, outcome: ClaimOutcome, isAwaited = true): Promise<boolean> {
    const manner = isAwaited ? {} : { patienceMs: OUTCOME_PATIENCE_MS };
    for (;;) {
      const settled = await this.#writeTogether(
        (tx) => settleClaim(tx, this.epoch, claimed, outcome),
        manner,
      );
      if (settled !== 'more') return settled;
    }
  }

  storeUpload(claimed: Claim, upload: UploadState | null): Promise<boolean> {
    return this.#write((tx) => storeUpload(tx, this.epoch, claimed, upload));
  }

  forgetStrays(lane: LaneRef, strays: readonly StrayUpload[]): Promise<void> {
    return this.#write((tx) => forgetStrays(tx, lane, strays));
  }

  storeReport(lane: LaneRef, retryMark: number, report: LaneReport): Promise<void> {
    const manner = { patienceMs: OUTCOME_PATIENCE_MS };
    return this.#writeTogether((tx) => storeReport(tx, lane, retryMark, report), manner);
  }

  async recoverClaims(): Promise<void> {
    let after: Buffer | null = null;
    do {
      const from: Buffer | null = after;
      after = await this.#write<Buffer | null>((tx) => recoverClaims(tx, this.epoch, from));
    } while (after !== null);
    this.#feed.tell(ANYWHERE);
  }

  leftIntents(): Promise<readonly LeftIntent[]> {
    return this.#write(leftIntents);
  }

  async settle(intent: IntentId, changed: readonly AnnouncedWrite[]): Promise<void> {
    this.#feed.tellRows(await this.#write((tx) => settle(tx, intent, changed)));
  }

  sweep(now: number): Promise<boolean> {
    return this.#write((tx) => sweep(tx, now));
  }

  async clampSchedules(now: number): Promise<void> {
    for (const ruleset of this.#transactions.read(scheduledRulesets)) {
      while (await this.#write((tx) => clampSchedules(tx, ruleset, now)));
    }
    this.#feed.tell(ANYWHERE);
  }

  async advanceResync(
    job: ResyncJob,
    keys: readonly string[],
    cursor: string | null,
    done: boolean,
    now: number,
  ): Promise<ResyncJob | null> {
    const step = { keys, cursor, done };
    const advanced = await this.#write((tx) => advanceResync(tx, job, step, now));
    this.#feed.tell({ kind: 'bucket', bucket: job.bucket });
    return advanced;
  }

  #write<T>(work: (tx: Tx) => T): Promise<T> {
    return this.#transactions.write((tx) => {
      assertLeaseHeld(tx, this.epoch);
      return work(tx);
    });
  }

  #writeTogether<T>(work: (tx: Tx) => T, manner?: Manner): Promise<T> {
    return this.#transactions.writeTogether((tx) => {
      assertLeaseHeld(tx, this.epoch);
      return work(tx);
    }, manner);
  }
}
