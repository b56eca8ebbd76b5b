/**
 * Ends requests whose connection stands still. While bytes flow: 30 s without a byte in either
 * direction, or less than 1 KiB/s on average over a window (60 s unless a request says otherwise).
 * Between a request's last byte and the first of its answer only silence counts: for 30 s, and longer
 * where the request is granted more then. There is no limit on the whole, so that a large object may
 * take its time.
 *
 * States of a request:
 *
 *     connecting (limits of its own) → moving → silent → moving (the answer arrives) → over
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
/** Limits are looked at this often, so that a request may live as much longer. */
export const IDLE_TICK_MS = 5_000;

export interface Watched {
  /** Bytes that have moved on the connection so far; null while there is none (connecting has limits of its own). */
  bytesMoved(): number | null;
  /** Whether the last byte of the request has left, and none of its answer has come. */
  isAwaitingAnswer(): boolean;
  /** How long the average may be below 1 KiB/s. */
  readonly slowWindowMs: number;
  /**
   * It has been silent for 30 s. Called at most once.
   *
   * @returns how long it may be silent in all, in milliseconds; null: no longer
   */
  onSilence(): number | null;
  /**
   * It is to end. Called at most once.
   *
   * @param silenceMs how long it had been let be silent; null where bytes flowed, too few of them
   */
  onIdle(silenceMs: number | null): void;
}

interface Progress {
  bytes: number;
  movedAtMs: number;
  windowBytes: number;
  windowStartMs: number;
  /** How long it may be silent; null until that was asked for. */
  silenceMs: number | null;
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
    this.#cancelTick ??= this.#clock.after(IDLE_TICK_MS, () => this.#tick());
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
    return {
      bytes,
      movedAtMs: nowMs,
      windowBytes: bytes,
      windowStartMs: nowMs,
      silenceMs: null,
    };
  }

  #tick(): void {
    this.#cancelTick =
      this.#progress.size === 0 ? null : this.#clock.after(IDLE_TICK_MS, () => this.#tick());
    const nowMs = this.#clock.nowMs();
    for (const [watched, progress] of this.#progress) {
      if (progress === null) {
        this.#progress.set(watched, this.#begin(watched));
        continue;
      }
      noteMoves(watched, progress, nowMs);
      const isSilent = watched.isAwaitingAnswer();
      const isOver = isSilent
        ? isSilentForTooLong(watched, progress, nowMs)
        : isIdle(watched, progress, nowMs);
      if (!isOver) continue;
      this.#progress.delete(watched);
      watched.onIdle(isSilent ? progress.silenceMs : null);
    }
  }
}

function noteMoves(watched: Watched, progress: Progress, nowMs: number): void {
  const bytes = watched.bytesMoved() ?? progress.bytes;
  if (bytes === progress.bytes) return;
  progress.bytes = bytes;
  progress.movedAtMs = nowMs;
}

function isSilentForTooLong(watched: Watched, progress: Progress, nowMs: number): boolean {
  // An answer that comes after a long silence is not slow for it.
  progress.windowBytes = progress.bytes;
  progress.windowStartMs = nowMs;
  const silentForMs = nowMs - progress.movedAtMs;
  if (silentForMs < IDLE_MS) return false;
  progress.silenceMs ??= watched.onSilence() ?? IDLE_MS;
  return silentForMs >= progress.silenceMs;
}

function isIdle(watched: Watched, progress: Progress, nowMs: number): boolean {
  if (nowMs - progress.movedAtMs >= IDLE_MS) return true;
  const windowMs = nowMs - progress.windowStartMs;
  if (windowMs < watched.slowWindowMs) return false;
  const isSlow = progress.bytes - progress.windowBytes < (windowMs / 1000) * SLOW_BYTES_PER_SECOND;
  progress.windowBytes = progress.bytes;
  progress.windowStartMs = nowMs;
  return isSlow;
}
