/** A target as it is now, with its secret in clear for the one connection that needs it. */
import type { TargetAccess } from '../model/ports.ts';
import type { LaneRef } from '../model/row.ts';
import type { Keyring } from '../sealing/keyring.ts';
import type { Tables } from './tables.ts';

export function accessTarget(
  { configurations }: Tables,
  keyring: Keyring,
  { bucket, targetId }: LaneRef,
): TargetAccess {
  const stored = configurations.get(bucket.name);
  if (stored?.bucketId !== bucket.id) return { kind: 'absent' };
  const found = stored.targets.find(({ id }) => id === targetId);
  if (found === undefined) return { kind: 'absent' };
  const { secret, ...target } = found;
  try {
    const secretAccessKey = keyring.open(secret, [bucket.id, targetId]);
    return { kind: 'usable', target, secretAccessKey };
  } catch {
    return { kind: 'sealed', target };
  }
}
