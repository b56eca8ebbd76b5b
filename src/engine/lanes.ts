/**
 * All lanes of the server, for as long as this process holds the lease: makes them when rows appear,
 * wakes them, and lets them go when they have been idle.
 *
 * Rows of this process name their lane at once (`notify`). Other commits only say that something
 * changed (`wake`): then every lane with rows is asked, at most ten times a second.
 */
import type { LaneRef } from '../model/row.ts';
import { Lane } from './lane.ts';
import type { LaneContext } from './lane-context.ts';
import { isLeaseLost } from './lease-lost.ts';
import { pause } from './clock.ts';

const SCAN_INTERVAL_MS = 100;
const STORE_RETRY_MS = 1_000;
const IDLE_MAX_MS = 60_000;
/** After being told to end, deliveries have so long to give their claims back. */
const GIVE_BACK_MS = 2_000;

export class Lanes {
  readonly #context: LaneContext;
  readonly #lanes = new Map<string, Lane>();
  #isStopped = false;
  #isScanning = false;
  #scanAgain = false;
  #cancelScan: (() => void) | null = null;
  readonly #notified = new Map<string, LaneRef>();
  #cancelNotices: (() => void) | null = null;

  constructor(context: LaneContext) {
    this.#context = context;
  }

  /** A row of the lane was enqueued. Many writes that end together are one notice. */
  notify(ref: LaneRef): void {
    if (this.#isStopped) return;
    this.#notified.set(nameOf(ref), ref);
    this.#cancelNotices ??= this.#context.clock.after(0, () => {
      this.#cancelNotices = null;
      for (const notified of this.#notified.values()) this.#lane(notified).notify();
      this.#notified.clear();
    });
  }

  /** Something was committed that may concern any lane. */
  wake(): void {
    this.#scanAgain = true;
    if (this.#isScanning || this.#cancelScan !== null || this.#isStopped) return;
    this.#isScanning = true;
    void this.#scan();
  }

  /** Every lane that left uploads behind aborts some of them. Rejects where they cannot be listed. */
  async abortStrays(): Promise<void> {
    const refs = await this.#context.outbox.strayLanes();
    if (this.#isStopped) return;
    for (const ref of refs) this.#lane(ref).abortStrays();
  }

  find(ref: LaneRef): Lane | undefined {
    return this.#lanes.get(nameOf(ref));
  }

  count(): { readonly openBreakers: number; readonly inFlight: number } {
    let openBreakers = 0;
    let inFlight = 0;
    for (const lane of this.#lanes.values()) {
      openBreakers += lane.isBroken ? 1 : 0;
      inFlight += lane.inFlight;
    }
    return { openBreakers, inFlight };
  }

  /** Closes the connections of lanes that have had nothing to do. */
  async retireIdle(): Promise<void> {
    for (const [name, lane] of this.#lanes) {
      if (lane.idleMs() < IDLE_MAX_MS) continue;
      this.#lanes.delete(name);
      await lane.stop();
    }
  }

  /**
   * Claims nothing more, lets what is in flight end for at most `limitMs`, then ends it. What has not
   * even then ended keeps its claim, and is compared first by whoever leads next.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isStopped = true;
    this.#cancelScan?.();
    this.#cancelNotices?.();
    const lanes = [...this.#lanes.values()];
    const stopped = Promise.all(lanes.map((lane) => lane.stop()));
    await Promise.race([stopped, pause(this.#context.clock, limitMs)]);
    for (const lane of lanes) lane.interrupt();
    await Promise.race([stopped, pause(this.#context.clock, GIVE_BACK_MS)]);
  }

  async #scan(): Promise<void> {
    this.#scanAgain = false;
    let pauseMs = SCAN_INTERVAL_MS;
    try {
      const refs = await this.#context.outbox.lanes();
      // Lanes with an open breaker too, with or without rows: the target may have been corrected, or
      // somebody asked for a retry.
      const broken = [...this.#lanes.values()].filter((lane) => lane.isBroken);
      for (const ref of [...refs, ...broken.map(({ ref: held }) => held)]) this.notify(ref);
    } catch (error) {
      // Nobody may commit anything for a long time: the look is owed until it succeeds.
      this.#scanAgain = true;
      pauseMs = STORE_RETRY_MS;
      if (isLeaseLost(error)) this.#context.onLeaseLost();
      else this.#context.logger.warn({ err: error }, 'the lanes with work could not be listed');
    }
    this.#isScanning = false;
    if (this.#isStopped) return;
    this.#cancelScan = this.#context.clock.after(pauseMs, () => {
      this.#cancelScan = null;
      if (this.#scanAgain) this.wake();
    });
  }

  #lane(ref: LaneRef): Lane {
    const name = nameOf(ref);
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane = new Lane(ref, this.#context);
    this.#lanes.set(name, lane);
    return lane;
  }
}

function nameOf({ bucket, targetId }: LaneRef): string {
  return `${bucket.id}\n${targetId}`;
}
