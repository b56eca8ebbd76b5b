/**
 * What a claimed row comes to, given what is current at its source. Pure; here order and convergence
 * are decided:
 *
 * - A version is sent as such only if it is current, or if a later version waits behind it. Otherwise
 *   a later one may have been delivered before (its event came first), and sending this one would
 *   bring the past back: what is current is delivered instead.
 * - `upTo` says which rows of the chain are done with: the row's own event, and everything up to the
 *   order of what was sent.
 */
import type { ObjectHead } from '../host.ts';
import type { Claim } from '../model/row.ts';

export type Decision =
  | { readonly kind: 'put'; readonly versionId: string; readonly upTo: number }
  | { readonly kind: 'delete'; readonly upTo: number }
  /** The target shall stay as it is. */
  | { readonly kind: 'nothing'; readonly upTo: number };

/**
 * @param current what a GET of the key would see now, delete markers included
 * @param replicateDeletes whether one of the row's rules wants deletes
 */
export function decide(
  { row, laterVersionWaits }: Claim,
  current: ObjectHead | null,
  replicateDeletes: boolean,
): Decision {
  const ownOrder = row.operation === 'resolve' ? 0 : row.order;
  const isCurrent = isWhatIsCurrent(row, current);
  if (laterVersionWaits && !isCurrent) {
    if (row.operation === 'put' && row.versionId !== null) {
      return { kind: 'put', versionId: row.versionId, upTo: ownOrder };
    }
    if (row.operation === 'delete') {
      return { kind: replicateDeletes ? 'delete' : 'nothing', upTo: ownOrder };
    }
  }
  const upTo = Math.max(ownOrder, current?.order ?? 0);
  // What came by replication is not replicated again, deletions neither.
  if (current?.replica === true) return { kind: 'nothing', upTo };
  if (current !== null && !current.deleteMarker) {
    return { kind: 'put', versionId: current.versionId, upTo };
  }
  // What other rows of the chain want is another rule's, and was not looked at.
  return replicateDeletes ? { kind: 'delete', upTo } : { kind: 'nothing', upTo: ownOrder };
}

function isWhatIsCurrent(row: Claim['row'], current: ObjectHead | null): boolean {
  const isObject = current !== null && !current.deleteMarker;
  if (row.operation === 'put') return isObject && current.versionId === row.versionId;
  return row.operation === 'delete' && !isObject;
}
