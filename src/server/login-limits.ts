/**
 * Slows down those who guess passwords, without locking anybody's account.
 *
 * Failures count against (user name, address) and against the address; past a few, the next attempt
 * has to wait, twice as long each time up to a bound. A user at another address notices nothing, and
 * who logged in from the address before is not asked to wait (known-logins.ts, internal-api/users.ts).
 * Attempts that have to wait are refused unseen and do not count, so the wait always ends.
 *
 * Invariants: each table holds at most `ENTRIES_MAX` counters, the least recently failed goes first;
 * user names are kept as hashes; a counter is forgotten some time after its last failure.
 */
import { createHash } from 'node:crypto';
import { clientOf } from './client-address.ts';
import { tooManyRequests } from './errors.ts';

const ENTRIES_MAX = 10_000;
const FORGET_AFTER_MS = 15 * 60 * 1000;
const FIRST_WAIT_MS = 1_000;

/** An address has more tries than a pair: many people may share one behind a proxy. */
const PAIR = { failuresFree: 5, waitMsMax: 60_000 };
const ADDRESS = { failuresFree: 30, waitMsMax: 10_000 };

interface Limit {
  readonly failuresFree: number;
  readonly waitMsMax: number;
}

interface Counter {
  readonly failures: number;
  readonly lastFailureMs: number;
}

class FailureTable {
  readonly #limit: Limit;
  /** Least recently failed first. */
  readonly #counters = new Map<string, Counter>();

  constructor(limit: Limit) {
    this.#limit = limit;
  }

  waitMs(key: string, nowMs: number): number {
    const { failures, lastFailureMs } = this.#current(key, nowMs);
    const over = failures - this.#limit.failuresFree;
    if (over < 0) return 0;
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** over, this.#limit.waitMsMax);
    return Math.max(0, lastFailureMs + waitMs - nowMs);
  }

  add(key: string, nowMs: number): void {
    const { failures } = this.#current(key, nowMs);
    this.#counters.delete(key);
    this.#counters.set(key, { failures: failures + 1, lastFailureMs: nowMs });
    if (this.#counters.size <= ENTRIES_MAX) return;
    const [oldest] = this.#counters.keys();
    if (oldest !== undefined) this.#counters.delete(oldest);
  }

  clear(key: string): void {
    this.#counters.delete(key);
  }

  get size(): number {
    return this.#counters.size;
  }

  /** A clock that went back forgives: nobody waits until it has caught up. */
  #current(key: string, nowMs: number): Counter {
    const counter = this.#counters.get(key);
    const ageMs = counter === undefined ? 0 : nowMs - counter.lastFailureMs;
    if (counter === undefined || ageMs < 0 || ageMs > FORGET_AFTER_MS) {
      return { failures: 0, lastFailureMs: nowMs };
    }
    return counter;
  }
}

export class LoginLimits {
  readonly #clock: () => number;
  readonly #pairs = new FailureTable(PAIR);
  readonly #addresses = new FailureTable(ADDRESS);

  /** @param clock milliseconds, of any origin */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** @throws ApiError TooManyRequests while the pair or the address has to wait */
  check(username: string, address: string): void {
    const nowMs = this.#clock();
    const waitMs = Math.max(
      this.#pairs.waitMs(pairKey(username, address), nowMs),
      this.#addresses.waitMs(clientOf(address), nowMs),
    );
    if (waitMs > 0) throw tooManyRequests(waitMs / 1000);
  }

  failed(username: string, address: string): void {
    const nowMs = this.#clock();
    this.#pairs.add(pairKey(username, address), nowMs);
    this.#addresses.add(clientOf(address), nowMs);
  }

  /** Forgets the pair's failures; the address keeps its own, or one account would buy guesses at others. */
  succeeded(username: string, address: string): void {
    this.#pairs.clear(pairKey(username, address));
  }

  /** How many counters are held. */
  get size(): number {
    return this.#pairs.size + this.#addresses.size;
  }
}

function pairKey(username: string, address: string): string {
  const text = JSON.stringify([username, clientOf(address)]);
  return createHash('sha256').update(text).digest('base64');
}
