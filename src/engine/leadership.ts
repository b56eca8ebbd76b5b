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
import type { Lease } from '../model/ports.ts';
import { pause, type EngineClock } from './clock.ts';

const RENEW_INTERVAL_MS = LEASE_MS / 3;

export interface LeadershipOptions {
  readonly outbox: Lease;
  readonly clock: EngineClock;
  readonly logger: Logger;
  readonly onGained: (epoch: number) => void;
  /** @param isClosing the process ends: what is in flight may end in peace */
  readonly onLost: (isClosing: boolean) => Promise<void>;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #stop = new AbortController();
  /** Aborted when the present term is over, whoever found out. */
  #term = new AbortController();
  #epoch: number | null = null;
  #running: Promise<void> | null = null;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** A call was refused for its epoch; a late one of an earlier term changes nothing. */
  lost(epoch: number): void {
    if (epoch === this.#epoch) this.#term.abort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#term.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#stop.signal.aborted) {
      const epoch = await this.#acquire();
      if (epoch !== null) await this.#lead(epoch);
      await pause(clock, RENEW_INTERVAL_MS, this.#stop.signal);
    }
  }

  async #acquire(): Promise<number | null> {
    try {
      return await this.#options.outbox.acquireLease();
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the lease of replication could not be acquired');
      return null;
    }
  }

  async #lead(epoch: number): Promise<void> {
    const { clock, outbox, logger, onGained, onLost } = this.#options;
    this.#term = new AbortController();
    this.#epoch = epoch;
    const { signal } = this.#term;
    if (this.#stop.signal.aborted) this.#term.abort();
    else onGained(epoch);
    let renewedAt = clock.monotonicMs();
    while (!signal.aborted) {
      await pause(clock, RENEW_INTERVAL_MS, signal);
      if (signal.aborted) break;
      const isHeld = await this.#renew(epoch);
      if (isHeld === true) renewedAt = clock.monotonicMs();
      if (isHeld === false || clock.monotonicMs() - renewedAt >= LEASE_MS) break;
    }
    const isClosing = this.#stop.signal.aborted;
    await onLost(isClosing);
    if (!isClosing) {
      logger.warn({ epoch }, 'another process replicates now, or the lease could not be renewed');
      return;
    }
    try {
      await outbox.releaseLease(epoch);
    } catch (error) {
      logger.warn({ err: error }, 'the lease of replication could not be given back; it expires');
    }
  }

  /** Null where the store could not say. */
  async #renew(epoch: number): Promise<boolean | null> {
    try {
      return await this.#options.outbox.renewLease(epoch);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'the lease of replication could not be renewed');
      return null;
    }
  }
}
