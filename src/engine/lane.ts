/**
 * One lane: everything that goes to one target of one bucket. It has connections, memory, concurrency
 * and a breaker of its own, so that no other lane can hold it up.
 *
 *     idle ──(a row is due)──▶ delivering ──(nothing is due)──▶ idle
 *      any ──(target disabled, sealed or gone)──▶ paused ──(it is usable again)──▶ any
 *      any ──(breaker, model/breaker.ts)──▶ open ──▶ probing ──▶ delivering or open
 *      any ──stop──▶ stopping (nothing is claimed, what runs ends) ──▶ stopped
 *
 * Nothing waits for the store where it need not: rows are claimed ahead, some rounds of requests in
 * one transaction, and what became of a row is stored (claim-runner.ts) while the next one is on its
 * way.
 *
 * Invariants: what is claimed is in `#ahead`, or in `#running` until its outcome is committed or the
 * lease is lost; a delivery begins with target and rules as they were read in the same step; only one
 * step runs and only one claim is asked for at a time; nothing is held ahead while the breaker is open.
 */
import { setMaxListeners } from 'node:events';
import { CLOSED, nextBreaker, type Breaker } from '../model/breaker.ts';
import { newConcurrency, type Concurrency } from '../model/concurrency.ts';
import type { Claim, LaneRef } from '../model/row.ts';
import { ClaimRunner, type CurrentTarget } from './claim-runner.ts';
import type { LaneSlots } from './connection-slots.ts';
import type { Delivery } from './deliver.ts';
import { LaneConnection } from './lane-connection.ts';
import type { LaneContext } from './lane-context.ts';
import { reactTo } from './lane-reaction.ts';
import { LaneReporter } from './lane-reporter.ts';
import { isLeaseLost } from './lease-lost.ts';
import { StrayUploads } from './stray-uploads.ts';

/** Timers are set for at most so long, as the wall clock may jump meanwhile. */
const TIMER_MAX_MS = 60_000;
const TIMER_MIN_MS = 10;
const STORE_RETRY_MS = 5_000;
/** How much is claimed ahead, in rounds of as many requests as may be in flight. */
const ROUNDS_AHEAD = 7;
/** Where the store is slow, nothing more is claimed while so many outcomes are to be stored. */
const UNSTORED_MAX = 128;

/** What a claim was begun with. */
interface Begun extends CurrentTarget {
  readonly isProbe: boolean;
  readonly cutsAtStart: number;
}

export class Lane {
  readonly ref: LaneRef;
  readonly #context: LaneContext;
  /** Claimed, and not begun yet. */
  readonly #ahead: Claim[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #interrupt = new AbortController();
  readonly #runner: ClaimRunner;
  readonly #reporter: LaneReporter;
  readonly #strays: StrayUploads;
  #breaker: Breaker = CLOSED;
  #concurrency: Concurrency = newConcurrency();
  #connection: LaneConnection | null = null;
  #slots: LaneSlots | null = null;
  #isPaused = false;
  #isStopped = false;
  /** Null while none runs. */
  #stepping: Promise<void> | null = null;
  #stepAgain = false;
  /** Null while nothing is asked for. */
  #claiming: Promise<void> | null = null;
  /** Whether rows may be due that were not when the queue was last looked at. */
  #mayHaveMore = false;
  /** Whether the last claim got as many rows as it asked for: there is no need to look for one. */
  #hasBacklog = false;
  /** Requests in flight. */
  #sending = 0;
  #cancelTimer: (() => void) | null = null;
  /** Since when it has had nothing to do, monotonic. */
  #idleSince: number;

