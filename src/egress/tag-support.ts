/**
 * Remembers for an hour that a target takes objects only without tags, so that not every object is
 * sent twice. It belongs to one client, and so ends with the target's configuration.
 */
import type { ResolverClock } from './resolver.ts';

export const TAGS_REFUSED_MS = 3_600_000;

export class TagSupport {
  readonly #clock: Pick<ResolverClock, 'nowMs'>;
  #refusedUntilMs: number | null = null;

  constructor(clock: Pick<ResolverClock, 'nowMs'>) {
    this.#clock = clock;
  }

  isRefused(): boolean {
    return this.#refusedUntilMs !== null && this.#clock.nowMs() < this.#refusedUntilMs;
  }

  noteRefusal(): void {
    this.#refusedUntilMs = this.#clock.nowMs() + TAGS_REFUSED_MS;
  }
}
