/**
 * Changes of a bucket's configuration: the record, the hint that is derived from it, and what the change
 * does to the queue are written together or not at all. A save that changes nothing writes nothing.
 */
import type { BucketRef } from '../host.ts';
import {
  EMPTY_CONFIGURATION,
  mayReplicate,
  withRules,
  withTargets,
  withoutSecrets,
} from '../model/configuration.ts';
import { consequencesOf } from '../model/consequences.ts';
import { replicationError } from '../model/errors.ts';
import { allows, nextRevision, type Precondition } from '../model/etag.ts';
import type { StoredConfiguration, StoredTarget } from '../model/generated/stored-configuration.ts';
import type { ConfigurationChange, TargetsChange } from '../model/ports.ts';
import type { Rule, RuleDraft } from '../model/rule.ts';
import type { TargetDraft } from '../model/target.ts';
import { noteGap } from './gaps.ts';
import { removeReports, renewReports } from './lane-reports.ts';
import { beginResync, removeResync } from './resync.ts';
import type { Tx } from './tx.ts';

const NOTHING = { targets: [], rules: [] };

export function replaceTargets(
  tx: Tx,
  bucket: BucketRef,
  drafts: readonly TargetDraft[],
  precondition: Precondition,
): TargetsChange {
  let newSecrets: readonly string[] = [];
  const change = replace(tx, bucket, precondition, (current) => {
    const replacement = withTargets(current, drafts, tx.boxes);
    newSecrets = replacement.newSecrets;
    return replacement.configuration;
  });
  return { ...change, newSecrets };
}

export function replaceRules(
  tx: Tx,
  bucket: BucketRef,
  drafts: readonly RuleDraft[],
  precondition: Precondition,
): ConfigurationChange {
  return replace(tx, bucket, precondition, (current) =>
    withRules(current, drafts, () => tx.counters.nextIncarnation()),
  );
}

/** Forgets the bucket, where the record is of that id. */
export function removeBucket(tx: Tx, bucket: BucketRef): void {
  const { configurations, hints } = tx.tables;
  const stored = configurations.get(bucket.name);
  if (stored?.bucketId !== bucket.id) return;
  configurations.remove(bucket.name);
  hints.remove(bucket.name);
  applyConsequences(tx, bucket.name, stored, undefined);
}

/** Whether some secret of the bucket that opens was sealed by an older key; others are told. */
export function needsReseal(
  tx: Tx,
  bucket: BucketRef,
  onUnreadable: (bucket: BucketRef, targetId: string) => void,
): boolean {
  const stored = tx.tables.configurations.get(bucket.name);
  const readable = (stored?.bucketId === bucket.id ? stored.targets : []).filter((target) => {
    const isReadable = tx.boxes.open(bucket.id, target) !== null;
    if (!isReadable) onUnreadable(bucket, target.id);
    return isReadable;
  });
  return readable.some((target) => isSealedByOldKey(tx, target));
}

/** Seals anew, under the newest key, what an older key sealed and what opens. */
export function resealSecrets(tx: Tx, bucket: BucketRef): void {
  const stored = tx.tables.configurations.get(bucket.name);
  if (stored?.bucketId !== bucket.id) return;
  const targets = stored.targets.map((target) => {
    const secret = isSealedByOldKey(tx, target) ? tx.boxes.open(bucket.id, target) : null;
    return secret === null
      ? target
      : { ...target, secret: tx.boxes.seal(bucket.id, target, secret) };
  });
  putConfiguration(tx, bucket.name, { ...stored, targets });
  tx.counters.noteChange();
}

/** @param change returns what it is given where nothing changes */
function replace(
  tx: Tx,
  bucket: BucketRef,
  precondition: Precondition,
  change: (current: StoredConfiguration) => StoredConfiguration,
): ConfigurationChange {
  const stored = tx.tables.configurations.get(bucket.name);
  const current =
    stored?.bucketId === bucket.id
      ? stored
      : { ...EMPTY_CONFIGURATION, bucketId: bucket.id, targets: [], rules: [] };
  if (!allows(precondition, current.revision)) throw replicationError('PreconditionFailed');
  const changed = change(current);
  const before = withoutSecrets(current);
  if (changed === current) return { before, after: before };
  const next = { ...changed, revision: nextRevision(current.revision, tx.newNonce()) };
  putConfiguration(tx, bucket.name, next);
  applyConsequences(tx, bucket.name, stored, next);
  return { before, after: withoutSecrets(next) };
}

/** Writes a record and everything that is derived from it. */
function putConfiguration({ tables }: Tx, bucketName: string, next: StoredConfiguration): void {
  const { configurations, hints } = tables;
  configurations.put(bucketName, next);
  if (mayReplicate(next)) hints.put(bucketName, true);
  else hints.remove(bucketName);
}

/**
 * What the change does to the queue.
 *
 * @param before the record that was stored under the bucket's name, perhaps of another bucket id
 * @param after undefined where the bucket is gone
 */
function applyConsequences(
  tx: Tx,
  bucketName: string,
  before: StoredConfiguration | undefined,
  after: StoredConfiguration | undefined,
): void {
  tx.counters.noteChange();
  const isSame = before?.bucketId === after?.bucketId;
  if (before !== undefined && !isSame) {
    forget(tx, before.bucketId, before.rules);
    removeReports(tx, before.bucketId, idsOf(before.targets));
  }
  if (after === undefined) return;
  const previous = isSame ? (before ?? NOTHING) : NOTHING;
  const { removed, gaps, resyncs, left, renewed } = consequencesOf(previous, after);
  const bucket = { id: after.bucketId, name: bucketName };
  const now = tx.now();
  forget(tx, bucket.id, removed);
  for (const { incarnation } of gaps) {
    noteGap(tx, bucket, { incarnation, deleteLost: false }, now);
  }
  for (const rule of resyncs) beginResync(tx, bucket, rule, now);
  removeReports(tx, bucket.id, idsOf(left));
  renewReports(tx, bucket.id, idsOf(renewed));
}

function isSealedByOldKey({ newestKeyId }: Tx, { secret }: StoredTarget): boolean {
  return secret.keyId !== newestKeyId;
}

function idsOf(targets: readonly { readonly id: string }[]): string[] {
  return targets.map(({ id }) => id);
}

function forget(tx: Tx, bucketId: string, rules: readonly Rule[]): void {
  for (const rule of rules) {
    tx.tables.gaps.remove([bucketId, rule.incarnation]);
    removeResync(tx, bucketId, rule);
  }
}
