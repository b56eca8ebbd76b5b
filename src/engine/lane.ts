/**
 * One lane: everything that goes to one target of one bucket. It has connections, memory, concurrency
 * and a breaker of its own, so that no other lane can hold it up.
 *
 *     idle ──(a row is due)──▶ delivering ──(nothing is queued)──▶ idle
 *                                 ▲  └──(a row is due later)──▶ waiting ──┐
 *                                 └──────────────(its time has come)──────┘
 *      any ──(target disabled, sealed or gone)──▶ paused ──(it is usable again)──▶ any
 *      any ──(breakers, model/lane-breakers.ts)──▶ only probed ──▶ delivering
 *      any ──stop──▶ stopping (nothing is claimed, what runs ends) ──▶ stopped
 *
 * Nothing waits for the store where it need not: rows are claimed ahead, some rounds of requests in
 * one transaction, and what became of a row is stored (claim-runner.ts) while the next one is on its
 * way.
 *
 * Invariants: what is claimed is in `#ahead`, or in `#running` until its outcome is committed or the
 * lease is lost; a delivery begins with target and rules as they were read in the same step; only one
 * step runs and only one claim is asked for at a time; no row is held ahead whose breaker is open.
 * A lane that waits for a time has a timer and is not idle, whatever else is written or not.
 */
import { setMaxListeners } from 'node:events';
import { newConcurrency, type Concurrency } from '../model/concurrency.ts';
import {
  afterSilence,
  ALL_CLOSED,
  BREAKER_NAMES,
  isAnyOpen,
  isPrompt,
  planClaim,
  probedBy,
  withEvent,
  type BreakerName,
  type LaneBreakers,
} from '../model/lane-breakers.ts';
import type { ClaimRequest } from '../model/queue.ts';
import { operationOf, type Claim, type LaneRef, type Row } from '../model/row.ts';
import { ClaimRunner, type CurrentTarget } from './claim-runner.ts';
import { ConnectingWatch } from './connecting-watch.ts';
import type { LaneSlots } from './connection-slots.ts';
import type { Delivery } from './deliver.ts';
import { LaneConnection } from './lane-connection.ts';
import type { LaneContext } from './lane-context.ts';
import { reactTo, type Judgement } from './lane-reaction.ts';
import { LaneReporter } from './lane-reporter.ts';
import { isLeaseLost } from './lease-lost.ts';
import { Silences } from './silences.ts';
import { StrayUploads } from './stray-uploads.ts';

const TIMER_MIN_MS = 10;
const STORE_RETRY_MS = 5_000;
/** However often somebody asks: each probe may send an object. */
const PROBES_EVERY_MS = 1_000;
/** How much is claimed ahead, in rounds of as many requests as may be in flight. */
const ROUNDS_AHEAD = 7;
/** Where the store is slow, nothing more is claimed while so many outcomes are to be stored. */
const UNSTORED_MAX = 128;

/** What a claim was begun with. */
interface Begun extends CurrentTarget {
  readonly claim: Claim;
  readonly cutsAtStart: number;
  /** By the store's clock. */
  readonly begunAt: number;
  /** Which breakers it is a probe of; none any longer once it is silent. */
  probed: readonly BreakerName[];
  /** How many of its requests are silent. */
  silent: number;
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
  #breakers: LaneBreakers = ALL_CLOSED;
  #silences = new Silences();
  #concurrency: Concurrency = newConcurrency();
  /** When a probe that somebody asked for is due, or was last; monotonic. */
  #probesWantedAt = -Infinity;
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
  /** Deliveries in flight, but for those whose target is silent. */
  #sending = 0;
  #cancelTimer: (() => void) | null = null;
  readonly #connecting: ConnectingWatch;
  /** Since when it has had nothing to do, monotonic. */
  #idleSince: number;

