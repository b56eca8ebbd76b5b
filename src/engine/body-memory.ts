/**
 * Memory for the bodies of deliveries: one budget of bytes for all lanes, in fair shares by owner.
 *
 * Owners that want memory take turns, and within an owner who came first is served first. The owner
 * whose turn it is keeps it until there is room for its body, so that a large one is not passed over for
 * ever. While owners compete, none gets more than an equal share beyond its first body; alone an owner
 * may have all but the reserve: the last eighth, which is for first bodies. So whoever holds all that
 * they may, for targets that take nothing, leaves room for others.
 *
 * Invariants: what is held stays within the budget, unless a single body is larger than all of it;
 * nobody waits while a body could be let in whose turn it is; who holds memory waits for no more of it
 * (one take for each request, given back when the request has ended), so no two can block each other.
 */

export const BODY_BYTES_MAX = 256 * 1024 * 1024;
/** The part of the budget that is kept for owners who hold nothing. */
const RESERVED_PART = 1 / 8;

interface Waiting {
  readonly bytes: number;
  readonly serve: () => void;
}

interface OwnerShare {
  held: number;
  readonly waiting: Waiting[];
}

/** The memory of one owner. */
export interface OwnerMemory {
  /** To be given back. Resolves when it is taken; undefined where that was at once. */
  take(bytes: number): Promise<void> | undefined;
  giveBack(bytes: number): void;
}

export class BodyMemory {
  readonly #budget: number;
  /** Those that hold or wait, the one whose turn is next first. */
  readonly #owners = new Map<string, OwnerShare>();
  #held = 0;

  /** @param budget bytes */
  constructor(budget: number) {
    this.#budget = budget;
  }

  /** Bytes that are held now. */
  get held(): number {
    return this.#held;
  }

  of(ownerId: string): OwnerMemory {
    return {
      take: (bytes) => this.#take(ownerId, bytes),
      giveBack: (bytes) => this.#giveBack(ownerId, bytes),
    };
  }

  #take(ownerId: string, bytes: number): Promise<void> | undefined {
    const owner = this.#owners.get(ownerId) ?? { held: 0, waiting: [] };
    this.#owners.set(ownerId, owner);
    let isServed = false;
    let resolve: (() => void) | null = null;
    const serve = (): void => {
      isServed = true;
      resolve?.();
    };
    owner.waiting.push({ bytes, serve });
    this.#serve();
    return isServed ? undefined : new Promise((whenServed) => (resolve = whenServed));
  }

  #giveBack(ownerId: string, bytes: number): void {
    const owner = this.#owners.get(ownerId);
    if (owner === undefined) return;
    owner.held -= bytes;
    this.#held -= bytes;
    if (owner.held === 0 && owner.waiting.length === 0) this.#owners.delete(ownerId);
    this.#serve();
  }

  /** Lets in whoever may come in now, one body of one owner after the other. */
  #serve(): void {
    for (;;) {
      const turn = this.#nextTurn();
      if (turn === null || !this.#hasRoomFor(turn.owner, turn.next.bytes)) return;
      const { ownerId, owner, next } = turn;
      owner.waiting.shift();
      owner.held += next.bytes;
      this.#held += next.bytes;
      this.#owners.delete(ownerId);
      this.#owners.set(ownerId, owner);
      next.serve();
    }
  }

  /** The first owner in line whose next body is within its share. */
  #nextTurn(): { ownerId: string; owner: OwnerShare; next: Waiting } | null {
    for (const [ownerId, owner] of this.#owners) {
      const [next] = owner.waiting;
      if (next !== undefined && this.#isWithinShare(owner, next.bytes)) {
        return { ownerId, owner, next };
      }
    }
    return null;
  }

  #isWithinShare({ held }: OwnerShare, bytes: number): boolean {
    return held === 0 || held + bytes <= this.#sharedBytes() / this.#owners.size;
  }

  #hasRoomFor({ held }: OwnerShare, bytes: number): boolean {
    const room = held === 0 ? this.#budget : this.#sharedBytes();
    return this.#held === 0 || this.#held + bytes <= room;
  }

  #sharedBytes(): number {
    return this.#budget * (1 - RESERVED_PART);
  }
}
