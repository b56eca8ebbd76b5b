/**
 * Resolves host names without letting a slow or hostile name server, or the owner of very many names,
 * hold anybody else up.
 *
 * getaddrinfo shares the process's threads with file access and password hashing, and cannot be
 * cancelled. So few lookups run at a time, owners take turns, everybody waits a bounded time, and
 * answers are remembered briefly.
 *
 * States of a name:
 *
 *     unknown → queued → running → known (cached, 10 s) → unknown
 *                  │        └→ late (after `lateMs`) ─┘
 *                  └→ unknown (all who waited gave up, or others needed the place)
 *
 * Invariants:
 * - At most `concurrency` lookups run that are not late, at most `lateMax` are late, and an owner has at
 *   most `ownerMax` of both together. A late lookup gives its place to another one, though its thread
 *   stays taken until it settles: hence the limit. Past it nothing begins until a lookup settles.
 * - Owners take turns, each with the name that it asked for first. A name that several owners wait for
 *   is looked up once, on the turn of whoever comes first.
 * - At most `waitingMax` names wait, `ownerWaitingMax` of one owner. Where all places are taken, one of
 *   the owner that has most gives way to an owner that has fewer.
 * - A call settles within `timeoutMs`, time in the queue included. A timeout is not an answer and is not
 *   cached; a late answer is.
 * - No timer is left behind by a call that has settled, or by a lookup that has.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { WaitingNames } from './waiting-names.ts';

/** How long one call waits at most. */
export const RESOLVE_TIMEOUT_MS = 2_000;
/** How long an answer, also a negative one, is used again. */
export const RESOLVE_CACHE_MS = 10_000;
/** How long a call waits that has an earlier answer (target-answers.ts). */
export const RESOLVE_PATIENCE_MS = 250;

/**
 * The addresses of a name, at least one; or `unresolved`, as there are none or the lookup failed; or
 * `unanswered`, as it took too long or had no place to wait, which says nothing of the name.
 */
export type Resolution = { readonly addresses: readonly string[] } | 'unresolved' | 'unanswered';

/** All addresses of a host name. A rejection means that it does not resolve, whatever the reason. */
export type Lookup = (hostname: string) => Promise<readonly string[]>;

/** Time for those who wait. */
export interface ResolverClock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Calls `callback` once after `delayMs`; the returned function cancels that. Keeps no process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

export interface BoundedResolverOptions {
  readonly lookup: Lookup;
  readonly clock: ResolverClock;
  /** How many lookups run at a time: 1 for saves, 2 for the engine. */
  readonly concurrency: number;
  /** After how long a lookup is late. */
  readonly lateMs?: number;
  /** How many late lookups are borne with. */
  readonly lateMax?: number;
  /** How many lookups one owner has at a time, late ones included. By default `concurrency`. */
  readonly ownerMax?: number;
  /** How long one call waits at most. */
  readonly timeoutMs?: number;
  /** How long an answer, also a negative one, is used again. */
  readonly cacheMs?: number;
  /** How many names are remembered. */
  readonly namesMax?: number;
  /** How many names may wait. */
  readonly waitingMax?: number;
  /** How many names of one owner may wait. */
  readonly ownerWaitingMax?: number;
}

/** One name, and those who wait for it. */
export interface Pending {
  readonly hostname: string;
  readonly waiters: Set<(resolution: Resolution) => void>;
}

interface Known {
  readonly resolution: Resolution;
  readonly answeredAtMs: number;
}

export class BoundedResolver {
  readonly #options: Required<BoundedResolverOptions>;
  readonly #waiting: WaitingNames;
  /** Late ones too. */
  readonly #running = new Map<string, Pending>();
  readonly #runningOf = new Map<string, number>();
  /** How many run for longer than `lateMs`; as many as `lateMax` of them count as late. */
  #overdue = 0;
  /** From the oldest answer to the newest. */
  readonly #known = new Map<string, Known>();

