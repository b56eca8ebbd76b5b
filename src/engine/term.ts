/**
 * Everything that only the holder of the lease does, from the moment it takes the lease until it
 * loses it or closes.
 *
 *     starting (claims of earlier epochs are given back) ──▶ running ──▶ stopping ──▶ stopped
 *
 * Invariant: no lane claims before the claims of earlier epochs were given back, or a row could be in
 * flight twice.
 */
import type { Tenure } from '../model/ports.ts';
import type { LaneRef, Row } from '../model/row.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import { ANYWHERE, type Work } from '../model/work.ts';
import { pause } from './clock.ts';
import type { BodyMemory } from './body-memory.ts';
import { ConnectionSlots } from './connection-slots.ts';
import type { EngineOptions } from './engine-types.ts';
import type { LaneShares } from './lane-context.ts';
import { Lanes } from './lanes.ts';
import { isLeaseLost } from './lease-lost.ts';
import { ResyncRunner } from './resync-runner.ts';
import { settleLeftIntents } from './settlement.ts';

const ERROR_WAIT_MS = 1_000;
/** Rows without rules, expired rows, announcements of dead processes, idle lanes, stray uploads. */
const UPKEEP_INTERVAL_MS = 60_000;
const UPKEEP_END_MS = 2_000;
/** Between batches of a sweep, so that it takes at most a part of the store's time. */
const SWEEP_PAUSE_MS = 20;

export interface TermOptions extends EngineOptions {
  readonly tenure: Tenure;
  readonly memory: BodyMemory;
  readonly onOutcome: (row: Row, outcome: ClaimOutcome, bytes: number) => void;
  readonly onUploadLeft: () => void;
  readonly onLeaseLost: () => void;
}

export class Term {
  readonly lanes: Lanes;
  readonly #options: TermOptions;
  readonly #resyncs: ResyncRunner;
  readonly #slots = new ConnectionSlots();
  readonly #stop = new AbortController();
  #running: Promise<void> | null = null;
  #isReady = false;

  constructor(options: TermOptions) {
    this.#options = options;
    const { tenure, host, clock, onLeaseLost, outbox, configurations } = options;
    this.lanes = new Lanes({
      ...options,
      logger: host.logger,
      joinShares: (lane, onFree) => this.#joinShares(lane, onFree),
    });
    this.#resyncs = new ResyncRunner({ outbox, configurations, host, clock, tenure, onLeaseLost });
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Something was committed; before the term is ready it changes nothing. */
  wake(work: Work): void {
    if (!this.#isReady) return;
    this.lanes.wake(work);
    // What names lanes is about rows: jobs begin and end with something of their bucket.
    if (work.kind !== 'lanes') this.#resyncs.wake();
  }

  /** A row of this process was committed. */
  notify(lane: LaneRef): void {
    if (this.#isReady) this.lanes.notify(lane);
  }

  /** @param limitMs how long what is in flight may take to end by itself */
  async stop(limitMs: number): Promise<void> {
    this.#stop.abort();
    const upkeep = Promise.all([this.#resyncs.stop(), this.#running]);
    await this.lanes.stop(limitMs);
    // A host that does not answer must not keep the process from closing.
    await Promise.race([upkeep, pause(this.#options.clock, UPKEEP_END_MS)]);
  }

  async #run(): Promise<void> {
    const { tenure, clock } = this.#options;
    const { signal } = this.#stop;
    const isRecovered = await this.#repeat('claims could not be given back', () =>
      tenure.recoverClaims(),
    );
    if (!isRecovered) return;
    this.#isReady = true;
    // The machine may have started with another time than it had before.
    await this.#attempt('the schedules could not be corrected', () =>
      tenure.clampSchedules(clock.nowMs()),
    );
    this.wake(ANYWHERE);
    while (!signal.aborted) {
      await this.#attempt('left announcements could not be settled', () => this.#settle());
      await this.#attempt('the queue could not be swept', () => this.#sweep());
      await this.#attempt('due tasks could not be looked for', () => this.lanes.findOverlooked());
      await this.lanes.retireIdle();
      await this.#attempt('unfinished uploads could not be found', () => this.lanes.abortStrays());
      await pause(clock, UPKEEP_INTERVAL_MS, signal);
    }
  }

  #settle(): Promise<void> {
    const { tenure, host } = this.#options;
    return settleLeftIntents(tenure, host, () => !this.#stop.signal.aborted);
  }

  async #sweep(): Promise<void> {
    const { tenure, clock } = this.#options;
    while (!this.#stop.signal.aborted && (await tenure.sweep(clock.nowMs()))) {
      await pause(clock, SWEEP_PAUSE_MS, this.#stop.signal);
    }
  }

  async #joinShares(lane: LaneRef, onFree: () => void): Promise<LaneShares | null> {
    const bucket = await this.#options.host.findBucket(lane.bucket.name);
    if (bucket?.id !== lane.bucket.id) return null;
    const { ownerId } = bucket;
    return { slots: this.#slots.join(ownerId, onFree), memory: this.#options.memory.of(ownerId) };
  }

  /** False where the term ended before it could be done. */
  async #repeat(complaint: string, work: () => Promise<void>): Promise<boolean> {
    while (!this.#stop.signal.aborted) {
      if (await this.#attempt(complaint, work)) return true;
      await pause(this.#options.clock, ERROR_WAIT_MS, this.#stop.signal);
    }
    return false;
  }

  async #attempt(complaint: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (isLeaseLost(error)) this.#options.onLeaseLost();
      else this.#options.host.logger.warn({ err: error }, `${complaint}; it is tried again`);
      return false;
    }
  }
}
