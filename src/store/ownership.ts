/**
 * Who holds the lease of model/lease.ts: one record. Epochs only grow: a process that lost the lease and
 * does not know it yet is refused by the epoch, whatever its clock says.
 */
import { LeaseLostError } from '../model/lease.ts';
import type { StoredLease, Tables } from './tables.ts';
import type { TransactionMemory } from './transactions.ts';
import type { Tx } from './tx.ts';

const HOLDER = 'holder';
const FREE: StoredLease = { process: null, epoch: 0, expires: 0 };

/** The new epoch, or null where somebody else who may be alive holds the lease. */
export function takeLease(tx: Tx): number | null {
  const { process, epoch, expires } = tx.lease.read();
  const isOthers = process !== null && process.instance !== tx.identity.instance;
  const now = tx.now();
  if (isOthers && expires > now && tx.mayBeAlive(process)) return null;
  tx.lease.put({ process: tx.identity, epoch: epoch + 1, expires: now + tx.leaseMs });
  return epoch + 1;
}

/** False where it is not held under that epoch. */
export function renewLease(tx: Tx, epoch: number): boolean {
  const held = tx.lease.read();
  if (!isHeldUnder(held, epoch)) return false;
  tx.lease.put({ ...held, expires: tx.now() + tx.leaseMs });
  return true;
}

export function giveLeaseBack(tx: Tx, epoch: number): void {
  if (tx.lease.read().epoch === epoch) tx.lease.put({ ...FREE, epoch });
}

/** @throws LeaseLostError where the lease is not held under that epoch */
export function assertLeaseHeld(tx: Tx, epoch: number): void {
  if (!isHeldUnder(tx.lease.read(), epoch)) throw new LeaseLostError();
}

/** The record, which a transaction of many operations reads once. */
export class LeaseRecord implements TransactionMemory {
  readonly #lease: Tables['lease'];
  /** As the running transaction has it; null before it is asked for. */
  #held: StoredLease | null = null;

  constructor({ lease }: Pick<Tables, 'lease'>) {
    this.#lease = lease;
  }

  read(): StoredLease {
    this.#held ??= this.#lease.get(HOLDER) ?? FREE;
    return this.#held;
  }

  put(lease: StoredLease): void {
    this.#lease.put(HOLDER, lease);
    this.#held = lease;
  }

  begin(): void {
    this.#held = null;
  }

  end(): void {
    this.#held = null;
  }

  abort(): void {
    this.#held = null;
  }
}

function isHeldUnder({ process, epoch }: StoredLease, asked: number): boolean {
  return process !== null && epoch === asked;
}
