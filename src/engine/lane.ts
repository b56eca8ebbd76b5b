/**
 * One lane: everything that goes to one target of one bucket. It has connections, memory, concurrency
 * and a breaker of its own, so that no other lane can hold it up.
 *
 *     idle ──(a row is due)──▶ delivering ──(nothing is due)──▶ idle
 *      any ──(target disabled, sealed or gone)──▶ paused ──(it is usable again)──▶ any
 *      any ──(breaker, model/breaker.ts)──▶ open ──▶ probing ──▶ delivering or open
 *      any ──stop──▶ stopping (nothing is claimed, what runs ends) ──▶ stopped
 *
 * Invariants: what is claimed is in `#running` until its outcome is committed or the lease is lost;
 * a claim uses the target as it was read at most one step before; only one pass claims at a time.
 */
import { setMaxListeners } from 'node:events';
import { CLOSED, nextBreaker, type Breaker } from '../model/breaker.ts';
import { newConcurrency, type Concurrency } from '../model/concurrency.ts';
import type { Claim, LaneRef, LastError } from '../model/row.ts';
import { ByteBudget } from './byte-budget.ts';
import { ChainWaits } from './chain-waits.ts';
import { outcomeOf } from './claim-outcome.ts';
import { pause } from './clock.ts';
import type { LaneSlots } from './connection-slots.ts';
import { deliver, type Delivery } from './deliver.ts';
import type { LaneStatus } from './engine-types.ts';
import { LaneConnection } from './lane-connection.ts';
import type { LaneContext } from './lane-context.ts';
import { reactTo } from './lane-reaction.ts';
import { isLeaseLost } from './lease-lost.ts';

/** Bodies and parts in memory: four parts of 8 MiB. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** Timers are set for at most so long, as the wall clock may jump meanwhile. */
const TIMER_MAX_MS = 60_000;
const TIMER_MIN_MS = 10;
const STORE_RETRY_MS = 5_000;

/** What a claim was begun with. */
interface Begun {
  readonly connection: LaneConnection;
  readonly isProbe: boolean;
  readonly cutsAtStart: number;
}

export class Lane {
  readonly ref: LaneRef;
  readonly #context: LaneContext;
  readonly #memory = new ByteBudget(BODY_BYTES_MAX);
  readonly #running = new Set<Promise<void>>();
  readonly #interrupt = new AbortController();
  readonly #waits = new ChainWaits();
  #breaker: Breaker = CLOSED;
  #concurrency: Concurrency = newConcurrency();
  #connection: LaneConnection | null = null;
  #slots: LaneSlots | null = null;
  #isPaused = false;
  #isStopped = false;
  /** The pass that claims; null while none runs. */
  #claiming: Promise<void> | null = null;
  #claimAgain = false;
  #cancelTimer: (() => void) | null = null;
  #lastError: LastError | null = null;
  #refusesTags = false;
  /** Since when it has had nothing to do, monotonic. */
  #idleSince: number;

