/** Notices when the wall clock jumps against the monotonic one: somebody set it, or the machine slept. */
import type { EngineClock } from './clock.ts';

const LOOK_INTERVAL_MS = 5_000;
/** Less than this is a clock being disciplined. */
const JUMP_MS = 5_000;

export class ClockWatch {
  readonly #clock: EngineClock;
  readonly #onJump: () => void;
  #offset = 0;
  #cancel: (() => void) | null = null;

  constructor(clock: EngineClock, onJump: () => void) {
    this.#clock = clock;
    this.#onJump = onJump;
  }

  start(): void {
    this.#offset = this.#readOffset();
    this.#lookLater();
  }

  stop(): void {
    this.#cancel?.();
  }

  #lookLater(): void {
    this.#cancel = this.#clock.after(LOOK_INTERVAL_MS, () => {
      const offset = this.#readOffset();
      const hasJumped = Math.abs(offset - this.#offset) > JUMP_MS;
      this.#offset = offset;
      this.#lookLater();
      if (hasJumped) this.#onJump();
    });
  }

  #readOffset(): number {
    return this.#clock.nowMs() - this.#clock.monotonicMs();
  }
}
