/**
 * What a changed configuration means for the queue, beyond what later reads see by themselves: which
 * rules now miss something at their destination, which jobs begin, which lanes have to try anew, which
 * records have no owner left.
 * Rows of removed rules need nothing here: they are dead from this commit on, and swept.
 */
import type { StoredConfiguration, StoredTarget } from './generated/stored-configuration.ts';
import type { Rule } from './rule.ts';
import { placeOf, type Target } from './target.ts';

export interface Consequences {
  /** Rules that left: their gaps and jobs go with them. */
  readonly removed: readonly Rule[];
  /** Rules that stay but deliver elsewhere now: the new place lacks what the old one has. */
  readonly gaps: readonly Rule[];
  /** New, enabled rules that ask for what exists already. */
  readonly resyncs: readonly Rule[];
  /** Targets that left: what their lanes showed goes with them. */
  readonly left: readonly Target[];
  /** Targets that stay but were saved with other values, or enabled: what failed may work now. */
  readonly renewed: readonly Target[];
}

type Listed = Pick<StoredConfiguration, 'rules' | 'targets'>;

/** @param before of the same bucket id */
export function consequencesOf(before: Listed, after: Listed): Consequences {
  const known = new Map(before.rules.map((rule) => [rule.incarnation, rule]));
  const stay = new Set(after.rules.map((rule) => rule.incarnation));
  const targets = new Map(before.targets.map((target) => [target.id, target]));
  const targetIds = new Set(after.targets.map(({ id }) => id));
  return {
    removed: before.rules.filter((rule) => !stay.has(rule.incarnation)),
    gaps: after.rules.filter((rule) => {
      const old = known.get(rule.incarnation);
      return old !== undefined && deliversElsewhere(before, old, after, rule);
    }),
    resyncs: after.rules.filter(
      (rule) => !known.has(rule.incarnation) && rule.enabled && rule.replicateExisting,
    ),
    left: before.targets.filter(({ id }) => !targetIds.has(id)),
    renewed: after.targets.filter((target) => {
      const old = targets.get(target.id);
      return old !== undefined && isRenewed(old, target);
    }),
  };
}

/**
 * A target that comes back under its id counts as another place: nobody knows what it was before.
 * A target that leaves does not, as nothing is delivered until it is back.
 */
function deliversElsewhere(before: Listed, old: Rule, after: Listed, rule: Rule): boolean {
  if (old.targetId !== rule.targetId) return true;
  const target = findTarget(after, rule);
  if (target === undefined) return false;
  const oldTarget = findTarget(before, old);
  return oldTarget === undefined || placeOf(oldTarget) !== placeOf(target);
}

function findTarget({ targets }: Listed, { targetId }: Rule): Target | undefined {
  return targets.find(({ id }) => id === targetId);
}

/** Another secret is in another box; the same one stays in its box for as long as it goes to the same place. */
function isRenewed(old: StoredTarget, target: StoredTarget): boolean {
  if (target.enabled && !old.enabled) return true;
  const valuesOf = ({ endpoint, targetBucket, accessKeyId, region, exemptKinds }: Target): string =>
    JSON.stringify([endpoint, targetBucket, accessKeyId, region, exemptKinds]);
  return (
    valuesOf(old) !== valuesOf(target) || Buffer.compare(old.secret.box, target.secret.box) !== 0
  );
}
