/**
 * Who waits for expensive work, with a share for each address and, within an address, for each account.
 *
 * Addresses take turns, and the accounts of an address do, so that whoever asks a thousand times waits
 * behind everybody who asks once. When the queue is full, whoever has most in it makes room.
 *
 * Invariants: `#size` is the number of all that wait, never above the bound; an address or account is
 * listed exactly as long as somebody of it waits; the first in order is the one whose turn it is.
 */

/** Whose work it is. */
export interface Asker {
  readonly address: string;
  readonly account: string;
}

type Accounts<T> = Map<string, T[]>;

export class FairQueue<T> {
  readonly #waitingMax: number;
  readonly #addresses = new Map<string, Accounts<T>>();
  #size = 0;

  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Adds one at the end of its account's turn.
   *
   * @returns who has to leave for it: `waiter` itself where nobody has more in the queue, null where
   *   there was room
   */
  add(waiter: T, { address, account }: Asker): T | null {
    const left = this.#size < this.#waitingMax ? null : this.#makeRoom(address, account);
    if (left === undefined) return waiter;
    const accounts = this.#addresses.get(address) ?? new Map<string, T[]>();
    const waiting = accounts.get(account) ?? [];
    waiting.push(waiter);
    accounts.set(account, waiting);
    this.#addresses.set(address, accounts);
    this.#size += 1;
    return left;
  }

  /** Takes the one whose turn it is; undefined where nobody waits. */
  take(): T | undefined {
    const [first] = this.#addresses;
    if (first === undefined) return undefined;
    const [address, accounts] = first;
    const [account, waiting] = [...accounts][0]!;
    const waiter = waiting.shift();
    this.#size -= 1;
    // Whoever had a turn goes to the end.
    accounts.delete(account);
    if (waiting.length > 0) accounts.set(account, waiting);
    this.#addresses.delete(address);
    if (accounts.size > 0) this.#addresses.set(address, accounts);
    return waiter;
  }

  /** Sends away the last of whoever has most; undefined where the newcomer would have as much. */
  #makeRoom(address: string, account: string): T | undefined {
    const largest = largestOf(this.#addresses, countOf);
    const own = this.#addresses.get(address);
    const isOther = largest.count > countOf(own) + 1;
    const from = isOther ? largest.key : address;
    const accounts = this.#addresses.get(from);
    if (accounts === undefined) return undefined;
    const most = largestOf(accounts, (waiting) => waiting.length);
    if (!isOther && most.count <= (accounts.get(account)?.length ?? 0) + 1) return undefined;
    const waiting = accounts.get(most.key)!;
    const left = waiting.pop();
    this.#size -= 1;
    if (waiting.length === 0) accounts.delete(most.key);
    if (accounts.size === 0) this.#addresses.delete(from);
    return left;
  }
}

function largestOf<V>(
  map: ReadonlyMap<string, V>,
  count: (value: V) => number,
): { key: string; count: number } {
  let largest = { key: '', count: 0 };
  for (const [key, value] of map) {
    const found = count(value);
    if (found > largest.count) largest = { key, count: found };
  }
  return largest;
}

function countOf(accounts: ReadonlyMap<string, readonly unknown[]> | undefined): number {
  let count = 0;
  for (const waiting of accounts?.values() ?? []) count += waiting.length;
  return count;
}
