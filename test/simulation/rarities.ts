/**
 * What only some schedules have, as it is expensive or needs several things at once: large objects, and
 * leaders that stand still. It draws from a source of its own: a schedule without them is the same as
 * if there were none.
 */
import { LEASE_MS } from '../../src/model/lease.ts';
import { Random } from './random.ts';
import type { Change } from './simulated-host.ts';

const SCHEDULES_WITH_LARGE_OBJECTS = 0.15;
const SCHEDULES_WITH_STANDSTILLS = 0.1;
const SCHEDULES_WITH_QUIET_ENDINGS = 0.5;
const SCHEDULES_WITH_LOW_DISKS = 0.15;
const SCHEDULES_WITH_WEEKS = 0.1;
const HOUR_MS = 3_600_000;

/** What comes so many milliseconds after an upload's id was stored: its parts are on their way. */
export type Mishap =
  | { readonly kind: 'death'; readonly afterMs: number }
  /** Its object changes before the next try: no target is reached for a while. */
  | {
      readonly kind: 'change';
      readonly change: Change;
      readonly afterMs: number;
      readonly outageMs: number;
    };

export interface Standstill {
  readonly afterMs: number;
  readonly forMs: number;
}

/** The disk has no room for events, from so many milliseconds after the beginning of a resync on. */
export interface LowDisk {
  readonly afterMs: number;
  readonly forMs: number;
}

export class Rarities {
  readonly #random: Random;
  /** Apart, since they came later. */
  readonly #later: Random;
  readonly #hasLowDisks: boolean;
  readonly #hasWeek: boolean;
  /** Apart, since how many commits there are depends on the store. */
  readonly #disk: Random;
  readonly #largeShare: number;
  readonly #hasStandstills: boolean;
  /** Whether targets do not say what they made of an upload. */
  readonly areTargetsSilent: boolean;
  /** Whether nobody writes or edits anything for a long time once the faults are over. */
  readonly endsQuietly: boolean;

  constructor(seed: number) {
    this.#random = new Random(seed ^ 0x5bd1e995);
    this.#disk = new Random(seed ^ 0x1b873593);
    const hasLargeObjects = this.#random.chance(SCHEDULES_WITH_LARGE_OBJECTS);
    this.#largeShare = hasLargeObjects ? this.#random.pick([0.1, 0.3, 0.6]) : 0;
    this.areTargetsSilent = this.#random.chance(0.2);
    this.#hasStandstills = this.#random.chance(SCHEDULES_WITH_STANDSTILLS);
    this.endsQuietly = this.#random.chance(SCHEDULES_WITH_QUIET_ENDINGS);
    this.#later = new Random(seed ^ 0x7f4a7c15);
    this.#hasLowDisks = this.#later.chance(SCHEDULES_WITH_LOW_DISKS);
    this.#hasWeek = this.#later.chance(SCHEDULES_WITH_WEEKS);
  }

  /** Of the object that is put next: whole parts before its last one, 0 for a small one. */
  drawWholeParts(): number {
    return this.#isLarge(this.#largeShare) ? this.#random.pick([1, 1, 1, 2]) : 0;
  }

  /** Of so many commits that were not flushed when the power failed, how many are there all the same. */
  drawSurvivors(unflushed: number): number {
    return this.#disk.chance(0.5) ? 0 : this.#disk.between(0, unflushed);
  }

  /** Whether the disk fails in the middle of a body. */
  drawFailingRead(): boolean {
    return this.#isLarge(0.03);
  }

  drawMishap(): Mishap | null {
    if (!this.#isLarge(0.4)) return null;
    const afterMs = this.#random.between(0, 60);
    const change = this.#random.pick(['tag', 'remove-version', null] as const);
    if (change === null) return { kind: 'death', afterMs };
    return { kind: 'change', change, afterMs, outageMs: this.#random.between(50, 3_000) };
  }

  /** The process that delivers stands still in the middle of it, until another one has the lease. */
  drawStandstill(): Standstill | null {
    if (!this.#hasStandstills || !this.#random.chance(0.15)) return null;
    const forMs = this.#random.between(LEASE_MS, 3 * LEASE_MS);
    return { afterMs: this.#random.between(5, 60), forMs };
  }

  drawLowDisk(): LowDisk | null {
    if (!this.#hasLowDisks || !this.#later.chance(0.1)) return null;
    return { afterMs: this.#later.between(0, 600), forMs: this.#later.between(5, 3_000) };
  }

  /** Behind the last edit and the last write, so that nothing else brings what is lost then. */
  drawLastLowDisk(): LowDisk | null {
    if (!this.#hasLowDisks) return null;
    return { afterMs: this.#later.between(0, 600), forMs: this.#later.between(500, 5_000) };
  }

  /** How long before failed rows are a week old the machine starts again; null where it goes on. */
  drawWeek(): number | null {
    return this.#hasWeek ? this.#later.between(0, 2 * HOUR_MS) : null;
  }

  #isLarge(probability: number): boolean {
    return this.#largeShare > 0 && this.#random.chance(probability);
  }
}
