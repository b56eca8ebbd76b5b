/** How a store says that another process leads now (model/lease.ts); branched on by its code. */
export function isLeaseLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'LeaseLost';
}