  constructor(ref: LaneRef, context: LaneContext) {
    this.ref = ref;
    this.#context = context;
    const lookAfter = (delayMs: number): void =>
      void context.clock.after(delayMs, () => this.abortStrays());
    this.#strays = new StrayUploads(ref, context, lookAfter);
    this.#runner = new ClaimRunner({
      ref,
      context,
      signal: this.#interrupt.signal,
      isStopped: () => this.#isStopped,
      lostUploads: this.#strays.lost,
      onStored: () => this.#stored(),
    });
    this.#reporter = new LaneReporter(ref, context);
    this.#connecting = new ConnectingWatch(context.clock);
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
  isPrompt(row: Pick<Row, 'operation' | 'key'>): boolean {
    return !this.#isPaused && isPrompt(this.#breakers, row) && !this.#runner.isBackingOff(row.key);
  }

  get inFlight(): number {
    return this.#running.size;
  }

  get isBroken(): boolean {
    return isAnyOpen(this.#breakers);
  }

  /** Milliseconds for which there was nothing to do, 0 while there is. */
  idleMs(): number {
    const isBusy = this.#running.size > 0 || this.#ahead.length > 0 || this.#claiming !== null;
    const mayBecomeBusy = this.#mayHaveMore || this.#stepping !== null;
    // A row that is due later is known to this timer alone: nobody else would wake the lane for it.
    const isWaiting = this.#cancelTimer !== null || this.#strays.lost.size > 0;
    // What holds a lane up is remembered here: it must not try at once again.
    const isHeldUp = this.isBroken || this.#isPaused;
    const isIdle = !isBusy && !mayBecomeBusy && !isWaiting && !isHeldUp;
    return isIdle ? this.#context.clock.monotonicMs() - this.#idleSince : 0;
  }

  /** Claims nothing more. Resolves when everything in flight has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#connecting.stop();
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
        if (current === null) this.#rest();
        else this.#beginAhead(current);
      }
    } catch (error) {
      this.#storeFailed(error);
    } finally {
      // No await lies between the loop's last look at #stepAgain and this line.
      this.#stepping = null;
    }
  }

  /** The target cannot be used: whoever changes that commits something, and wakes every lane with rows. */
  #rest(): void {
    this.#giveBackAhead();
    this.#mayHaveMore = false;
    this.#idleSince = this.#context.clock.monotonicMs();
  }

  /** Begins as many as may be in flight now, and sees to it that there are more. */
  #beginAhead(current: CurrentTarget): void {
    this.#beginStrays(current);
    this.#sendAhead(current);
    if (this.#claiming !== null || !this.#mayHaveMore) return;
    const limit = this.#wantedAhead();
    if (limit > 0) this.#claiming = this.#claimDue(limit);
  }

  #sendAhead(current: CurrentTarget): void {
    for (;;) {
      const [claim] = this.#ahead;
      if (claim === undefined) return;
      const operation = operationOf(claim.row);
      const probed = probedBy(this.#breakers, operation, this.#context.clock.monotonicMs());
      if (probed === null) {
        this.#ahead.shift();
        this.#track(this.#runner.giveBack(claim));
        continue;
      }
      if (this.#sending >= this.#concurrency.allowed || current.slots.take(1) !== 1) return;
      this.#ahead.shift();
      this.#begin(claim, current, probed);
    }
  }

  /** A target that fails is asked for nothing; the next upkeep tells again. */
  #beginStrays({ connection, slots }: CurrentTarget): void {
    const mayGoOn = (): boolean =>
      !this.#isStopped &&
      this.#breakers.target.state === 'closed' &&
      connection === this.#connection &&
      // A delivery that waits for a connection comes first.
      (this.#ahead.length === 0 || this.#sending > 0);
    const { signal } = this.#interrupt;
    const round = this.#strays.begin({ connection, slots, mayGoOn, signal });
    if (round !== null) this.#track(round.then(() => this.#step()));
  }

  /** How many rows may be claimed now. */
  #wantedAhead(): number {
    const { allowed } = this.#concurrency;
    // A probe that waits for its connection is not joined by another one.
    const enough = this.isBroken ? 1 : allowed;
    const unstored = this.#running.size - this.#sending;
    if (this.#ahead.length >= enough || unstored > UNSTORED_MAX) return 0;
    return allowed * (1 + ROUNDS_AHEAD) - this.#sending - this.#ahead.length;
  }

  async #claimDue(limit: number): Promise<void> {
    const { outbox, clock } = this.#context;
    this.#mayHaveMore = false;
    try {
      const isKnown = this.#hasBacklog && !this.isBroken;
      const due = isKnown ? { put: 0, delete: 0 } : await outbox.nextDueAt(this.ref);
      if (due.put === null && due.delete === null) this.#idleSince = clock.monotonicMs();
      const monotonicMs = clock.monotonicMs();
      const breakers = this.#breakers;
      const plan = planClaim({ breakers, due, limit, now: clock.nowMs(), monotonicMs });
      if (plan.kind === 'claim') await this.#claim(plan.request);
      else if (plan.forMs !== null) this.#notifyAfter(Math.max(TIMER_MIN_MS, plan.forMs));
    } catch (error) {
      this.#storeFailed(error);
    } finally {
      this.#claiming = null;
      if (this.#mayHaveMore) this.#step();
    }
  }

  async #claim(request: ClaimRequest): Promise<void> {
    const { outbox, epoch } = this.#context;
    const claims = await outbox.claim(epoch, this.ref, request);
    this.#ahead.push(...claims);
    this.#hasBacklog = claims.length === request.limit;
    this.#mayHaveMore = claims.length > 0;
    if (claims.length === 0) this.#notifyAfter(STORE_RETRY_MS);
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

  #notifyAfter(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#isStopped) return;
    this.#cancelTimer = this.#context.clock.after(delayMs, () => {
      this.#cancelTimer = null;
      this.notify();
    });
  }

  /**
   * The target as it is configured now, or null where it cannot be used. One that was changed begins
   * anew; a request for a retry makes probes due.
   */
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
      if (isReplaced) this.#breakers = ALL_CLOSED;
      else this.#wantProbes();
      if (isReplaced) this.#silences = new Silences();
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

  #wantProbes(): void {
    const now = Math.max(this.#context.clock.monotonicMs(), this.#probesWantedAt + PROBES_EVERY_MS);
    this.#probesWantedAt = now;
    this.#breakers = withEvent(this.#breakers, BREAKER_NAMES, { type: 'probe-wanted', now });
  }

  #begin(claim: Claim, current: CurrentTarget, probed: readonly BreakerName[]): void {
    if (probed.length > 0) {
      this.#breakers = withEvent(this.#breakers, probed, { type: 'probe-begun' });
      this.#reporter.say(this.#breakers);
    }
    this.#sending += 1;
    const begunAt = this.#context.clock.nowMs();
    const cutsAtStart = this.#concurrency.cuts;
    this.#track(this.#carryOut({ ...current, claim, cutsAtStart, begunAt, probed, silent: 0 }));
    const { client } = current.connection;
    this.#connecting.begin(
      () => this.#sending === 0 || client.isConnected(),
      () => this.#reporter.say(this.#breakers, { connecting: true }),
    );
  }

  /** @param work never rejects */
  #track(work: Promise<void>): void {
    this.#running.add(work);
    void work.then(() => this.#running.delete(work));
  }

  /** Never rejects. */
  async #carryOut(begun: Begun): Promise<void> {
    const { claim, begunAt, rules } = begun;
    const silence = this.#silences.for({
      onSilent: () => this.#fellSilent(begun),
      onSpoken: () => this.#spoke(begun),
    });
    const delivery = await this.#runner.tryOnce(claim, begun, silence);
    this.#sending -= 1;
    // What a replaced client met says nothing about the target as it is configured now.
    const interrupted = this.#interrupt.signal.aborted || begun.connection !== this.#connection;
    const judgement = delivery === null || interrupted ? null : this.#react(begun, delivery);
    begun.slots.release(1);
    this.#step();
    if (delivery !== null) {
      const { target } = this.#breakers;
      const pacedByBreaker = target.state === 'open' && target.openings > 1;
      await this.#runner.finish(claim, delivery, judgement, rules, {
        interrupted,
        pacedByBreaker,
        begunAt,
      });
    }
    if (begun.connection !== this.#connection) await begun.connection.retire();
  }

  /** Others go on meanwhile. */
  #fellSilent(begun: Begun): void {
    const { clock, random } = this.#context;
    begun.slots.release(1);
    begun.silent += 1;
    if (begun.silent > 1) return;
    this.#sending -= 1;
    const time = { now: clock.monotonicMs(), random: random() };
    this.#breakers = afterSilence(this.#breakers, begun.probed, time);
    begun.probed = [];
    this.notify();
  }

  #spoke(begun: Begun): void {
    begun.slots.retake();
    begun.silent -= 1;
    if (begun.silent === 0) this.#sending += 1;
  }

  #react({ claim, probed, cutsAtStart }: Begun, delivery: Delivery): Judgement | null {
    const reaction = reactTo(claim, delivery, {
      probed,
      cutsAtStart,
      breakers: this.#breakers,
      concurrency: this.#concurrency,
      now: this.#context.clock.monotonicMs(),
      random: this.#context.random(),
    });
    this.#breakers = reaction.breakers;
    this.#concurrency = reaction.concurrency;
    this.#reporter.say(reaction.breakers, {
      lastError: reaction.lastError,
      tagsRefused: delivery.kind === 'delivered' && delivery.tagsRefused,
      connecting: false,
    });
    return reaction.judgement;
  }

  #stored(): void {
    // Another row of its chain may be due now. What is claimed already comes first.
    this.#mayHaveMore = true;
    if (this.#ahead.length === 0) this.#step();
  }
}
