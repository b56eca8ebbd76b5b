/**
 * What must hold at any time, and once faults have ended and nothing is queued: an oracle that knows
 * what happened at the source and at the targets, and nothing of how the store works. Each checker
 * answers with what it found, one sentence for each violation.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BucketRef, CommittedWrite } from '../../src/host.ts';
import type { Configuration } from '../../src/model/configuration.ts';
import type { QueuedRow, QueueStatus, QueueTotals, ResyncJob } from '../../src/model/queue.ts';
import type { Row } from '../../src/model/row.ts';
import type { Rule } from '../../src/model/rule.ts';
import { readClaim, trailingSequence } from '../../src/store/outbox-keys.ts';
import type { Tables } from '../../src/store/tables.ts';
import { assertTablesAgree } from '../support/outbox-tables.ts';
import type { FaultyTargets } from './faulty-target.ts';
import type { StoredObject } from './place.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { SimulatedStores } from './simulated-stores.ts';
import type { UploadLedger } from './upload-ledger.ts';

export interface FinalState {
  readonly host: SimulatedHost;
  readonly targets: FaultyTargets;
  readonly uploads: UploadLedger;
  readonly configuration: Configuration;
  readonly queue: QueueStatus;
  readonly rows: readonly Row[];
  readonly jobs: ReadonlyMap<string, ResyncJob | null>;
  /** By incarnation: when the rule was saved, monotonic. */
  readonly ruleSavedAt: ReadonlyMap<number, number>;
  /** Incarnations of rules that something was saved for which drops events. */
  readonly mayHaveGap: ReadonlySet<number>;
}

/** At any time: indexes, heads and counts are what the rows say, and so is what people are shown. */
export async function checkStore(stores: SimulatedStores, bucket: BucketRef): Promise<string[]> {
  try {
    assertTablesAgree(stores.tables);
  } catch (error) {
    return [`tables: ${(error as Error).message}`];
  }
  const { outbox } = stores.owner;
  // All of them are read before anything else goes on.
  const recounted = totalsOf(stores.tables);
  const listing = outbox.pageRows(bucket, {}, null, 10_000);
  const asked = [outbox.queueTotals(), outbox.queueStatus(bucket), listing] as const;
  const [totals, { counts }, rows] = await Promise.all(asked);
  if (!recounted.some((possible) => isDeepStrictEqual(totals, possible))) {
    return [`the totals are ${JSON.stringify(totals)} in place of ${JSON.stringify(recounted)}`];
  }
  return (['pending', 'verifying', 'failed'] as const).flatMap((state) => {
    const counted = counts.reduce((sum, count) => sum + count[state], 0);
    const listed = rows.filter((row) => row.state === state).length;
    return counted === listed ? [] : [`${counted} ${state} rows are counted, ${listed} listed`];
  });
}

/**
 * What totals may say, counted row by row. Of pending rows, in the order of their sequences, one is the
 * oldest that none before it is older than: what verified and became work has a place from before.
 */
function totalsOf(tables: Tables): QueueTotals[] {
  const rows = Array.from(tables.rows.range(), ({ value }) => value);
  const count = (state: Row['state']): number => rows.filter((row) => row.state === state).length;
  const counts = {
    pending: count('pending'),
    verifying: count('verifying'),
    failed: count('failed'),
  };
  const times = rows.filter(({ state }) => state === 'pending').map(({ createdAt }) => createdAt);
  if (times.length === 0) return [{ ...counts, oldestPendingAt: null }];
  return times
    .filter((time, index) => times.slice(0, index).every((before) => before >= time))
    .map((oldestPendingAt) => ({ ...counts, oldestPendingAt }));
}

/** An acknowledged event is queued once for each target that an enabled rule sends it to. */
export function checkCommit(
  { rules }: Configuration,
  writes: readonly CommittedWrite[],
  rows: readonly QueuedRow[],
): string[] {
  return writes.flatMap(({ key, operation, order, replica }) => {
    const matching = rules.filter(
      ({ enabled, prefix, replicateDeletes }) =>
        enabled && key.startsWith(prefix) && (operation === 'put' || replicateDeletes),
    );
    const wanted = replica ? [] : [...new Set(matching.map(({ targetId }) => targetId))].sort();
    const queued = rows
      .filter((row) => row.key === key && row.order === order)
      .map(({ lane }) => lane.targetId)
      .sort();
    return isDeepStrictEqual(queued, wanted)
      ? []
      : [
          `${operation} ${key} ${order} is queued for ${queued.join()} in place of ${wanted.join()}`,
        ];
  });
}

