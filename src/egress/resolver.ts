/**
 * Resolves host names without letting a slow or hostile name server hold anything up.
 *
 * getaddrinfo shares four threads with file access and password hashing, and cannot be cancelled.
 * So few lookups run at a time, everybody waits a bounded time, and answers are remembered briefly.
 *
 * States of a name:
 *
 *     unknown → queued → running → known (cached, 10 s) → unknown
 *                  ↘ unknown (all who waited gave up)
 *
 * Invariants:
 * - At most `concurrency` lookups run, also when some never settle: a lookup keeps its slot until it
 *   settles, because its thread is taken until then. Giving the slot away after a while would let
 *   one bad name server take the threads one by one.
 * - A call settles within `timeoutMs`, time in the queue included. With every slot taken by lookups
 *   that never settle, each call ends `unresolved` after that time, and none is refused for good:
 *   the slot is free again as soon as a lookup settles, and a late answer is still cached.
 * - A name is queued or running once, whoever asks. A timeout is not an answer and is not cached.
 * - Where earlier answers may stand in (`earlierMs`), a name that resolved before is not held up by names
 *   that do not: a call for it ends within `patienceMs`, with the earlier answer if need be.
 * - No timer is left behind by a call that has settled.
 */
import { lookup as systemLookup } from 'node:dns/promises';

/** How long one call waits at most. */
export const RESOLVE_TIMEOUT_MS = 2_000;
/** How long an answer, also a negative one, is used again. */
export const RESOLVE_CACHE_MS = 10_000;
/** How long a call waits that has an earlier answer. */
export const RESOLVE_PATIENCE_MS = 250;

/** The addresses of a name, at least one; or that there are none, the lookup failed or took too long. */
export type Resolution = { readonly addresses: readonly string[] } | 'unresolved';

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
  /** How long one call waits at most. */
  readonly timeoutMs?: number;
  /** How long an answer, also a negative one, is used again. */
  readonly cacheMs?: number;
  /** How old an answer may be that stands in for one that is late; by default none does. */
  readonly earlierMs?: number;
  /** How long a call waits that has an earlier answer. */
  readonly patienceMs?: number;
  /** How many names are remembered, and how many may wait. */
  readonly namesMax?: number;
}

interface Pending {
  readonly hostname: string;
  readonly waiters: Set<(resolution: Resolution) => void>;
}

interface Known {
  readonly resolution: Resolution;
  readonly answeredAtMs: number;
}

export class BoundedResolver {
  readonly #options: Required<BoundedResolverOptions>;
  readonly #queued = new Map<string, Pending>();
  readonly #running = new Map<string, Pending>();
  /** From the oldest answer to the newest. */
  readonly #known = new Map<string, Known>();

  constructor(options: BoundedResolverOptions) {
    this.#options = {
      timeoutMs: RESOLVE_TIMEOUT_MS,
      cacheMs: RESOLVE_CACHE_MS,
      earlierMs: 0,
      patienceMs: RESOLVE_PATIENCE_MS,
      namesMax: 1_000,
      ...options,
    };
  }

  /** Never rejects. Beyond `namesMax` waiting names the answer is `unresolved` at once. */
  resolve(hostname: string): Promise<Resolution> {
    this.#forgetOld();
    const { clock, cacheMs, patienceMs, timeoutMs } = this.#options;
    const known = this.#known.get(hostname);
    if (known !== undefined && clock.nowMs() - known.answeredAtMs < cacheMs)
      return Promise.resolve(known.resolution);
    const earlier = known?.resolution ?? 'unresolved';
    const pending = this.#pending(hostname);
    if (pending === null) return Promise.resolve(earlier);
    const waitMs = earlier === 'unresolved' ? timeoutMs : patienceMs;
    const resolution = this.#wait(pending, waitMs, earlier);
    this.#startQueued();
    return resolution;
  }

  #pending(hostname: string): Pending | null {
    const pending = this.#running.get(hostname) ?? this.#queued.get(hostname);
    if (pending !== undefined) return pending;
    if (this.#queued.size >= this.#options.namesMax) return null;
    const added = { hostname, waiters: new Set<(resolution: Resolution) => void>() };
    this.#queued.set(hostname, added);
    return added;
  }

  /** @param otherwise what the call ends with where the answer is late */
  #wait(pending: Pending, waitMs: number, otherwise: Resolution): Promise<Resolution> {
    return new Promise((resolve) => {
      const settle = (resolution: Resolution): void => {
        cancel();
        resolve(resolution);
      };
      const cancel = this.#options.clock.after(waitMs, () => {
        pending.waiters.delete(settle);
        if (pending.waiters.size === 0) this.#queued.delete(pending.hostname);
        resolve(otherwise);
      });
      pending.waiters.add(settle);
    });
  }

  #startQueued(): void {
    for (const [hostname, pending] of this.#queued) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#queued.delete(hostname);
      this.#running.set(hostname, pending);
      void this.#run(pending);
    }
  }

  async #run(pending: Pending): Promise<void> {
    const resolution = await this.#lookUp(pending.hostname);
    this.#running.delete(pending.hostname);
    this.#remember(pending.hostname, resolution);
    for (const settle of pending.waiters) settle(resolution);
    this.#startQueued();
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
    const { clock, cacheMs, earlierMs } = this.#options;
    const newestForgotten = clock.nowMs() - Math.max(cacheMs, earlierMs);
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

/** Real time; its timers let the process end. */
export function createResolverClock(): ResolverClock {
  return {
    nowMs: () => performance.now(),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs).unref();
      return () => clearTimeout(timer);
    },
  };
}
