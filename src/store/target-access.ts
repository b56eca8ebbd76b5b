/**
 * Targets as they are now, with the secret in clear for the one connection that needs it. A secret is
 * opened once per change, since every delivery asks.
 */
import type { TargetAccess } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import { configurationOf } from './configurations.ts';
import { retryMarkOf } from './lane-reports.ts';
import type { Tx } from './tx.ts';

const ABSENT = { kind: 'absent' } as const;

export function accessTarget(tx: Tx, lane: LaneRef): TargetAccess {
  const { bucket, targetId } = lane;
  return tx.accesses.get(`${bucket.id}\n${targetId}`, () => readAccess(tx, lane)) ?? ABSENT;
}

function readAccess(tx: Tx, lane: LaneRef): TargetAccess | undefined {
  const { bucket, targetId } = lane;
  const { targets, rules } = configurationOf(tx, bucket);
  const found = targets.find(({ id }) => id === targetId);
  if (found === undefined) return undefined;
  const { secret, ...target } = found;
  const secretAccessKey = tx.boxes.open(bucket.id, found);
  if (secretAccessKey === null) return { kind: 'sealed', target };
  return {
    kind: 'usable',
    target,
    secretAccessKey,
    rules: rules.filter((rule) => rule.enabled && rule.targetId === targetId),
    retryMark: retryMarkOf(tx, lane),
  };
}