/** Of rows of one chain that deliver whatever is current, one at most waits. */
export function checkResolveRows({ rows, claims }: Tables, { key, lane }: Row): string[] {
  const claimed = Array.from(claims.range(), ({ value }) => readClaim(value).sequence);
  const waiting = Array.from(rows.range()).filter(
    ({ key: sequence, value: row }) =>
      row.key === key &&
      row.operation === 'resolve' &&
      row.state !== 'failed' &&
      !claimed.includes(trailingSequence(sequence)),
  );
  const lanes = waiting.map(({ value }) => value.lane);
  return new Set(lanes).size === lanes.length
    ? []
    : [`${key} has two rows for whatever is current that wait for ${lane.targetId}`];
}

/** Everything that must hold in the end. */
export function checkAll(state: FinalState): string[] {
  const checks = [
    checkDrained,
    checkConvergence,
    checkGaps,
    checkNothingInherited,
    checkNoReplicaSent,
    checkNoUploadLeft,
  ];
  return checks.flatMap((check) => check(state));
}

/** Nothing is left in the queue, failed rows neither. */
function checkDrained({ rows }: FinalState): string[] {
  return rows.map(
    ({ key, operation, state, attempts, lastError, doubtUntil }) =>
      `still queued: ${operation} ${key} ${state} after ${attempts} (${lastError?.reason ?? 'untried'}${doubtUntil !== null ? ', in doubt' : ''})`,
  );
}

/**
 * Durable, convergent, no silent gap: under every rule that has no gap, the target shows what the
 * source shows, for each key that changed after the rule was saved, or that its resync covered.
 */
function checkConvergence(state: FinalState): string[] {
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
  const { objects } = targets.place(target);
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
    const there = describe(objects.get(key));
    const etag = shown === null ? undefined : host.etagAtTarget(shown);
    const wanted = shown === null ? describe(undefined) : describe({ ...shown, etag: etag ?? '' });
    return there === wanted
      ? []
      : [`${key} at ${target.targetBucket}: ${there} in place of ${wanted}`];
  });
}

/** Nothing drops events of a rule that was enabled all the time, towards one and the same place. */
function checkGaps({ queue, mayHaveGap }: FinalState): string[] {
  return queue.gaps
    .filter(({ incarnation }) => !mayHaveGap.has(incarnation))
    .map(({ incarnation }) => `the rule of incarnation ${incarnation} has a gap without a cause`);
}

/** A bucket that was deleted and made again inherits nothing: no version of the old one is there. */
function checkNothingInherited({ host, targets, configuration }: FinalState): string[] {
  return configuration.targets.flatMap((target) =>
    [...targets.place(target).objects]
      .filter(([, { userMetadata }]) => host.ownerOf(userMetadata.version ?? '') !== host.bucket.id)
      .map(([key]) => `${key} at ${target.targetBucket} comes from a bucket that is gone`),
  );
}

/** What came by replication is not replicated again. */
function checkNoReplicaSent({ host, targets }: FinalState): string[] {
  return targets
    .places()
    .flatMap(({ objects }) => [...objects])
    .filter(([, { userMetadata }]) => host.isReplica(userMetadata.version ?? ''))
    .map(([key]) => `${key}, a replica, was replicated`);
}

/** No upload is left behind half sent, where its bucket goes to now. */
function checkNoUploadLeft({ targets, uploads, configuration }: FinalState): string[] {
  return configuration.targets.flatMap((target) =>
    [...targets.place(target).uploads]
      .filter(([uploadId]) => !uploads.mayStay(uploadId))
      .map(
        ([uploadId, { key, metadata }]) =>
          `${uploadId} of ${key} (${metadata.userMetadata.version}) is left at ${target.targetBucket}`,
      ),
  );
}

function describe(object: StoredObject | undefined): string {
  if (object === undefined) return 'nothing';
  const { userMetadata, tags, size, etag } = object;
  return `${userMetadata.version} ${JSON.stringify(tags)} of ${size} bytes ${etag}`;
}
