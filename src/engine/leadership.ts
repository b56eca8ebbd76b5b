/**
 * Competes for the lease and keeps it.
 *
 *     standby ──(acquired)──▶ leading ──(renewal refused, or none succeeded for 15 s)──▶ standby
 *        any ──stop──▶ stopped (the lease is given back)
 *
 * Invariant: `onGained` and `onLost` take turns; the next attempt waits until `onLost` has resolved,
 * so that two terms of one process never overlap.
 */
import type { Logger } from '../host.ts';
import { LEASE_MS } from '../model/lease.ts';
import type { Lease, Tenure } from '../model/ports.ts';
import { pause, type EngineClock } from './clock.ts';

const RENEW_INTERVAL_MS = LEASE_MS / 3;

export interface LeadershipOptions {
  readonly outbox: Lease;
  readonly clock: EngineClock;
  readonly logger: Logger;
  readonly onGained: (tenure: Tenure) => void;
  /** @param isClosing the process ends: what is in flight may end in peace */
  readonly onLost: (isClosing: boolean) => Promise<void>;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #stop = new AbortController();
  /** Aborted when the present term is over, whoever found out. */
  #term = new AbortController();
  #tenure: Tenure | null = null;
  #running: Promise<void> | null = null;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** A call was refused for its epoch; a late one of an earlier term changes nothing. */
  lost(tenure: Tenure): void {
    if (tenure === this.#tenure) this.#term.abort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#term.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      const tenure = await this.#acquire();
      if (tenure !== null) await this.#lead(tenure);
      await pause(clock, RENEW_INTERVAL_MS, this.#stop.signal);
    }
  }

  async #acquire(): Promise<Tenure | null> {
    try {
      return await this.#options.outbox.acquireLease();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the lease of replication could not be acquired');
      return null;
    }
  }

  async #lead(tenure: Tenure): Promise<void> {
    const { clock, logger, onGained, onLost } = this.#options;
    this.#term = new AbortController();
    this.#tenure = tenure;
    const { signal } = this.#term;
    if (this.#stop.signal.aborted) this.#term.abort();
    else onGained(tenure);
    let renewedAt = clock.monotonicMs();
    while (!signal.aborted) {
      await pause(clock, RENEW_INTERVAL_MS, signal);
      if (signal.aborted) break;
      const isHeld = await this.#renew(tenure);
      if (isHeld === true) renewedAt = clock.monotonicMs();
      if (isHeld === false || clock.monotonicMs() - renewedAt >= LEASE_MS) break;
    }
    const isClosing = this.#stop.signal.aborted;
    await onLost(isClosing);
    if (!isClosing) {
      const { epoch } = tenure;
      logger.warn({ epoch }, 'another process replicates now, or the lease could not be renewed');
      return;
    }
    try {
      await tenure.release();
    } catch (error) {
      logger.warn({ err: error }, 'the lease of replication could not be given back; it expires');
    }
  }

  /** Null where the store could not say. */
  async #renew(tenure: Tenure): Promise<boolean | null> {
    try {
      return await tenure.renew();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the lease of replication could not be renewed');
      return null;
    }
  }
}
