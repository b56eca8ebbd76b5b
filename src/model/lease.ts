/**
 * The lease: one process of a server delivers, the others only announce and commit. Every claim and
 * outcome carries the epoch under which it was made, and a store refuses those of earlier epochs.
 */

/** How long a lease holds without being renewed; holders renew every third of it. */
export const LEASE_MS = 15_000;

/** Rejects a call whose epoch is no longer the lease's: another process delivers now. */
export class LeaseLostError extends Error {
  readonly code = 'LeaseLost';

  constructor() {
    super('The lease is no longer held under this epoch.');
  }
}
