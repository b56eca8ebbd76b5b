/**
 * What happens to one claim of a lane: it is tried once, and what becomes of its row is decided and
 * stored. The lane says when a claim is begun, and takes what the try tells of the target in between.
 *
 * Invariant: an outcome is asked of the store until it is committed or the lease is lost; only a lane
 * that has stopped leaves one to whoever recovers the claim.
 */
import type { Silence } from '../egress/silence.ts';
import type { BreakerName } from '../model/lane-breakers.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import type { Claim, LaneRef } from '../model/row.ts';
import type { Rule } from '../model/rule.ts';
import { ChainWaits } from './chain-waits.ts';
import { outcomeOf, type OutcomeContext } from './claim-outcome.ts';
import { pause } from './clock.ts';
import { deliver, type Delivery } from './deliver.ts';
import type { LaneConnection } from './lane-connection.ts';
import type { LaneContext, LaneShares } from './lane-context.ts';
import type { Judgement } from './lane-reaction.ts';
import { isLeaseLost } from './lease-lost.ts';
import type { StrayUploads } from './stray-uploads.ts';

const STORE_RETRY_MS = 1_000;

/** The target and its rules as they are now, and the lane's shares. */
export interface CurrentTarget extends LaneShares {
  readonly connection: LaneConnection;
  readonly rules: readonly Rule[];
}

/** What a claim was begun with. */
export interface Begun extends CurrentTarget {
  readonly claim: Claim;
  readonly cutsAtStart: number;
  /** By the store's clock. */
  readonly begunAt: number;
  /** Which breakers it is a probe of; none any longer once it is silent. */
  probed: readonly BreakerName[];
  /** How many of its requests are silent. */
  silent: number;
}

/** How the lane is doing when a try has ended. */
export type Circumstances = Pick<OutcomeContext, 'pacedByBreaker' | 'interrupted' | 'begunAt'>;

export interface ClaimRunnerOptions {
  readonly ref: LaneRef;
  readonly context: LaneContext;
  /** Ends what is in flight. */
  readonly signal: AbortSignal;
  readonly isStopped: () => boolean;
  readonly strays: Pick<StrayUploads, 'noteLost' | 'lost'>;
  /** An outcome is committed. */
  readonly onStored: () => void;
}

export class ClaimRunner {
  readonly #options: ClaimRunnerOptions;
  readonly #context: LaneContext;
  readonly #waits = new ChainWaits();

  constructor(options: ClaimRunnerOptions) {
    this.#options = options;
    this.#context = options.context;
  }

  /** Whether the last try of the key failed, and the next one is not due yet. */
  isBackingOff(key: string): boolean {
    return this.#waits.isWaiting(key, this.#context.clock.monotonicMs());
  }

  /** Null where the lease was lost meanwhile: then nothing may be said about the claim. Never rejects. */
  async tryOnce(
    claim: Claim,
    { connection, slots, memory, rules }: CurrentTarget,
    silence: Silence,
  ): Promise<Delivery | null> {
    const { host, tenure, clock } = this.#context;
    const { key } = claim.row;
    try {
      if (this.#options.isStopped()) return { kind: 'unwanted' };
      return await deliver(claim, {
        host,
        client: connection.client,
        rules: rules.filter(({ incarnation }) => claim.row.ruleset.includes(incarnation)),
        storeUpload: (upload) => tenure.storeUpload(claim, upload),
        memory,
        extraConnections: {
          tryTake: () => slots.take(1) === 1,
          release: () => slots.release(1),
        },
        silence,
        onCreationLost: (begunAt) =>
          this.#options.strays.noteLost({ key, begunAt, endedAt: clock.nowMs() }),
        onCreated: (uploadId) => this.#options.strays.lost.created(key, uploadId),
        nowMs: () => clock.nowMs(),
        signal: this.#options.signal,
      });
    } catch (error) {
      if (isLeaseLost(error)) {
        this.#context.onLeaseLost();
        return null;
      }
      this.#complain(error, 'a delivery ended unexpectedly; it is tried again');
      return { kind: 'source-failed', upload: claim.row.upload };
    }
  }

  /** Decides what becomes of a claim that was tried, and stores it. Never rejects. */
  finish(
    claim: Claim,
    delivery: Delivery,
    judgement: Judgement | null,
    rules: readonly Rule[],
    circumstances: Circumstances,
  ): Promise<void> {
    const isAwaited = claim.laterVersionWaits || isSynchronous(claim, rules);
    const bytes = delivery.kind === 'delivered' ? delivery.bytes : 0;
    return this.#store(
      claim,
      this.#outcomeOf(claim, delivery, judgement, circumstances),
      isAwaited,
      bytes,
    );
  }

  /** For a claim that was not begun. Never rejects. */
  giveBack(claim: Claim): Promise<void> {
    const { doubtUntil } = claim.row;
    return this.#store(claim, { kind: 'release', doubtUntil }, true, 0);
  }

  #outcomeOf(
    claim: Claim,
    delivery: Delivery,
    judgement: Judgement | null,
    circumstances: Circumstances,
  ): ClaimOutcome {
    const { clock, random } = this.#context;
    const now = clock.nowMs();
    const outcome = outcomeOf(claim, delivery, judgement, {
      ...circumstances,
      now,
      random: random(),
    });
    if (outcome.kind === 'fail') this.#warnOfFailure(claim, outcome.lastError.reason);
    const { key } = claim.row;
    if (outcome.kind !== 'retry') this.#waits.clear(key);
    else this.#waits.set(key, clock.monotonicMs() + outcome.nextAttemptAt - now);
    return outcome;
  }

  /** Keys are their owner's business: the task's id says which one it was. */
  #warnOfFailure({ row }: Claim, reason: string): void {
    const { bucket, targetId } = this.#options.ref;
    this.#context.logger.warn(
      { bucket: bucket.name, targetId, task: row.sequence, reason },
      'a task is given up; it is kept for seven days, and a retry can be asked for',
    );
  }

  /** Repeats what the store could not do: the outcome must not be forgotten. */
  async #store(
    claim: Claim,
    outcome: ClaimOutcome,
    isAwaited: boolean,
    bytes: number,
  ): Promise<void> {
    const { tenure, clock } = this.#context;
    for (let failures = 0; ; failures += 1) {
      try {
        await tenure.settleClaim(claim, outcome, isAwaited);
        this.#context.onOutcome(claim.row, outcome, bytes);
        this.#options.onStored();
        return;
      } catch (error) {
        if (isLeaseLost(error)) {
          this.#context.onLeaseLost();
          return;
        }
        if (failures === 0) {
          this.#complain(error, 'the outcome of a delivery could not be stored; it is tried again');
        }
        if (this.#options.isStopped()) return;
        await pause(clock, STORE_RETRY_MS, this.#options.signal);
      }
    }
  }

  #complain(error: unknown, sentence: string): void {
    const { bucket, targetId } = this.#options.ref;
    this.#context.logger.error({ err: error, bucket: bucket.name, targetId }, sentence);
  }
}

/** Whether a write may wait for the row. */
function isSynchronous({ row }: Claim, rules: readonly Rule[]): boolean {
  return rules.some((rule) => rule.synchronous && row.ruleset.includes(rule.incarnation));
}