  constructor(options: BoundedResolverOptions) {
    this.#options = {
      timeoutMs: RESOLVE_TIMEOUT_MS,
      lateMs: 500,
      lateMax: 2,
      ownerMax: options.concurrency,
      cacheMs: RESOLVE_CACHE_MS,
      namesMax: 1_000,
      waitingMax: 1_000,
      ownerWaitingMax: 64,
      ...options,
    };
    this.#waiting = new WaitingNames(this.#options);
  }

  /**
   * Never rejects. Without a place to wait the answer is `unanswered` at once.
   *
   * @param ownerId on whose share the name is looked up
   */
  resolve(hostname: string, ownerId: string): Promise<Resolution> {
    this.#forgetOld();
    const known = this.#known.get(hostname);
    if (known !== undefined) return Promise.resolve(known.resolution);
    const running = this.#running.get(hostname);
    if (running !== undefined) return this.#wait(running);
    const pending = this.#waiting.add(hostname, ownerId);
    if (pending === null) return Promise.resolve('unanswered');
    const resolution = this.#wait(pending);
    this.#startWaiting();
    return resolution;
  }

  #wait(pending: Pending): Promise<Resolution> {
    return new Promise((resolve) => {
      const settle = (resolution: Resolution): void => {
        cancel();
        resolve(resolution);
      };
      const cancel = this.#options.clock.after(this.#options.timeoutMs, () => {
        pending.waiters.delete(settle);
        if (pending.waiters.size === 0) this.#waiting.remove(pending);
        resolve('unanswered');
      });
      pending.waiters.add(settle);
    });
  }

  #startWaiting(): void {
    while (this.#occupied() < this.#options.concurrency) {
      const next = this.#waiting.takeNext(
        (ownerId) => (this.#runningOf.get(ownerId) ?? 0) < this.#options.ownerMax,
      );
      if (next === null) return;
      this.#running.set(next.pending.hostname, next.pending);
      void this.#run(next.pending, next.ownerId);
    }
  }

  async #run(pending: Pending, ownerId: string): Promise<void> {
    this.#count(ownerId, 1);
    const late = this.#watchForLateness();
    const resolution = await this.#lookUp(pending.hostname);
    late.end();
    this.#count(ownerId, -1);
    this.#running.delete(pending.hostname);
    this.#remember(pending.hostname, resolution);
    for (const settle of pending.waiters) settle(resolution);
    this.#startWaiting();
  }

  /** Notes when a lookup is overdue, until it ends. */
  #watchForLateness(): { end(): void } {
    const { clock, lateMs, lateMax } = this.#options;
    if (lateMax === 0) return { end: () => undefined };
    let isOverdue = false;
    const cancel = clock.after(lateMs, () => {
      isOverdue = true;
      this.#overdue += 1;
      this.#startWaiting();
    });
    return {
      end: () => {
        cancel();
        if (isOverdue) this.#overdue -= 1;
      },
    };
  }

  /** How many lookups take one of the places of those that are not late. */
  #occupied(): number {
    return this.#running.size - Math.min(this.#overdue, this.#options.lateMax);
  }

  #count(ownerId: string, change: 1 | -1): void {
    const count = (this.#runningOf.get(ownerId) ?? 0) + change;
    if (count === 0) this.#runningOf.delete(ownerId);
    else this.#runningOf.set(ownerId, count);
  }

  async #lookUp(hostname: string): Promise<Resolution> {
    try {
      const addresses = await this.#options.lookup(hostname);
      return addresses.length === 0 ? 'unresolved' : { addresses };
    } catch {
      // A failure of whatever kind means the same to those who ask: there is no address to judge.
      return 'unresolved';
    }
  }

  #remember(hostname: string, resolution: Resolution): void {
    this.#known.delete(hostname);
    const [oldest] = this.#known.keys();
    if (oldest !== undefined && this.#known.size >= this.#options.namesMax) {
      this.#known.delete(oldest);
    }
    this.#known.set(hostname, { resolution, answeredAtMs: this.#options.clock.nowMs() });
  }

  #forgetOld(): void {
    const newestForgotten = this.#options.clock.nowMs() - this.#options.cacheMs;
    for (const [hostname, { answeredAtMs }] of this.#known) {
      if (answeredAtMs > newestForgotten) return;
      this.#known.delete(hostname);
    }
  }
}

/**
 * The system's own resolver (getaddrinfo: hosts file, search domains and all), as connections use it.
 *
 * @throws the errors of node:dns, as a rejection
 */
export function createSystemLookup(): Lookup {
  return async (hostname) => {
    const answers = await systemLookup(hostname, { all: true, verbatim: true });
    return answers.map(({ address }) => address);
  };
}
