/**
 * What must hold once faults have ended and nothing is queued. Each checker answers with what it
 * found, one sentence for each violation.
 */
import type { Configuration } from '../../src/model/configuration.ts';
import type { QueueStatus, ResyncJob } from '../../src/model/ports.ts';
import type { Row } from '../../src/model/row.ts';
import type { Rule } from '../../src/model/rule.ts';
import type { FaultyTargets, StoredObject } from './faulty-target.ts';
import type { SimulatedHost } from './simulated-host.ts';

export interface FinalState {
  readonly host: SimulatedHost;
  readonly targets: FaultyTargets;
  readonly configuration: Configuration;
  readonly queue: QueueStatus;
  readonly rows: readonly Row[];
  readonly jobs: ReadonlyMap<string, ResyncJob | null>;
  /** By incarnation: when the rule was saved, monotonic. */
  readonly ruleSavedAt: ReadonlyMap<number, number>;
}

/** Nothing is left in the queue, failed rows neither. */
export function checkDrained({ rows }: FinalState): string[] {
  return rows.map(
    ({ key, operation, state, attempts, lastError, compareFirst }) =>
      `still queued: ${operation} ${key} ${state} after ${attempts} (${lastError?.reason ?? 'untried'}${compareFirst ? ', suspect' : ''})`,
  );
}

/**
 * Durable, convergent, no silent gap: under every rule that has no gap, the target shows what the
 * source shows, for each key that changed after the rule was saved, or that its resync covered.
 */
export function checkConvergence(state: FinalState): string[] {
  const gapped = new Set(state.queue.gaps.map(({ incarnation }) => incarnation));
  return state.configuration.rules
    .filter((rule) => rule.enabled && !gapped.has(rule.incarnation))
    .flatMap((rule) => checkRule(rule, state));
}

function checkRule(
  rule: Rule,
  { host, targets, configuration, jobs, ruleSavedAt }: FinalState,
): string[] {
  const target = configuration.targets.find(({ id }) => id === rule.targetId);
  if (target === undefined) return [];
  const place = targets.place(target);
  const savedAt = ruleSavedAt.get(rule.incarnation) ?? Infinity;
  const isResynced = jobs.get(rule.id)?.state === 'completed';
  return host.keys().flatMap((key) => {
    const history = host.history(key);
    if (history === undefined || history.isReplica || !key.startsWith(rule.prefix)) return [];
    const head = host.current(key);
    const shown = head === null || head.deleteMarker ? null : head;
    // Removing a replica's successor makes the replica current again.
    if (shown?.replica === true) return [];
    const isCovered = history.changedAt > savedAt || (isResynced && shown !== null);
    if (!isCovered || (shown === null && !rule.replicateDeletes)) return [];
    const there = place.get(key);
    return isSame(there, shown)
      ? []
      : [`${key} at ${target.targetBucket}: ${describe(there)} in place of ${describe(shown)}`];
  });
}

/** A bucket that was deleted and made again inherits nothing: no version of the old one is there. */
export function checkNothingInherited({ host, targets, configuration }: FinalState): string[] {
  return configuration.targets.flatMap((target) =>
    [...targets.place(target)]
      .filter(([, { userMetadata }]) => host.ownerOf(userMetadata.version ?? '') !== host.bucket.id)
      .map(([key]) => `${key} at ${target.targetBucket} comes from a bucket that is gone`),
  );
}

function isSame(there: StoredObject | undefined, shown: StoredObject | null): boolean {
  if (there === undefined || shown === null) return there === undefined && shown === null;
  return describe(there) === describe(shown) && there.size === shown.size;
}

function describe(object: StoredObject | undefined | null): string {
  if (object === undefined || object === null) return 'nothing';
  return `${object.userMetadata.version} ${JSON.stringify(object.tags)} ${object.etag.slice(0, 6)}`;
}