  constructor(ref: LaneRef, context: LaneContext) {
    this.ref = ref;
    this.#context = context;
    this.#idleSince = context.clock.monotonicMs();
    // Every request in flight listens, and they are bounded elsewhere.
    setMaxListeners(0, this.#interrupt.signal);
  }

  /** There may be something to do: a row, or another configuration. */
  notify(): void {
    this.#claimAgain = true;
    if (this.#claiming === null && !this.#isStopped) this.#claiming = this.#claimWhileAsked();
  }

  /** Somebody wants it tried again now. */
  retry(): void {
    this.#breaker = nextBreaker(this.#breaker, { type: 'reset' });
    this.notify();
  }

  status(): LaneStatus {
    const { clock } = this.#context;
    const breaker = this.#breaker;
    const isOpen = breaker.state === 'open' && !this.#isPaused;
    const waitMs = isOpen ? Math.max(0, Math.round(breaker.until - clock.monotonicMs())) : 0;
    return {
      state: this.#state(),
      retryAt: isOpen ? clock.nowMs() + waitMs : null,
      lastError: this.#lastError,
      degraded: this.#refusesTags ? ['tags'] : [],
    };
  }

  /** Whether a row that is enqueued now has a prospect of being delivered at once. */
  isPrompt(key: string): boolean {
    const isBackingOff = this.#waits.isWaiting(key, this.#context.clock.monotonicMs());
    return !this.#isPaused && !this.isBroken && !isBackingOff;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  get isBroken(): boolean {
    return this.#breaker.state !== 'closed';
  }

  /** Milliseconds for which there was nothing to do, 0 while there is. */
  idleMs(): number {
    const isIdle = this.#running.size === 0 && this.#claiming === null && !this.isBroken;
    return isIdle ? this.#context.clock.monotonicMs() - this.#idleSince : 0;
  }

  /** Claims nothing more. Resolves when everything in flight has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    await this.#claiming;
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#connection?.retire();
  }

  /** Ends what is in flight; the claims are given back. */
  interrupt(): void {
    this.#interrupt.abort();
  }

  #state(): LaneStatus['state'] {
    if (this.#isPaused) return 'paused';
    if (this.#breaker.state !== 'closed') return this.#breaker.state;
    return this.#running.size > 0 ? 'delivering' : 'idle';
  }

  async #claimWhileAsked(): Promise<void> {
    try {
      while (this.#claimAgain && !this.#isStopped) {
        this.#claimAgain = false;
        await this.#claimDue();
      }
    } catch (error) {
      if (isLeaseLost(error)) this.#context.onLeaseLost();
      else this.#complain(error, 'the queue of a target could not be read; it is tried again');
      this.#notifyAfter(STORE_RETRY_MS);
    } finally {
      // No await lies between the loop's last look at #claimAgain and this line.
      this.#claiming = null;
    }
  }

  async #claimDue(): Promise<void> {
    const { outbox, epoch, clock } = this.#context;
    const connection = await this.#connect();
    if (connection === null || this.#slots === null) return;
    for (;;) {
      const wanted = this.#roomLeft();
      if (wanted <= 0 || this.#isStopped) return;
      const granted = this.#slots.take(wanted);
      if (granted === 0) return;
      let claims: readonly Claim[] = [];
      try {
        claims = await outbox.claim(epoch, this.ref, granted, clock.nowMs());
      } finally {
        this.#slots.release(granted - claims.length);
      }
      for (const claim of claims) this.#begin(claim, connection);
      if (claims.length < granted) return this.#awaitNextDue();
    }
  }

  /** How many more claims the lane may have now. */
  #roomLeft(): number {
    const breaker = this.#breaker;
    if (breaker.state === 'closed') return this.#concurrency.allowed - this.#running.size;
    if (breaker.state === 'probing') return 0;
    const waitMs = breaker.until - this.#context.clock.monotonicMs();
    if (waitMs <= 0) return 1;
    this.#notifyAfter(waitMs);
    return 0;
  }

  async #awaitNextDue(): Promise<void> {
    const dueAt = await this.#context.outbox.nextDueAt(this.ref);
    if (dueAt === null) this.#idleSince = this.#context.clock.monotonicMs();
    else this.#notifyAfter(Math.max(TIMER_MIN_MS, dueAt - this.#context.clock.nowMs()));
  }

  #notifyAfter(delayMs: number): void {
    this.#cancelTimer?.();
    if (this.#isStopped) return;
    this.#cancelTimer = this.#context.clock.after(Math.min(delayMs, TIMER_MAX_MS), () => {
      this.#cancelTimer = null;
      this.notify();
    });
  }

  /** The target as it is configured now, or null where it cannot be used. A change closes the breaker. */
  async #connect(): Promise<LaneConnection | null> {
    const { outbox, connectTarget, logger } = this.#context;
    const access = await outbox.accessTarget(this.ref);
    if (access.kind === 'sealed') {
      this.#lastError = { reason: 'No configured key opens the secret of this target.' };
    }
    this.#isPaused = access.kind !== 'usable' || !access.target.enabled;
    if (access.kind !== 'usable' || !access.target.enabled) {
      await this.#connection?.retire();
      this.#connection = null;
      return null;
    }
    if (this.#connection?.fits(access) !== true) {
      await this.#connection?.retire();
      this.#connection = new LaneConnection(connectTarget(access), access, logger);
      this.#breaker = nextBreaker(this.#breaker, { type: 'reset' });
      this.#lastError = null;
      this.#refusesTags = false;
    }
    this.#slots ??= await this.#context.joinSlots(this.ref, () => this.notify());
    return this.#connection;
  }

  #begin(claim: Claim, connection: LaneConnection): void {
    const isProbe = this.#breaker.state === 'open';
    if (isProbe) this.#breaker = nextBreaker(this.#breaker, { type: 'probe-begun' });
    const begun = { connection, isProbe, cutsAtStart: this.#concurrency.cuts };
    const endUse = connection.use();
    const running = this.#carryOut(claim, begun).finally(async () => {
      this.#running.delete(running);
      this.#slots?.release(1);
      this.notify();
      await endUse();
    });
    this.#running.add(running);
  }

  /** Never rejects. */
  async #carryOut(claim: Claim, begun: Begun): Promise<void> {
    const { clock, random, outbox, epoch, leadingSince } = this.#context;
    const delivery = await this.#tryOnce(claim, begun.connection);
    if (delivery === null) return;
    const interrupted = this.#interrupt.signal.aborted;
    // What a replaced client met says nothing about the target as it is configured now.
    if (begun.connection === this.#connection && !interrupted) this.#react(claim, delivery, begun);
    const now = clock.nowMs();
    const outcome = outcomeOf(claim, delivery, {
      now,
      random: random(),
      pacedByBreaker: this.#breaker.state === 'open' && this.#breaker.openings > 1,
      interrupted,
      leadingForMs: clock.monotonicMs() - leadingSince,
    });
    const { key } = claim.row;
    if (outcome.kind !== 'retry') this.#waits.clear(key);
    else this.#waits.set(key, clock.monotonicMs() + outcome.nextAttemptAt - now);
    const isStored = await this.#commit(() => outbox.settleClaim(epoch, claim, outcome));
    const bytes = delivery.kind === 'delivered' ? delivery.bytes : 0;
    if (isStored) this.#context.onOutcome(claim.row, outcome, bytes);
  }

  /** Null where the lease was lost meanwhile: then nothing may be said about the claim. */
  async #tryOnce({ row, ...claim }: Claim, connection: LaneConnection): Promise<Delivery | null> {
    const { configurations, host, outbox, epoch } = this.#context;
    try {
      if (this.#isStopped) return { kind: 'unwanted' };
      const { rules } = await configurations.read(this.ref.bucket);
      const isLive = (rule: (typeof rules)[number]): boolean =>
        rule.enabled &&
        rule.targetId === this.ref.targetId &&
        row.ruleset.includes(rule.incarnation);
      return await deliver(
        { row, ...claim },
        {
          host,
          client: connection.client,
          rules: rules.filter(isLive),
          storeUpload: (upload) => outbox.storeUpload(epoch, { row, ...claim }, upload),
          memory: this.#memory,
          extraConnections: {
            tryTake: () => this.#slots?.take(1) === 1,
            release: () => this.#slots?.release(1),
          },
          signal: this.#interrupt.signal,
        },
      );
    } catch (error) {
      if (isLeaseLost(error)) {
        this.#context.onLeaseLost();
        return null;
      }
      this.#complain(error, 'a delivery ended unexpectedly; it is tried again');
      return { kind: 'source-failed' };
    }
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
    if (reaction.lastError !== undefined) this.#lastError = reaction.lastError;
    if (delivery.kind === 'delivered' && delivery.tagsRefused) this.#refusesTags = true;
  }

  /** Repeats what the store could not do: the outcome must not be forgotten. False where it is in vain. */
  async #commit(write: () => Promise<unknown>): Promise<boolean> {
    for (;;) {
      try {
        await write();
        return true;
      } catch (error) {
        if (isLeaseLost(error)) {
          this.#context.onLeaseLost();
          return false;
        }
        this.#complain(error, 'the outcome of a delivery could not be stored');
        if (this.#isStopped) return false;
        await pause(this.#context.clock, STORE_RETRY_MS, this.#interrupt.signal);
      }
    }
  }

  #complain(error: unknown, sentence: string): void {
    const { bucket, targetId } = this.ref;
    this.#context.logger.error({ err: error, bucket: bucket.name, targetId }, sentence);
  }
}
