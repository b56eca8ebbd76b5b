/**
 * One lane: everything that goes to one target of one bucket. It has connections, concurrency and
 * breakers of its own, and shares of its owner in what is bounded for all, so that no other owner can
 * hold it up.
 *
 *     idle ──(a row is due)──▶ delivering ──(nothing is queued)──▶ idle
 *                                 ▲  └──(a row is due later)──▶ waiting ──┐
 *                                 └──────────────(its time has come)──────┘
 *      any ──(target disabled, sealed or gone)──▶ paused ──(it is usable again)──▶ any
 *      any ──(breakers, model/lane-breakers.ts)──▶ only probed ──▶ delivering
 *      any ──stop──▶ stopping (nothing is claimed, what runs ends) ──▶ stopped
 *
 * Nothing waits for the store where it need not: rows are claimed ahead (claims-ahead.ts), and what
 * became of a row is stored (claim-runner.ts) while the next one is on its way.
 *
 * Invariants: what is claimed is in `#ahead`, or in `#running` until its outcome is committed or the
 * lease is lost; a delivery begins with target and rules as they were read in the same step; only one
 * step runs at a time; no row is held ahead whose breaker is open. A lane that waits for a time has a
 * wake time (wake-times.ts) and is not idle, whatever else is written or not. A slot that was kept for
 * the lane is taken or passed on at the end of the step that it was told in.
 */
import { setMaxListeners } from 'node:events';
import { newConcurrency, type Concurrency } from '../model/concurrency.ts';
import {
  afterSilence,
  ALL_CLOSED,
  BREAKER_NAMES,
  isAnyOpen,
  isPrompt,
  nextClaimInMs,
  probedBy,
  withEvent,
  type BreakerName,
  type LaneBreakers,
} from '../model/lane-breakers.ts';
import type { DueTimes } from '../model/queue.ts';
import { operationOf, type Claim, type LaneRef, type Row } from '../model/row.ts';
import { ClaimRunner, type Begun, type CurrentTarget } from './claim-runner.ts';
import { ClaimsAhead } from './claims-ahead.ts';
import { ConnectingWatch } from './connecting-watch.ts';
import type { Delivery } from './deliver.ts';
import type { LaneContext } from './lane-context.ts';
import { reactTo, type Judgement } from './lane-reaction.ts';
import { LaneReporter } from './lane-reporter.ts';
import { LaneTarget } from './lane-target.ts';
import { isLeaseLost } from './lease-lost.ts';
import { Silences } from './silences.ts';
import { StrayUploads } from './stray-uploads.ts';
import type { Sleeper } from './wake-times.ts';

const STORE_RETRY_MS = 1_000;
/** How late a look may come after a row is due. */
const LATE_MAX_MS = 1_000;
/** However often somebody asks: each probe may send an object. */
const PROBES_EVERY_MS = 1_000;

export class Lane implements Sleeper {
  readonly ref: LaneRef;
  readonly #context: LaneContext;
  readonly #ahead: ClaimsAhead;
  readonly #running = new Set<Promise<void>>();
  readonly #interrupt = new AbortController();
  readonly #runner: ClaimRunner;
  readonly #reporter: LaneReporter;
  readonly #strays: StrayUploads;
  readonly #target: LaneTarget;
  #breakers: LaneBreakers = ALL_CLOSED;
  #silences = new Silences();
  #concurrency: Concurrency = newConcurrency();
  /** When a probe that somebody asked for is due, or was last; monotonic. */
  #probesWantedAt = -Infinity;
  #isStopped = false;
  /** Null while none runs. */
  #stepping: Promise<void> | null = null;
  #stepAgain = false;
  /** Deliveries in flight, but for those whose target is silent. */
  #sending = 0;
  readonly #connecting: ConnectingWatch;
  /** Woken where lost uploads are to be looked for. */
  readonly #uploadsSleeper: Sleeper = { notify: () => this.abortStrays() };

