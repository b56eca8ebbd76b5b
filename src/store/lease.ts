/**
 * The lease of model/lease.ts as one record. Epochs only grow: a process that lost the lease and does
 * not know it yet is refused by the epoch, whatever its clock says.
 *
 * All methods run inside a write transaction of the caller, which reads the record once.
 */
import { LeaseLostError } from '../model/lease.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { StoredLease, Tables } from './tables.ts';
import type { TransactionMemory } from './transactions.ts';

const HOLDER = 'holder';
const FREE: StoredLease = { process: null, epoch: 0, expires: 0 };

export class Lease implements TransactionMemory {
  readonly #lease: Tables['lease'];
  /** As the running transaction has it; null before it is asked for. */
  #held: StoredLease | null = null;

  constructor({ lease }: Pick<Tables, 'lease'>) {
    this.#lease = lease;
  }

  /** The new epoch, or null where somebody else who may be alive holds the lease. */
  take(
    self: ProcessIdentity,
    mayBeAlive: (process: ProcessIdentity) => boolean,
    now: number,
    leaseMs: number,
  ): number | null {
    const { process, epoch, expires } = this.#read();
    const isOthers = process !== null && process.instance !== self.instance;
    if (isOthers && expires > now && mayBeAlive(process)) return null;
    this.#put({ process: self, epoch: epoch + 1, expires: now + leaseMs });
    return epoch + 1;
  }

  /** False where it is not held under that epoch. */
  extend(epoch: number, now: number, leaseMs: number): boolean {
    const held = this.#read();
    if (!isHeldUnder(held, epoch)) return false;
    this.#put({ ...held, expires: now + leaseMs });
    return true;
  }

  giveBack(epoch: number): void {
    if (this.#read().epoch === epoch) this.#put({ ...FREE, epoch });
  }

  /** @throws LeaseLostError where the lease is not held under that epoch */
  assertHeld(epoch: number): void {
    if (!isHeldUnder(this.#read(), epoch)) throw new LeaseLostError();
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

  #read(): StoredLease {
    this.#held ??= this.#lease.get(HOLDER) ?? FREE;
    return this.#held;
  }

  #put(lease: StoredLease): void {
    this.#lease.put(HOLDER, lease);
    this.#held = lease;
  }
}

function isHeldUnder({ process, epoch }: StoredLease, asked: number): boolean {
  return process !== null && epoch === asked;
}
