/**
 * Names that wait for a lookup, in one queue for each owner. Owners take turns, so that the owner of
 * hundreds of names waits for itself and not before others.
 *
 * Invariants: a name that waits stands in the queue of every owner that asked for it, and leaves all of
 * them at once; an owner is listed while its queue holds a name.
 */
import type { Pending } from './resolver.ts';

export interface WaitingNamesOptions {
  /** Places of all owners together: a name takes one in each queue that it stands in. */
  readonly waitingMax: number;
  /** Places of one owner. */
  readonly ownerWaitingMax: number;
}

type Queue = Map<string, Pending>;

export class WaitingNames {
  readonly #options: WaitingNamesOptions;
  /** By owner, the one whose turn is next first. */
  readonly #queues = new Map<string, Queue>();
  readonly #byName = new Map<string, Pending>();
  #places = 0;

  constructor(options: WaitingNamesOptions) {
    this.#options = options;
  }

  /** The name as it waits, perhaps for others too; null where there is no place. */
  add(hostname: string, ownerId: string): Pending | null {
    const own = this.#queues.get(ownerId)?.get(hostname);
    if (own !== undefined) return own;
    const ownPlaces = this.#queues.get(ownerId)?.size ?? 0;
    if (ownPlaces >= this.#options.ownerWaitingMax) return null;
    if (this.#places >= this.#options.waitingMax && !this.#makePlace(ownPlaces)) return null;
    const pending = this.#byName.get(hostname) ?? { hostname, waiters: new Set() };
    this.#byName.set(hostname, pending);
    // Making a place may have ended the owner's queue: it is looked up again.
    const queue: Queue = this.#queues.get(ownerId) ?? new Map<string, Pending>();
    queue.set(hostname, pending);
    this.#queues.set(ownerId, queue);
    this.#places += 1;
    return pending;
  }

  /** The first name of the first owner that may begin; the owner goes to the end of the line. */
  takeNext(
    mayBegin: (ownerId: string) => boolean,
  ): { readonly pending: Pending; readonly ownerId: string } | null {
    for (const [ownerId, queue] of this.#queues) {
      const [pending] = queue.values();
      if (pending === undefined || !mayBegin(ownerId)) continue;
      this.#queues.delete(ownerId);
      this.#queues.set(ownerId, queue);
      this.remove(pending);
      return { pending, ownerId };
    }
    return null;
  }

  /** Nobody waits for it any more, or its lookup begins. */
  remove({ hostname }: Pending): void {
    if (!this.#byName.delete(hostname)) return;
    for (const [ownerId, queue] of this.#queues) {
      if (queue.delete(hostname)) this.#places -= 1;
      if (queue.size === 0) this.#queues.delete(ownerId);
    }
  }

  /** Ends the wait of the newest name of the owner that has most, where that is not who asks. */
  #makePlace(ownPlaces: number): boolean {
    const [longest] = [...this.#queues.values()].sort((a, b) => b.size - a.size);
    if (longest === undefined || longest.size <= ownPlaces + 1) return false;
    const last = [...longest.values()].at(-1);
    if (last === undefined) return false;
    this.remove(last);
    for (const settle of last.waiters) settle('unanswered');
    return true;
  }
}
