/**
 * What a target is like for a whole schedule, as services, access keys and policies are: it denies what
 * only helps, refuses some objects, lies with 200, or thinks for minutes. Drawn from a source of its
 * own: a schedule without traits is the same as if there were none.
 */
import type { RequestFailure } from '../../src/model/delivery.ts';
import type { RequestKind } from './chain-watch.ts';
import { Random } from './random.ts';

const SCHEDULES_WITH_TRAITS = 0.4;

/** What becomes of one request. */
export type Whim =
  | { readonly kind: 'refuse'; readonly failure: RequestFailure }
  /** Answered with 200 and no proof; `isApplied`: it was done all the same. */
  | { readonly kind: 'lie'; readonly isApplied: boolean }
  | { readonly kind: 'think'; readonly forMs: number };

export class Traits {
  readonly #random: Random;
  readonly #deniesHead: boolean;
  readonly #deniesListing: boolean;
  readonly #refusesEvery: number | null;
  readonly #lies: number;
  readonly #thinks: number;
  /** HEAD counts the tags of an object. */
  readonly countsTags: boolean;
  /** From then on the target takes everything; what it denies for good it still denies. */
  areOver = false;
  #writes = 0;

  constructor(seed: number) {
    this.#random = new Random(seed ^ 0x2545f491);
    const has = this.#random.chance(SCHEDULES_WITH_TRAITS);
    const draw = (probability: number): boolean => has && this.#random.chance(probability);
    this.#deniesHead = draw(0.3);
    this.#deniesListing = draw(0.3);
    this.#refusesEvery = draw(0.4) ? this.#random.between(2, 6) : null;
    this.#lies = draw(0.3) ? 0.2 : 0;
    this.#thinks = draw(0.3) ? 0.15 : 0;
    this.countsTags = !draw(0.4);
  }

  /** Null: the request goes as the faults of the schedule have it. */
  drawWhim(kind: RequestKind, isWrite: boolean): Whim | null {
    if (kind === 'look' && this.#deniesHead) return refuse(403, 'AccessDenied');
    if (kind === 'list' && this.#deniesListing) return refuse(501, 'NotImplemented');
    if (this.areOver || !isWrite) return null;
    this.#writes += 1;
    if (this.#refusesEvery !== null && this.#writes % this.#refusesEvery === 0) {
      return this.#random.chance(0.6) ? refuse(403, 'AccessDenied') : REFUSED;
    }
    if (this.#random.chance(this.#lies)) {
      return { kind: 'lie', isApplied: this.#random.chance(0.5) };
    }
    if (this.#random.chance(this.#thinks)) {
      return { kind: 'think', forMs: this.#random.between(20_000, 900_000) };
    }
    return null;
  }
}

/** An object that the target does not take. */
export const REFUSED = refuse(400, 'XMinioInvalidObjectName');

function refuse(status: number, code: string): Whim {
  return { kind: 'refuse', failure: { stage: 'answer', status, code, ambiguous: false } };
}
