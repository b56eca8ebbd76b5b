/**
 * The lease of model/lease.ts as one record. Epochs only grow: a process that lost the lease and does
 * not know it yet is refused by the epoch, whatever its clock says.
 *
 * All functions run inside a write transaction of the caller.
 */
import { LeaseLostError } from '../model/lease.ts';
import type { ProcessIdentity } from './process-identity.ts';
import type { StoredLease, Tables } from './tables.ts';

const HOLDER = 'holder';
const FREE: StoredLease = { process: null, epoch: 0, expires: 0 };

/** The new epoch, or null where somebody else who may be alive holds the lease. */
export function takeLease(
  { lease }: Tables,
  self: ProcessIdentity,
  mayBeAlive: (process: ProcessIdentity) => boolean,
  now: number,
  leaseMs: number,
): number | null {
  const { process, epoch, expires } = lease.get(HOLDER) ?? FREE;
  const isHeld =
    process !== null && process.instance !== self.instance && expires > now && mayBeAlive(process);
  if (isHeld) return null;
  lease.putSync(HOLDER, { process: self, epoch: epoch + 1, expires: now + leaseMs });
  return epoch + 1;
}

export function extendLease(
  { lease }: Tables,
  epoch: number,
  now: number,
  leaseMs: number,
): boolean {
  const held = lease.get(HOLDER) ?? FREE;
  if (held.process === null || held.epoch !== epoch) return false;
  lease.putSync(HOLDER, { ...held, expires: now + leaseMs });
  return true;
}

export function giveLeaseBack({ lease }: Tables, epoch: number): void {
  const held = lease.get(HOLDER) ?? FREE;
  if (held.epoch === epoch) lease.putSync(HOLDER, { ...FREE, epoch });
}

/** @throws LeaseLostError where the lease is not held under that epoch */
export function assertLease({ lease }: Tables, epoch: number): void {
  const held = lease.get(HOLDER) ?? FREE;
  if (held.process === null || held.epoch !== epoch) throw new LeaseLostError();
}
