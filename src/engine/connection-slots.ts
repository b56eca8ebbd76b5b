/**
 * The caps on connections: 256 in all and 32 per owner, shared by lanes that must not starve each
 * other.
 *
 * A lane's first slot is always granted: it never depends on what others hold. All further ones are
 * granted only below the caps, and not while a lane that holds fewer waits for one. Where first slots
 * alone reach a cap (more busy lanes than the cap), it is exceeded by exactly those: every lane then
 * has one connection, and nobody a second one until enough are given back. A request that its target
 * answers after a long silence takes its slot back too; a lane has at most two of those.
 */

export interface SlotLimits {
  readonly total: number;
  readonly perOwner: number;
}

const LIMITS: SlotLimits = { total: 256, perOwner: 32 };

interface Holder {
  readonly ownerId: string;
  readonly onFree: () => void;
  held: number;
}

/** One lane's share. */
export interface LaneSlots {
  readonly held: number;
  /** Takes up to `count`; fewer where the caps say so, then `onFree` tells when to try again. */
  take(count: number): number;
  release(count: number): void;
  /** Takes back one that was given up while its request was silent, whatever the caps say. */
  retake(): void;
}

export class ConnectionSlots {
  readonly #limits: SlotLimits;
  readonly #ownerHeld = new Map<string, number>();
  /** Lanes that were granted less than they asked for. */
  #waiting = new Set<Holder>();
  #totalHeld = 0;

  constructor(limits: SlotLimits = LIMITS) {
    this.#limits = limits;
  }

  /** @param onFree called after slots were given back, if the lane got less than it asked for */
  join(ownerId: string, onFree: () => void): LaneSlots {
    const holder: Holder = { ownerId, onFree, held: 0 };
    return {
      get held() {
        return holder.held;
      },
      take: (count) => this.#take(holder, count),
      release: (count) => this.#release(holder, count),
      retake: () => this.#add(holder, 1),
    };
  }

  #take(holder: Holder, count: number): number {
    let granted = 0;
    this.#waiting.delete(holder);
    while (granted < count && (holder.held === 0 || this.#mayHaveMore(holder))) {
      granted += 1;
      this.#add(holder, 1);
    }
    if (granted < count) this.#waiting.add(holder);
    return granted;
  }

  #release(holder: Holder, count: number): void {
    if (count === 0) return;
    this.#add(holder, -count);
    if (this.#waiting.size === 0) return;
    const told = this.#waiting;
    this.#waiting = new Set();
    // Those with the fewest come first, or the lane that gave back would have it again at once.
    for (const waiting of [...told].sort((a, b) => a.held - b.held)) waiting.onFree();
  }

  #mayHaveMore(holder: Holder): boolean {
    if (!this.#isBelowCaps(holder)) return false;
    for (const other of this.#waiting) {
      if (other.held < holder.held && this.#isBelowCaps(other)) return false;
    }
    return true;
  }

  #isBelowCaps({ ownerId }: Holder): boolean {
    const { total, perOwner } = this.#limits;
    return this.#totalHeld < total && (this.#ownerHeld.get(ownerId) ?? 0) < perOwner;
  }

  #add(holder: Holder, count: number): void {
    holder.held += count;
    this.#totalHeld += count;
    const ownerHeld = (this.#ownerHeld.get(holder.ownerId) ?? 0) + count;
    if (ownerHeld === 0) this.#ownerHeld.delete(holder.ownerId);
    else this.#ownerHeld.set(holder.ownerId, ownerHeld);
  }
}
