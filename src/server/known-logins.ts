/**
 * From which addresses each account has logged in, so that guesses of others do not hold it up there.
 *
 * Kept in memory: after a restart everybody is new once. Invariants: at most `ACCOUNTS_MAX` accounts,
 * and of each at most `CLIENTS_MAX` addresses; what was used least recently goes first. Names are kept
 * as hashes.
 */
import { createHash } from 'node:crypto';
import { clientOf } from './client-address.ts';

const ACCOUNTS_MAX = 1_000;
const CLIENTS_MAX = 16;

export class KnownLogins {
  /** Least recently used first, at both levels. */
  readonly #accounts = new Map<string, Set<string>>();

  has(username: string, address: string): boolean {
    return this.#accounts.get(nameKey(username))?.has(clientOf(address)) ?? false;
  }

  /** The right password came from there. */
  add(username: string, address: string): void {
    const name = nameKey(username);
    const clients = this.#accounts.get(name) ?? new Set<string>();
    const client = clientOf(address);
    clients.delete(client);
    clients.add(client);
    dropFirst(clients, CLIENTS_MAX);
    this.#accounts.delete(name);
    this.#accounts.set(name, clients);
    dropFirst(this.#accounts, ACCOUNTS_MAX);
  }

  /** How many pairs are held. */
  get size(): number {
    let size = 0;
    for (const clients of this.#accounts.values()) size += clients.size;
    return size;
  }
}

function dropFirst(entries: Map<string, unknown> | Set<string>, sizeMax: number): void {
  if (entries.size <= sizeMax) return;
  const [first] = entries.keys();
  if (first !== undefined) entries.delete(first);
}

function nameKey(username: string): string {
  return createHash('sha256').update(JSON.stringify(username)).digest('base64');
}
