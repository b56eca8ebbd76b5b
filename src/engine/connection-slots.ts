/**
 * The caps on connections: 256 in all and 32 per owner, whatever the number of its lanes.
 *
 * A lane that gets none waits, and is granted the next one that is free: the owner with the fewest comes
 * first, then the one that waits for longest; within an owner its lanes without a connection take turns,
 * then the lane with the fewest. A lane's slot is kept for it from the grant until it takes it or passes
 * it on, and it is told: so a free slot wakes one lane and not all that wait. The last eighth of all
 * connections is for owners that have none, so that those who hold theirs for ever leave some to others.
 *
 * Invariants: nobody waits that may have a slot; the caps are exceeded only by requests that their
 * targets answer after a long silence, and take their slots back (a lane has at most two of those).
 */

export interface SlotLimits {
  readonly total: number;
  readonly perOwner: number;
}

const LIMITS: SlotLimits = { total: 256, perOwner: 32 };
/** The part of all connections that is kept for owners who have none. */
const RESERVED_PART = 1 / 8;

interface Holder {
  readonly ownerId: string;
  readonly onFree: () => void;
  held: number;
  /** Whether a slot that counts as held is kept for it, not taken yet. */
  isGranted: boolean;
}

interface OwnerShare {
  held: number;
  /** In order of their arrival. */
  readonly waiting: Set<Holder>;
}

/** One lane's share. */
export interface LaneSlots {
  /** One that is kept for the lane included. */
  readonly held: number;
  /** Takes up to `count`; fewer where the caps say so, then `onFree` tells when one is kept for it. */
  take(count: number): number;
  release(count: number): void;
  /** Takes back one that was given up while its request was silent, whatever the caps say. */
  retake(): void;
  /** One that is kept for the lane and was not taken goes to another lane. */
  pass(): void;
  /** As {@link pass}; the lane waits for none any longer. */
  leave(): void;
}

export class ConnectionSlots {
  readonly #limits: SlotLimits;
  readonly #reserved: number;
  /** Those that hold or wait, the one that was granted one last at the end. */
  readonly #owners = new Map<string, OwnerShare>();
  #held = 0;

  constructor(limits: SlotLimits = LIMITS) {
    this.#limits = limits;
    this.#reserved = Math.floor(limits.total * RESERVED_PART);
  }

  /** @param onFree called where a slot is kept for the lane, which takes it or passes it on */
  join(ownerId: string, onFree: () => void): LaneSlots {
    const holder: Holder = { ownerId, onFree, held: 0, isGranted: false };
    return {
      get held() {
        return holder.held;
      },
      take: (count) => this.#take(holder, count),
      release: (count) => this.#release(holder, count),
      retake: () => this.#add(holder, 1),
      pass: () => this.#pass(holder),
      leave: () => {
        const owner = this.#ownerOf(holder);
        owner.waiting.delete(holder);
        this.#forgetIdle(ownerId, owner);
        this.#pass(holder);
      },
    };
  }

  #take(holder: Holder, count: number): number {
    const owner = this.#ownerOf(holder);
    let taken = 0;
    if (holder.isGranted && count > 0) {
      holder.isGranted = false;
      taken = 1;
    }
    while (taken < count && this.#mayHaveOne(owner)) {
      this.#add(holder, 1);
      taken += 1;
    }
    if (taken < count) owner.waiting.add(holder);
    else if (count > 0) owner.waiting.delete(holder);
    this.#forgetIdle(holder.ownerId, owner);
    return taken;
  }

  #release(holder: Holder, count: number): void {
    if (count === 0) return;
    this.#add(holder, -count);
    this.#grantFree();
  }

  #pass(holder: Holder): void {
    if (!holder.isGranted) return;
    holder.isGranted = false;
    this.#release(holder, 1);
  }

  #grantFree(): void {
    for (;;) {
      const next = this.#nextWaiting();
      if (next === null) return;
      const owner = this.#ownerOf(next);
      owner.waiting.delete(next);
      next.isGranted = true;
      this.#add(next, 1);
      this.#owners.delete(next.ownerId);
      this.#owners.set(next.ownerId, owner);
      next.onFree();
    }
  }

  #nextWaiting(): Holder | null {
    let fewest: OwnerShare | null = null;
    for (const owner of this.#owners.values()) {
      if (owner.waiting.size === 0 || !this.#mayHaveOne(owner)) continue;
      if (fewest === null || owner.held < fewest.held) fewest = owner;
    }
    return fewest === null ? null : laneWithFewest(fewest.waiting);
  }

  #mayHaveOne({ held }: OwnerShare): boolean {
    const { total, perOwner } = this.#limits;
    return held < perOwner && this.#held < (held === 0 ? total : total - this.#reserved);
  }

  #add(holder: Holder, count: number): void {
    const owner = this.#ownerOf(holder);
    holder.held += count;
    owner.held += count;
    this.#held += count;
    this.#forgetIdle(holder.ownerId, owner);
  }

  #ownerOf({ ownerId }: Holder): OwnerShare {
    const known = this.#owners.get(ownerId);
    if (known !== undefined) return known;
    const owner: OwnerShare = { held: 0, waiting: new Set() };
    this.#owners.set(ownerId, owner);
    return owner;
  }

  #forgetIdle(ownerId: string, { held, waiting }: OwnerShare): void {
    if (held === 0 && waiting.size === 0) this.#owners.delete(ownerId);
  }
}

/** The first of those with the fewest. */
function laneWithFewest(waiting: ReadonlySet<Holder>): Holder | null {
  let fewest: Holder | null = null;
  for (const lane of waiting) {
    if (lane.held === 0) return lane;
    if (fewest === null || lane.held < fewest.held) fewest = lane;
  }
  return fewest;
}
