/**
 * Writes under a synchronous rule wait here until their rows are settled: outside the host's locks,
 * for at most 20 s, and never where there is no prospect of it.
 *
 * Invariants: at most 64 writes of a bucket wait; whoever waits is let go by the row's delivery, its
 * failure, the time limit, or the end of the process, whichever comes first.
 *
 * Where another process delivers, the row is looked at from time to time. Such a process cannot see
 * the leader's breakers: after a wait in vain it waits for that target no more for a minute.
 */
import type { QueueView } from '../model/ports.ts';
import type { ClaimOutcome, QueuedRow } from '../model/queue.ts';
import type { LaneRef, Row } from '../model/row.ts';
import { pause, type EngineClock } from './clock.ts';

const WAIT_MAX_MS = 20_000;
const WAITERS_PER_BUCKET_MAX = 64;
const LOOK_INTERVAL_MS = 250;
const IN_VAIN_MS = 60_000;

export interface SynchronousWritesOptions {
  readonly outbox: Pick<QueueView, 'findRow'>;
  readonly clock: EngineClock;
  /** Whether this process delivers. */
  readonly isLeading: () => boolean;
  /** Whether the lane would deliver such a row at once, as far as this process knows. */
  readonly isPrompt: (row: Row) => boolean;
}

interface Waiter {
  readonly row: Row;
  readonly release: AbortController;
}

export class SynchronousWrites {
  readonly #options: SynchronousWritesOptions;
  /** By bucket id. */
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** By lane: monotonic time until which this process does not wait. */
  readonly #inVainUntil = new Map<string, number>();
  #isClosed = false;

  constructor(options: SynchronousWritesOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is left to wait for; never rejects for a failed delivery. */
  async wait(rows: readonly QueuedRow[]): Promise<void> {
    const waited = rows.filter((row) => this.#isWaitedFor(row));
    if (waited.length > 0) await Promise.all(waited.map((row) => this.#waitFor(row)));
  }

  /**
   * The leader committed an outcome. A retry will take a while: nobody waits for it. A row that is only
   * given back is tried soon.
   */
  settled(row: Row, outcome: ClaimOutcome): void {
    if (outcome.kind === 'release') return;
    const upTo = outcome.kind === 'complete' ? outcome.upTo : -1;
    for (const waiter of this.#waiters.get(row.lane.bucket.id) ?? []) {
      const { lane, key, order, sequence } = waiter.row;
      const isSuperseded = lane.targetId === row.lane.targetId && key === row.key && order <= upTo;
      if (sequence === row.sequence || isSuperseded) waiter.release.abort();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const waiters of this.#waiters.values()) {
      for (const { release } of waiters) release.abort();
    }
  }

  #isWaitedFor(row: QueuedRow): boolean {
    if (!row.isSynchronous || this.#isClosed || !this.#options.isPrompt(row)) return false;
    const until = this.#inVainUntil.get(nameOf(row.lane)) ?? 0;
    return until <= this.#options.clock.monotonicMs();
  }

  async #waitFor(row: Row): Promise<void> {
    const { clock } = this.#options;
    const bucketId = row.lane.bucket.id;
    const waiters = this.#waiters.get(bucketId) ?? new Set();
    if (waiters.size >= WAITERS_PER_BUCKET_MAX) return;
    this.#waiters.set(bucketId, waiters);
    const waiter: Waiter = { row, release: new AbortController() };
    waiters.add(waiter);
    const { signal } = waiter.release;
    try {
      const deadline = clock.monotonicMs() + WAIT_MAX_MS;
      // It may have been settled before anybody waited.
      while (!signal.aborted && (await this.#isUntried(row))) {
        const leftMs = deadline - clock.monotonicMs();
        if (leftMs <= 0) return this.#waitedInVain(row.lane);
        const isLeading = this.#options.isLeading();
        await pause(clock, isLeading ? leftMs : Math.min(leftMs, LOOK_INTERVAL_MS), signal);
      }
      this.#inVainUntil.delete(nameOf(row.lane));
    } finally {
      waiters.delete(waiter);
      if (waiters.size === 0) this.#waiters.delete(bucketId);
    }
  }

  async #isUntried({ lane, sequence }: Row): Promise<boolean> {
    try {
      const row = await this.#options.outbox.findRow(lane.bucket, sequence);
      return row !== null && row.state !== 'failed' && row.attempts === 0;
    } catch {
      // The write itself succeeded: a store that fails now shows elsewhere.
      return false;
    }
  }

  #waitedInVain(lane: LaneRef): void {
    if (this.#options.isLeading()) return;
    const nowMs = this.#options.clock.monotonicMs();
    for (const [name, until] of this.#inVainUntil) {
      if (until <= nowMs) this.#inVainUntil.delete(name);
    }
    this.#inVainUntil.set(nameOf(lane), nowMs + IN_VAIN_MS);
  }
}

function nameOf({ bucket, targetId }: LaneRef): string {
  return `${bucket.id}\n${targetId}`;
}
