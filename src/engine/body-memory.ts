/**
 * Memory for the bodies of deliveries: one budget of bytes for all lanes, in fair shares by owner.
 *
 * Owners that want memory take turns, and within an owner who came first is served first. The owner
 * whose turn it is keeps it until there is room for its body, so that a large one is not passed over for
 * ever. While owners compete, none gets more than an equal share beyond its first body. There are two
 * rooms: first bodies have all of the budget, further ones all but the reserve, the last eighth. So
 * whoever holds all that they may, for targets that take nothing, leaves room for others.
 *
 * A turn may last for as long as a target takes nothing. Meanwhile owners that hold nothing are served
 * past it, in their order, as far as the reserve goes: what was let past does not count against the room
 * of whoever has the turn, and so cannot lengthen it.
 *
 * Invariants: what is held stays within the budget, unless a single body is larger than all but the
 * reserve; nobody waits while a body could be let in whose turn it is; an owner that holds nothing waits
 * only where the reserve has no room for the first of those who do; who holds memory waits for no more
 * of it (one take for each request, given back when the request has ended), so no two can block each
 * other.
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

interface Turn {
  readonly ownerId: string;
  readonly owner: OwnerShare;
  readonly next: Waiting;
}

/** The memory of one owner. */
export interface OwnerMemory {
  /** To be given back. Resolves when it is taken; undefined where that was at once. */
  take(bytes: number): Promise<void> | undefined;
  giveBack(bytes: number): void;
}

export class BodyMemory {
  readonly #budget: number;
  /** What the bodies of owners that hold some already may take. */
  readonly #shared: number;
  readonly #reserve: number;
  /** Those that hold or wait, the one whose turn is next first. */
  readonly #owners = new Map<string, OwnerShare>();
  /** Bytes that were let past the turn that stands, by owner. */
  readonly #past = new Map<OwnerShare, number>();
  #pastBytes = 0;
  #held = 0;

  /** @param budget bytes */
  constructor(budget: number) {
    this.#budget = budget;
    this.#shared = budget * (1 - RESERVED_PART);
    this.#reserve = budget * RESERVED_PART;
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
    this.#notePast(owner, -Math.min(bytes, this.#past.get(owner) ?? 0));
    if (owner.held === 0 && owner.waiting.length === 0) this.#owners.delete(ownerId);
    this.#serve();
  }

  /** Lets in whoever may come in now, one body of one owner after the other. */
  #serve(): void {
    for (;;) {
      const turn = this.#nextTurn();
      if (turn === null) return;
      if (this.#hasRoomFor(turn)) {
        this.#past.clear();
        this.#pastBytes = 0;
        this.#letIn(turn);
        continue;
      }
      const first = this.#nextFirst();
      if (first === null || !this.#hasReserveFor(first.next.bytes)) return;
      this.#notePast(first.owner, first.next.bytes);
      this.#letIn(first);
    }
  }

  #letIn({ ownerId, owner, next }: Turn): void {
    owner.waiting.shift();
    owner.held += next.bytes;
    this.#held += next.bytes;
    this.#owners.delete(ownerId);
    this.#owners.set(ownerId, owner);
    next.serve();
  }

  #notePast(owner: OwnerShare, bytes: number): void {
    if (bytes === 0) return;
    this.#pastBytes += bytes;
    const past = (this.#past.get(owner) ?? 0) + bytes;
    if (past === 0) this.#past.delete(owner);
    else this.#past.set(owner, past);
  }

  /** The first owner in line whose next body is within its share. */
  #nextTurn(): Turn | null {
    for (const [ownerId, owner] of this.#owners) {
      const [next] = owner.waiting;
      if (next !== undefined && this.#isWithinShare(owner, next.bytes)) {
        return { ownerId, owner, next };
      }
    }
    return null;
  }

  /** The first owner in line that holds nothing, and whose body the reserve can ever have room for. */
  #nextFirst(): Turn | null {
    for (const [ownerId, owner] of this.#owners) {
      const [next] = owner.waiting;
      if (next !== undefined && owner.held === 0 && next.bytes <= this.#reserve) {
        return { ownerId, owner, next };
      }
    }
    return null;
  }

  #isWithinShare({ held }: OwnerShare, bytes: number): boolean {
    return held === 0 || held + bytes <= this.#shared / this.#owners.size;
  }

  #hasRoomFor({ owner, next }: Turn): boolean {
    const others = this.#held - this.#pastBytes;
    if (others === 0) return true;
    return owner.held === 0
      ? this.#held + next.bytes <= this.#budget
      : others + next.bytes <= this.#shared;
  }

  #hasReserveFor(bytes: number): boolean {
    return this.#held + bytes <= this.#budget && this.#pastBytes + bytes <= this.#reserve;
  }
}
