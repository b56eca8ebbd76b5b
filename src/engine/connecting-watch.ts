/** Notices that the requests of a lane wait for a first connection, so that a black hole is seen at once. */
import type { EngineClock } from './clock.ts';

const SHOWN_AFTER_MS = 1_000;

export class ConnectingWatch {
  readonly #clock: EngineClock;
  #cancel: (() => void) | null = null;

  constructor(clock: EngineClock) {
    this.#clock = clock;
  }

  /**
   * A request has begun.
   *
   * @param isConnected asked now, and again after a second
   * @param onConnecting called where there is no connection even then
   */
  begin(isConnected: () => boolean, onConnecting: () => void): void {
    if (this.#cancel !== null || isConnected()) return;
    this.#cancel = this.#clock.after(SHOWN_AFTER_MS, () => {
      this.#cancel = null;
      if (!isConnected()) onConnecting();
    });
  }

  stop(): void {
    this.#cancel?.();
  }
}