  constructor(ref: LaneRef, context: LaneContext) {
    this.ref = ref;
    this.#context = context;
    this.#ahead = new ClaimsAhead({
      ref,
      context,
      breakers: () => this.#breakers,
      onMore: () => this.#step(),
      lookAfter: (delayMs) => this.#notifyAfter(delayMs),
      onFailed: (error) => this.#storeFailed(error),
    });
    this.#strays = new StrayUploads(ref, context, (delayMs) => {
      if (!this.#isStopped) context.wakeTimes.setNoLater(this.#uploadsSleeper, delayMs);
    });
    this.#runner = new ClaimRunner({
      ref,
      context,
      signal: this.#interrupt.signal,
      isStopped: () => this.#isStopped,
      strays: this.#strays,
      onStored: () => this.#stored(),
    });
    this.#reporter = new LaneReporter(ref, context);
    this.#target = new LaneTarget({
      ref,
      context,
      // Nothing is left to be probed, nor to be counted as failing.
      onAbsent: () => this.#setBreakers(ALL_CLOSED),
      onUsable: (retryMark, isReplaced) => this.#targetIsUsable(retryMark, isReplaced),
      onFreeSlot: () => (this.#isStopped ? this.#target.passSlot() : this.#step()),
    });
    this.#connecting = new ConnectingWatch(context.clock);
    // Every request in flight listens, and they are bounded elsewhere.
    setMaxListeners(0, this.#interrupt.signal);
  }

  /** There may be something to do: a row, or another configuration. */
  notify(): void {
    this.#ahead.want();
    this.#step();
  }

  /** There are uploads that no row carries any longer: some of them are aborted, beside deliveries. */
  abortStrays(): void {
    this.#strays.want();
    this.#step();
  }

  /** Whether a row that is enqueued now has a prospect of being delivered at once. */
  isPrompt(row: Pick<Row, 'operation' | 'key'>): boolean {
    return (
      !this.#target.isPaused && isPrompt(this.#breakers, row) && !this.#runner.isBackingOff(row.key)
    );
  }

  get isBroken(): boolean {
    return isAnyOpen(this.#breakers);
  }

  get #isBusy(): boolean {
    return this.#running.size > 0 || this.#ahead.isBusy || this.#stepping !== null;
  }

  /** Milliseconds for which there was nothing to do, 0 while there is. */
  idleMs(): number {
    // A row that is due later is known to its wake time alone: nobody else would wake the lane for it.
    const isWaiting = this.#context.wakeTimes.has(this) || this.#strays.lost.size > 0;
    // What holds a lane up is remembered here: it must not try at once again.
    const isHeldUp = this.isBroken || this.#target.isPaused;
    const isIdle = !this.#isBusy && !isWaiting && !isHeldUp;
    return isIdle ? this.#context.clock.monotonicMs() - this.#ahead.idleSince : 0;
  }

  /** Whether it will look at its queue, by itself, no later than there is something to do. */
  expects(due: DueTimes): boolean {
    const { wakeTimes, clock } = this.#context;
    if (this.#isBusy || this.#target.isPaused) return true;
    const monotonicMs = clock.monotonicMs();
    const input = { breakers: this.#breakers, due, limit: 1, now: clock.nowMs(), monotonicMs };
    return wakeTimes.at(this) - monotonicMs <= nextClaimInMs(input) + LATE_MAX_MS;
  }

  /** Uploads that nobody could look for in an hour are given up. */
  forgetOldUploads(): void {
    this.#strays.lost.forgetOld();
  }

  /** Claims nothing more. Resolves when everything in flight has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#context.wakeTimes.delete(this);
    this.#context.wakeTimes.delete(this.#uploadsSleeper);
    this.#connecting.stop();
    await this.#stepping;
    await this.#ahead.settled();
    this.#target.leave();
    this.#giveBackAhead();
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#reporter.settled();
    await this.#target.retire();
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
        const current = await this.#target.read();
        if (current === null) this.#rest();
        else this.#beginAhead(current);
      }
    } catch (error) {
      this.#storeFailed(error);
    } finally {
      // No await lies between the loop's last look at #stepAgain and these lines.
      this.#stepping = null;
      this.#target.passSlot();
    }
  }

  /** The target cannot be used: whoever changes that commits something that names its bucket. */
  #rest(): void {
    this.#giveBackAhead();
    this.#ahead.rest();
  }

  /** Begins as many as may be in flight now, and sees to it that there are more. */
  #beginAhead(current: CurrentTarget): void {
    this.#beginStrays(current);
    this.#sendAhead(current);
    this.#ahead.ask({
      allowed: this.#concurrency.allowed,
      sending: this.#sending,
      isBroken: this.isBroken,
      unstored: this.#running.size - this.#sending,
    });
  }

  #sendAhead(current: CurrentTarget): void {
    for (;;) {
      const claim = this.#ahead.first;
      if (claim === undefined) return;
      const operation = operationOf(claim.row);
      const probed = probedBy(this.#breakers, operation, this.#context.clock.monotonicMs());
      if (probed === null) {
        this.#ahead.takeFirst();
        this.#track(this.#runner.giveBack(claim));
        continue;
      }
      if (this.#sending >= this.#concurrency.allowed || current.slots.take(1) !== 1) return;
      this.#ahead.takeFirst();
      this.#begin(claim, current, probed);
    }
  }

  /** A target that fails is asked for nothing; the next upkeep tells again. */
  #beginStrays({ connection, slots }: CurrentTarget): void {
    const mayGoOn = (): boolean =>
      !this.#isStopped &&
      this.#breakers.target.state === 'closed' &&
      this.#target.isOn(connection) &&
      // A delivery that waits for a connection comes first.
      (this.#ahead.size === 0 || this.#sending > 0);
    const { signal } = this.#interrupt;
    const round = this.#strays.begin({ connection, slots, mayGoOn, signal });
    if (round !== null) this.#track(round.then(() => this.#step()));
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
    for (const claim of this.#ahead.takeAll()) this.#track(this.#runner.giveBack(claim));
  }

  #notifyAfter(delayMs: number): void {
    if (!this.#isStopped) this.#context.wakeTimes.set(this, delayMs);
  }

  /**
   * A target that was changed begins anew; a request for a retry makes probes due. A connection that is
   * replaced tells nothing of the new one.
   */
  async #targetIsUsable(retryMark: number, isReplaced: boolean): Promise<void> {
    if (!isReplaced && this.#reporter.isUnder(retryMark)) return;
    await this.#reporter.begin(retryMark);
    if (!isReplaced) return this.#wantProbes();
    this.#setBreakers(ALL_CLOSED);
    this.#silences = new Silences();
  }

  #wantProbes(): void {
    const now = Math.max(this.#context.clock.monotonicMs(), this.#probesWantedAt + PROBES_EVERY_MS);
    this.#probesWantedAt = now;
    this.#setBreakers(withEvent(this.#breakers, BREAKER_NAMES, { type: 'probe-wanted', now }));
  }

  #begin(claim: Claim, current: CurrentTarget, probed: readonly BreakerName[]): void {
    if (probed.length > 0) {
      this.#setBreakers(withEvent(this.#breakers, probed, { type: 'probe-begun' }));
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
    const { tally } = this.#context;
    this.#running.add(work);
    tally.inFlight += 1;
    void work.then(() => {
      this.#running.delete(work);
      tally.inFlight -= 1;
    });
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
    const interrupted = this.#interrupt.signal.aborted || !this.#target.isOn(begun.connection);
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
    if (!this.#target.isOn(begun.connection)) await begun.connection.retire();
  }

  /** Others go on meanwhile. */
  #fellSilent(begun: Begun): void {
    const { clock, random } = this.#context;
    begun.slots.release(1);
    begun.silent += 1;
    if (begun.silent > 1) return;
    this.#sending -= 1;
    const time = { now: clock.monotonicMs(), random: random() };
    this.#setBreakers(afterSilence(this.#breakers, begun.probed, time));
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
    this.#setBreakers(reaction.breakers);
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
    this.#ahead.want();
    if (this.#ahead.size === 0) this.#step();
  }

  #setBreakers(breakers: LaneBreakers): void {
    const wasBroken = this.isBroken;
    this.#breakers = breakers;
    this.#context.tally.openBreakers += Number(this.isBroken) - Number(wasBroken);
  }
}