  constructor(ref: LaneRef, context: LaneContext) {
    this.ref = ref;
    this.#context = context;
    this.#runner = new ClaimRunner({
      ref,
      context,
      signal: this.#interrupt.signal,
      isStopped: () => this.#isStopped,
      onStored: () => this.#stored(),
    });
    this.#reporter = new LaneReporter(ref, context);
    this.#strays = new StrayUploads(ref, context);
    this.#idleSince = context.clock.monotonicMs();
    // Every request in flight listens, and they are bounded elsewhere.
    setMaxListeners(0, this.#interrupt.signal);
  }

  /** There may be something to do: a row, or another configuration. */
  notify(): void {
    this.#mayHaveMore = true;
    this.#step();
  }

  /** There are uploads that no row carries any longer: some of them are aborted, beside deliveries. */
  abortStrays(): void {
    this.#strays.want();
    this.#step();
  }

  /** Whether a row that is enqueued now has a prospect of being delivered at once. */
  isPrompt(key: string): boolean {
    return !this.#isPaused && !this.isBroken && !this.#runner.isBackingOff(key);
  }

  get inFlight(): number {
    return this.#running.size;
  }

  get isBroken(): boolean {
    return this.#breaker.state !== 'closed';
  }

  /** Milliseconds for which there was nothing to do, 0 while there is. */
  idleMs(): number {
    const isBusy = this.#running.size > 0 || this.#ahead.length > 0 || this.#claiming !== null;
    // What holds a lane up is remembered here: it must not try at once again.
    const isIdle = !isBusy && !this.isBroken && !this.#isPaused;
    return isIdle ? this.#context.clock.monotonicMs() - this.#idleSince : 0;
  }

  /** Claims nothing more. Resolves when everything in flight has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    await this.#stepping;
    await this.#claiming;
    this.#giveBackAhead();
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#reporter.settled();
    await this.#connection?.retire();
  }

  /** Ends what is in flight; the claims are given back. */
  interrupt(): void {
    this.#interrupt.abort();
  }

  #step(): void {
    this.#stepAgain = true;
    if (this.#stepping === null && !this.#isStopped) this.#stepping = this.#stepWhileAsked();
  }

  async #stepWhileAsked(): Promise<void> {
    try {
      while (this.#stepAgain && !this.#isStopped) {
        this.#stepAgain = false;
        const current = await this.#connect();
        if (current === null) this.#giveBackAhead();
        else this.#beginAhead(current);
      }
    } catch (error) {
      this.#storeFailed(error);
    } finally {
      // No await lies between the loop's last look at #stepAgain and this line.
      this.#stepping = null;
    }
  }

  /** Begins as many as may be in flight now, and sees to it that there are more. */
  #beginAhead(current: CurrentTarget): void {
    this.#beginStrays(current);
    while (this.#ahead.length > 0 && this.#roomLeft() > 0 && current.slots.take(1) === 1) {
      this.#begin(this.#ahead.shift()!, current);
    }
    if (this.#breaker.state !== 'closed') this.#giveBackAhead();
    if (this.#claiming !== null || !this.#mayHaveMore) return;
    const wanted = this.#wantedAhead();
    if (wanted > 0) this.#claiming = this.#claimDue(wanted);
  }

  /** A target that fails is asked for nothing; the next upkeep tells again. */
  #beginStrays({ connection, slots }: CurrentTarget): void {
    const mayGoOn = (): boolean =>
      !this.#isStopped &&
      this.#breaker.state === 'closed' &&
      connection === this.#connection &&
      // A delivery that waits for a connection comes first.
      (this.#ahead.length === 0 || this.#sending > 0);
    const { signal } = this.#interrupt;
    const round = this.#strays.begin({ connection, slots, mayGoOn, signal });
    if (round !== null) this.#track(round.then(() => this.#step()));
  }

  /** How many to claim now: a batch, or one for a probe. */
  #wantedAhead(): number {
    if (this.#breaker.state !== 'closed') return this.#roomLeft();
    const { allowed } = this.#concurrency;
    const unstored = this.#running.size - this.#sending;
    if (this.#ahead.length >= allowed || unstored > UNSTORED_MAX) return 0;
    return allowed * (1 + ROUNDS_AHEAD) - this.#sending - this.#ahead.length;
  }

  async #claimDue(wanted: number): Promise<void> {
    const { outbox, epoch, clock } = this.#context;
    this.#mayHaveMore = false;
    try {
      const dueAt = this.#hasBacklog ? clock.nowMs() : await outbox.nextDueAt(this.ref);
      const waitMs = dueAt === null ? null : dueAt - clock.nowMs();
      if (waitMs === null) this.#idleSince = clock.monotonicMs();
      else if (waitMs > 0) this.#notifyAfter(Math.max(TIMER_MIN_MS, waitMs));
      else {
        const claims = await outbox.claim(epoch, this.ref, wanted, clock.nowMs());
        this.#ahead.push(...claims);
        this.#hasBacklog = claims.length === wanted;
        this.#mayHaveMore = claims.length > 0;
        if (claims.length === 0) this.#notifyAfter(STORE_RETRY_MS);
      }
    } catch (error) {
      this.#storeFailed(error);
    } finally {
      this.#claiming = null;
      if (this.#mayHaveMore) this.#step();
    }
  }

  #storeFailed(error: unknown): void {
    if (isLeaseLost(error)) this.#context.onLeaseLost();
    else {
      const { bucket, targetId } = this.ref;
      this.#context.logger.error(
        { err: error, bucket: bucket.name, targetId },
        'the queue of a target could not be read; it is tried again',
      );
    }
    this.#notifyAfter(STORE_RETRY_MS);
  }

  #giveBackAhead(): void {
    for (const claim of this.#ahead.splice(0)) this.#track(this.#runner.giveBack(claim));
  }

  /** How many more requests may be in flight now. */
  #roomLeft(): number {
    const breaker = this.#breaker;
    if (breaker.state === 'closed') return this.#concurrency.allowed - this.#sending;
    if (breaker.state === 'probing') return 0;
    const waitMs = breaker.until - this.#context.clock.monotonicMs();
    if (waitMs <= 0) return 1;
    this.#notifyAfter(waitMs);
    return 0;
  }

  #notifyAfter(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#isStopped) return;
    this.#cancelTimer = this.#context.clock.after(Math.min(delayMs, TIMER_MAX_MS), () => {
      this.#cancelTimer = null;
      this.notify();
    });
  }

  /** The target as it is configured now, or null where it cannot be used. A new retry mark closes the breaker. */
  async #connect(): Promise<CurrentTarget | null> {
    const { outbox, connectTarget, logger } = this.#context;
    const access = await outbox.accessTarget(this.ref);
    this.#isPaused =
      access.kind === 'sealed' || (access.kind === 'usable' && !access.target.enabled);
    // What runs on a replaced client may take its time; nobody waits for it here.
    if (access.kind !== 'usable' || !access.target.enabled) {
      void this.#connection?.retire();
      this.#connection = null;
      return null;
    }
    const isReplaced = this.#connection?.fits(access) !== true;
    if (isReplaced || !this.#reporter.isUnder(access.retryMark)) {
      await this.#reporter.begin(access.retryMark);
      this.#breaker = nextBreaker(this.#breaker, { type: 'reset' });
    }
    if (isReplaced) {
      void this.#connection?.retire();
      this.#connection = new LaneConnection(connectTarget(access, this.ref), access, logger);
    }
    this.#slots ??= await this.#context.joinSlots(this.ref, () => this.#step());
    const connection = this.#connection;
    const slots = this.#slots;
    return connection === null || slots === null
      ? null
      : { connection, slots, rules: access.rules };
  }

  #begin(claim: Claim, { connection, slots, rules }: CurrentTarget): void {
    const isProbe = this.#breaker.state === 'open';
    if (isProbe) {
      this.#breaker = nextBreaker(this.#breaker, { type: 'probe-begun' });
      this.#reporter.say(this.#breaker);
    }
    this.#sending += 1;
    const begun = { connection, slots, rules, isProbe, cutsAtStart: this.#concurrency.cuts };
    this.#track(this.#carryOut(claim, begun));
  }

  /** @param work never rejects */
  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.then(() => this.#running.delete(work));
  }

  /** Never rejects. */
  async #carryOut(claim: Claim, begun: Begun): Promise<void> {
    const delivery = await this.#runner.tryOnce(claim, begun);
    this.#sending -= 1;
    // What a replaced client met says nothing about the target as it is configured now.
    const isCurrent = begun.connection === this.#connection;
    if (delivery !== null && isCurrent && !this.#interrupt.signal.aborted)
      this.#react(claim, delivery, begun);
    begun.slots.release(1);
    this.#step();
    if (delivery !== null) {
      await this.#runner.finish(claim, delivery, begun.rules, {
        interrupted: this.#interrupt.signal.aborted || !isCurrent,
        pacedByBreaker: this.#breaker.state === 'open' && this.#breaker.openings > 1,
      });
    }
    if (!isCurrent) await begun.connection.retire();
  }

  #react(claim: Claim, delivery: Delivery, { isProbe, cutsAtStart }: Begun): void {
    const reaction = reactTo(claim, delivery, {
      isProbe,
      cutsAtStart,
      breaker: this.#breaker,
      concurrency: this.#concurrency,
      now: this.#context.clock.monotonicMs(),
      random: this.#context.random(),
    });
    this.#breaker = reaction.breaker;
    this.#concurrency = reaction.concurrency;
    this.#reporter.say(reaction.breaker, {
      lastError: reaction.lastError,
      tagsRefused: delivery.kind === 'delivered' && delivery.tagsRefused,
    });
  }

  #stored(): void {
    // Another row of its chain may be due now. What is claimed already comes first.
    this.#mayHaveMore = true;
    if (this.#ahead.length === 0) this.#step();
  }
}
