/**
 * The rows that one lane has claimed and not begun yet: some rounds of requests ahead, in one
 * transaction, so that nothing waits for the store where it need not.
 *
 * Invariant: only one claim is asked for at a time, and only while rows may be due that were not when
 * the queue was last looked at.
 */
import { planClaim, type LaneBreakers } from '../model/lane-breakers.ts';
import type { ClaimRequest } from '../model/queue.ts';
import type { Claim, LaneRef } from '../model/row.ts';
import type { LaneContext } from './lane-context.ts';

const WAIT_MIN_MS = 10;
const STORE_RETRY_MS = 1_000;
/** How much is claimed ahead, in rounds of as many requests as may be in flight. */
const ROUNDS_AHEAD = 7;
/** Where the store is slow, nothing more is claimed while so many outcomes are to be stored. */
const UNSTORED_MAX = 128;

export interface ClaimsAheadOptions {
  readonly ref: LaneRef;
  readonly context: Pick<LaneContext, 'outbox' | 'clock' | 'tenure'>;
  readonly breakers: () => LaneBreakers;
  /** There is more, or may be. */
  readonly onMore: () => void;
  /** To look again in so many milliseconds. */
  readonly lookAfter: (delayMs: number) => void;
  readonly onFailed: (error: unknown) => void;
}

/** How busy the lane is. */
export interface LaneLoad {
  /** Requests that may be in flight. */
  readonly allowed: number;
  readonly sending: number;
  readonly isBroken: boolean;
  /** Outcomes that are being stored. */
  readonly unstored: number;
}

export class ClaimsAhead {
  readonly #options: ClaimsAheadOptions;
  readonly #claims: Claim[] = [];
  /** Null while nothing is asked for. */
  #claiming: Promise<void> | null = null;
  #mayHaveMore = false;
  /** Whether the last claim got as many rows as it asked for: there is no need to look for one. */
  #hasBacklog = false;
  /** Since when there has been nothing to do, monotonic. */
  #idleSince: number;

  constructor(options: ClaimsAheadOptions) {
    this.#options = options;
    this.#idleSince = options.context.clock.monotonicMs();
  }

  get size(): number {
    return this.#claims.length;
  }

  get first(): Claim | undefined {
    return this.#claims[0];
  }

  get idleSince(): number {
    return this.#idleSince;
  }

  get isBusy(): boolean {
    return this.#claims.length > 0 || this.#claiming !== null || this.#mayHaveMore;
  }

  takeFirst(): void {
    this.#claims.shift();
  }

  takeAll(): Claim[] {
    return this.#claims.splice(0);
  }

  /** Rows may be due. */
  want(): void {
    this.#mayHaveMore = true;
  }

  /** None can be delivered. */
  rest(): void {
    this.#mayHaveMore = false;
    this.#idleSince = this.#options.context.clock.monotonicMs();
  }

  /** Asks for more where it is wanted and there is use for it. */
  ask(load: LaneLoad): void {
    if (this.#claiming !== null || !this.#mayHaveMore) return;
    const limit = this.#limit(load);
    if (limit > 0) this.#claiming = this.#claimDue(limit, load.isBroken);
  }

  /** Resolves when nothing is asked for. */
  async settled(): Promise<void> {
    await this.#claiming;
  }

  #limit({ allowed, sending, isBroken, unstored }: LaneLoad): number {
    // A probe that waits for its connection is not joined by another one.
    const enough = isBroken ? 1 : allowed;
    if (this.#claims.length >= enough || unstored > UNSTORED_MAX) return 0;
    return allowed * (1 + ROUNDS_AHEAD) - sending - this.#claims.length;
  }

  async #claimDue(limit: number, isBroken: boolean): Promise<void> {
    const { ref, context, lookAfter, onFailed, onMore } = this.#options;
    const { outbox, clock } = context;
    this.#mayHaveMore = false;
    try {
      const isKnown = this.#hasBacklog && !isBroken;
      const due = isKnown ? { put: 0, delete: 0 } : await outbox.nextDueAt(ref);
      if (due.put === null && due.delete === null) this.#idleSince = clock.monotonicMs();
      const monotonicMs = clock.monotonicMs();
      const breakers = this.#options.breakers();
      const plan = planClaim({ breakers, due, limit, now: clock.nowMs(), monotonicMs });
      if (plan.kind === 'claim') await this.#claim(plan.request);
      else if (plan.forMs !== null) lookAfter(Math.max(WAIT_MIN_MS, plan.forMs));
    } catch (error) {
      onFailed(error);
    } finally {
      this.#claiming = null;
      if (this.#mayHaveMore) onMore();
    }
  }

  async #claim(request: ClaimRequest): Promise<void> {
    const { ref, context, lookAfter } = this.#options;
    const claims = await context.tenure.claim(ref, request);
    this.#claims.push(...claims);
    this.#hasBacklog = claims.length === request.limit;
    this.#mayHaveMore = claims.length > 0;
    if (claims.length === 0) lookAfter(STORE_RETRY_MS);
  }
}
