/**
 * All lanes of the server, for as long as this process holds the lease: makes them when rows appear,
 * wakes them, and lets them go when they have been idle.
 *
 * A lane is woken where a commit names it or its bucket, or where its own time has come
 * (wake-times.ts): lanes that wait cost nothing, however many there are. Commits that name neither (the
 * start of a term, another process's changes of configurations) have all lanes with rows asked. Buckets
 * and all are looked through at most ten times a second, and never more than a few lanes in one turn.
 */
import type { BucketRef } from '../host.ts';
import type { LaneRef } from '../model/row.ts';
import type { Work } from '../model/work.ts';
import { pause } from './clock.ts';
import { Lane } from './lane.ts';
import type { LaneContext, LaneTally } from './lane-context.ts';
import { isLeaseLost } from './lease-lost.ts';
import { WakeTimes } from './wake-times.ts';

const SCAN_INTERVAL_MS = 100;
const STORE_RETRY_MS = 1_000;
const IDLE_MAX_MS = 60_000;
/** After being told to end, deliveries have so long to give their claims back. */
const GIVE_BACK_MS = 2_000;
/** Buckets that are looked through one by one; where there are more, all lanes are. */
const BUCKETS_MAX = 1_000;
/** Lanes whose queues are looked at in one turn of the event loop: some milliseconds. */
const LOOKS_MAX = 16;

export class Lanes {
  readonly #context: LaneContext;
  readonly #lanes = new Map<string, Lane>();
  readonly #wakeTimes: WakeTimes;
  readonly #tally: LaneTally = { openBreakers: 0, inFlight: 0 };
  #isStopped = false;
  /** What is to be looked through, by bucket id; null: everything. */
  #unseen: Map<string, BucketRef> | null = new Map();
  #isScanning = false;
  #cancelScan: (() => void) | null = null;
  #notified = new Map<string, LaneRef>();
  #cancelNotices: (() => void) | null = null;

  constructor(context: Omit<LaneContext, 'wakeTimes' | 'tally'>) {
    this.#wakeTimes = new WakeTimes(context.clock);
    this.#context = { ...context, wakeTimes: this.#wakeTimes, tally: this.#tally };
  }

  /** Of all lanes: breakers that are open or probing, and deliveries under way. */
  get tally(): Readonly<LaneTally> {
    return this.#tally;
  }

  /** There may be something to do for the lane. Many writes that end together are one notice. */
  notify(ref: LaneRef): void {
    if (this.#isStopped) return;
    this.#notified.set(nameOf(ref), ref);
    this.#cancelNotices ??= this.#context.clock.after(0, () => {
      this.#cancelNotices = null;
      const notified = this.#notified;
      this.#notified = new Map();
      for (const lane of notified.values()) this.#lane(lane).notify();
    });
  }

  /** Something was committed. */
  wake(work: Work): void {
    if (work.kind === 'lanes') return work.lanes.forEach((lane) => this.notify(lane));
    if (work.kind === 'anywhere' || (this.#unseen?.size ?? 0) >= BUCKETS_MAX) this.#unseen = null;
    else this.#unseen?.set(work.bucket.id, work.bucket);
    this.#considerScan();
  }

  /** Every lane that left uploads behind aborts some of them. Rejects where they cannot be listed. */
  async abortStrays(): Promise<void> {
    const refs = await this.#context.outbox.strayLanes();
    await this.#eachOf(refs, (ref) => this.#lane(ref).abortStrays());
  }

  /**
   * Wakes lanes that would not look by themselves at what is due: a sweep makes rows due without a word,
   * where the rules of those before them were disabled.
   */
  async findOverlooked(): Promise<void> {
    const { outbox } = this.#context;
    await this.#eachOf(await outbox.lanes(), async (ref) => {
      const due = await outbox.nextDueAt(ref);
      const hasWork = due.put !== null || due.delete !== null;
      if (hasWork && this.find(ref)?.expects(due) !== true) this.notify(ref);
    });
  }

  find(ref: LaneRef): Lane | undefined {
    return this.#lanes.get(nameOf(ref));
  }

  /** Closes the connections of lanes that have had nothing to do. */
  async retireIdle(): Promise<void> {
    for (const [name, lane] of this.#lanes) {
      lane.forgetOldUploads();
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
    this.#wakeTimes.stop();
    const lanes = [...this.#lanes.values()];
    const stopped = Promise.all(lanes.map((lane) => lane.stop()));
    await Promise.race([stopped, pause(this.#context.clock, limitMs)]);
    for (const lane of lanes) lane.interrupt();
    await Promise.race([stopped, pause(this.#context.clock, GIVE_BACK_MS)]);
  }

  #considerScan(): void {
    const isOwed = this.#unseen === null || this.#unseen.size > 0;
    if (!isOwed || this.#isScanning || this.#cancelScan !== null || this.#isStopped) return;
    this.#isScanning = true;
    void this.#scan();
  }

  /** Never rejects. */
  async #scan(): Promise<void> {
    const unseen = this.#unseen;
    this.#unseen = new Map();
    let pauseMs = SCAN_INTERVAL_MS;
    try {
      await this.#eachOf(await this.#lanesOf(unseen), (ref) => this.notify(ref));
    } catch (error) {
      // Nobody may commit anything for a long time: the look is owed until it succeeds.
      this.#unseen = null;
      pauseMs = STORE_RETRY_MS;
      if (isLeaseLost(error)) this.#context.onLeaseLost();
      else this.#context.logger.warn({ err: error }, 'the lanes with work could not be listed');
    }
    this.#isScanning = false;
    if (this.#isStopped) return;
    this.#cancelScan = this.#context.clock.after(pauseMs, () => {
      this.#cancelScan = null;
      this.#considerScan();
    });
  }

  /**
   * Those with rows, and those with an open breaker, with or without rows: the target may have been
   * corrected, or somebody asked for a retry.
   */
  async #lanesOf(buckets: ReadonlyMap<string, BucketRef> | null): Promise<LaneRef[]> {
    const { outbox } = this.#context;
    const refs: LaneRef[] = [];
    if (buckets === null) refs.push(...(await outbox.lanes()));
    else for (const bucket of buckets.values()) refs.push(...(await outbox.lanes(bucket)));
    for (const { isBroken, ref } of this.#lanes.values()) {
      if (isBroken && (buckets === null || buckets.has(ref.bucket.id))) refs.push(ref);
    }
    return refs;
  }

  /** A bounded number in one turn of the event loop: lanes that were notified look at their queues then. */
  async #eachOf(
    refs: readonly LaneRef[],
    work: (ref: LaneRef) => Promise<void> | void,
  ): Promise<void> {
    for (const [index, ref] of refs.entries()) {
      if (index > 0 && index % LOOKS_MAX === 0) await pause(this.#context.clock, 1);
      if (this.#isStopped) return;
      await work(ref);
    }
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
