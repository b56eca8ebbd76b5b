/**
 * Ends requests whose connection stands still: 30 s without a byte in either direction, or less than
 * 1 KiB/s on average over a window (60 s unless a request says otherwise). There is no limit on the
 * whole, so that a large object may take its time.
 *
 * One timer serves all requests of a client: a timer for each would cost more than it tells.
 *
 * What is seen is what the kernel takes from us, not what the target reads. A body is therefore
 * written in slices of 32 KiB (request-body.ts): one slice in 30 s is about the slowest pace allowed.
 */
import type { ResolverClock } from './resolver.ts';

export const IDLE_MS = 30_000;
export const SLOW_WINDOW_MS = 60_000;
export const SLOW_BYTES_PER_SECOND = 1024;
const TICK_MS = 5_000;

export interface Watched {
  /** Bytes that have moved on the connection so far; null while there is none (connecting has limits of its own). */
  bytesMoved(): number | null;
  /** How long the average may be below 1 KiB/s. */
  readonly slowWindowMs: number;
  /** Called at most once. */
  onIdle(): void;
}

interface Progress {
  bytes: number;
  movedAtMs: number;
  windowBytes: number;
  windowStartMs: number;
}

export class IdleWatch {
  readonly #clock: ResolverClock;
  readonly #progress = new Map<Watched, Progress | null>();
  #cancelTick: (() => void) | null = null;

  constructor(clock: ResolverClock) {
    this.#clock = clock;
  }

  add(watched: Watched): void {
    this.#progress.set(watched, this.#begin(watched));
    this.#cancelTick ??= this.#clock.after(TICK_MS, () => this.#tick());
  }

  delete(watched: Watched): void {
    this.#progress.delete(watched);
    // The tick is left to run out: clients are busy most of the time, and an idle tick costs nothing.
  }

  /** Leaves no timer behind. */
  close(): void {
    this.#cancelTick?.();
    this.#cancelTick = null;
    this.#progress.clear();
  }

  #begin(watched: Watched): Progress | null {
    const bytes = watched.bytesMoved();
    if (bytes === null) return null;
    const nowMs = this.#clock.nowMs();
    return { bytes, movedAtMs: nowMs, windowBytes: bytes, windowStartMs: nowMs };
  }

  #tick(): void {
    this.#cancelTick =
      this.#progress.size === 0 ? null : this.#clock.after(TICK_MS, () => this.#tick());
    const nowMs = this.#clock.nowMs();
    for (const [watched, progress] of this.#progress) {
      if (progress === null) {
        this.#progress.set(watched, this.#begin(watched));
      } else if (isIdle(watched, progress, nowMs)) {
        this.#progress.delete(watched);
        watched.onIdle();
      }
    }
  }
}

function isIdle(watched: Watched, progress: Progress, nowMs: number): boolean {
  const bytes = watched.bytesMoved() ?? progress.bytes;
  if (bytes !== progress.bytes) {
    progress.bytes = bytes;
    progress.movedAtMs = nowMs;
  }
  if (nowMs - progress.movedAtMs >= IDLE_MS) return true;
  const windowMs = nowMs - progress.windowStartMs;
  if (windowMs < watched.slowWindowMs) return false;
  const isSlow = bytes - progress.windowBytes < (windowMs / 1000) * SLOW_BYTES_PER_SECOND;
  progress.windowBytes = bytes;
  progress.windowStartMs = nowMs;
  return isSlow;
}
