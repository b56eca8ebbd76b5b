/**
 * Retries that somebody asked for: of one row, or of many, of which there may be a million. Those go
 * batch by batch, each a transaction of its own, so that nobody else waits for all of them. The targets
 * of the rows are tried anew too, as their lanes may be waiting.
 */
import type { BucketRef } from '../host.ts';
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { RowFilter } from '../model/queue.ts';
import type { Operation, Row } from '../model/row.ts';
import { isClaimed } from './chains.ts';
import { takeIn } from './enqueue.ts';
import { insertRow, removeRows, rescheduleRow } from './heads.ts';
import { askToTryAnew } from './lane-reports.ts';
import {
  dueKey,
  duePrefix,
  dueTimeOf,
  endOf,
  FAILED,
  PENDING,
  queueKey,
  queuePrefix,
  trailingSequence,
  VERIFYING,
  type QueueStateByte,
} from './outbox-keys.ts';
import { BATCH_MAX, expectEntry, readEntry, withoutUpload, type Entry } from './rows.ts';
import type { Transactions } from './transactions.ts';
import type { Tx } from './tx.ts';
import { coveredTargets, findRow, visibleRulesets } from './view.ts';

/** The rows of one ruleset and state that were queued up to `last`, so that there is an end. */
interface RowList {
  readonly ruleset: Buffer;
  readonly state: QueueStateByte;
  readonly last: number;
  readonly isWanted: (row: Readonly<StoredRow>) => boolean;
}

/** Where the next batch goes on, null at the end, and how many rows this one retried. */
interface Batch<Place> {
  readonly after: Place | null;
  readonly retried: number;
}

/** The row as it is then; null where the bucket shows none. */
export function retryRow(tx: Tx, bucket: BucketRef, sequence: number, now: number): Row | null {
  const found = findRow(tx, bucket, sequence);
  if (found === null) return null;
  tryTargetsAnew(tx, bucket, [found.lane.targetId]);
  if (retryEntry(tx, expectEntry(tx, sequence), now)) tx.counters.noteWork();
  return findRow(tx, bucket, sequence);
}

/** A target that is not listed has nothing to try. */
export function tryTargetsAnew(tx: Tx, bucket: BucketRef, targetIds: readonly string[]): void {
  const listed = coveredTargets(tx, bucket, {}).filter((id) => targetIds.includes(id));
  askToTryAnew(tx, bucket.id, listed);
}

/** Resolves with how many were retried, when all of them are durable. */
export async function retryRows(
  transactions: Transactions,
  bucket: BucketRef,
  filter: RowFilter,
  now: number,
): Promise<number> {
  const { rulesets, last } = transactions.read((tx) => ({
    rulesets: visibleRulesets(tx, bucket, filter),
    last: tx.counters.lastSequence(),
  }));
  let retried = 0;
  // Failed rows become pending: after the pending ones, so that none is met twice.
  for (const state of [PENDING, VERIFYING, FAILED] as const) {
    for (const { key } of rulesets.filter(({ states }) => states.includes(state))) {
      const list = { ruleset: key, state, last, isWanted: () => true };
      retried += await inBatches(transactions, 0, (tx, after) => retryListed(tx, list, after, now));
    }
  }
  await transactions.writeTogether((tx) =>
    tryTargetsAnew(tx, bucket, coveredTargets(tx, bucket, filter)),
  );
  return retried;
}

/**
 * The same for what the targets refused, after they were saved with other values. Of pending rows only
 * heads that wait for a later time are looked at, so that a long queue costs nothing.
 */
export async function retryRefused(
  transactions: Transactions,
  bucket: BucketRef,
  targetIds: readonly string[],
  now: number,
): Promise<number> {
  const { rulesets, last } = transactions.read((tx) => ({
    rulesets: visibleRulesets(tx, bucket, {}),
    last: tx.counters.lastSequence(),
  }));
  const isWanted = ({ refused }: Readonly<StoredRow>): boolean => refused;
  let retried = 0;
  for (const { key: ruleset, count } of rulesets) {
    if (!targetIds.includes(count.targetId)) continue;
    for (const operation of ['put', 'delete'] as const) {
      const start = dueKey(duePrefix(ruleset, operation), now + 1, 0);
      retried += await inBatches(transactions, start, (tx, after) =>
        retryWaiting(tx, { ruleset, operation }, after, now),
      );
    }
    const list: RowList = { ruleset, state: FAILED, last, isWanted };
    retried += await inBatches(transactions, 0, (tx, after) => retryListed(tx, list, after, now));
  }
  return retried;
}

async function inBatches<Place>(
  transactions: Transactions,
  start: Place,
  retryBatch: (tx: Tx, after: Place) => Batch<Place>,
): Promise<number> {
  let retried = 0;
  let after: Place | null = start;
  while (after !== null) {
    const from: Place = after;
    const batch = await transactions.write((tx) => retryBatch(tx, from));
    retried += batch.retried;
    ({ after } = batch);
  }
  return retried;
}

/** Refused heads that wait for a later time than now, from a key in `due` on. */
function retryWaiting(
  tx: Tx,
  { ruleset, operation }: { ruleset: Buffer; operation: Operation },
  start: Buffer,
  now: number,
): Batch<Buffer> {
  const prefix = duePrefix(ruleset, operation);
  const keys = Array.from(tx.tables.due.keys({ start, end: endOf(prefix), limit: BATCH_MAX }));
  let retried = 0;
  for (const key of keys) {
    const entry = expectEntry(tx, trailingSequence(key));
    if (entry.row.refused && retryEntry(tx, entry, now)) retried += 1;
  }
  if (retried > 0) tx.counters.noteWork();
  const last = keys.at(-1);
  const isOver = keys.length < BATCH_MAX || last === undefined;
  const after = isOver ? null : dueKey(prefix, dueTimeOf(last), trailingSequence(last) + 1);
  return { after, retried };
}

/** Rows of the list behind a sequence, oldest first. */
function retryListed(
  tx: Tx,
  { ruleset, state, last, isWanted }: RowList,
  after: number,
  now: number,
): Batch<number> {
  tx.counters.noteWork();
  const keys = tx.tables.queue.keys({
    start: queueKey(ruleset, state, after + 1),
    end: endOf(queuePrefix(ruleset, state)),
    limit: BATCH_MAX,
  });
  const sequences = Array.from(keys, trailingSequence).filter((sequence) => sequence <= last);
  let retried = 0;
  for (const sequence of sequences) {
    // One that a row before it took in is gone.
    const entry = readEntry(tx, sequence);
    if (entry === undefined || !isWanted(entry.row)) continue;
    if (retryEntry(tx, entry, now)) retried += 1;
  }
  return { after: sequences.length < BATCH_MAX ? null : (sequences.at(-1) ?? null), retried };
}

/** False where the row is in flight and stays as it is. */
function retryEntry(tx: Tx, entry: Entry, now: number): boolean {
  if (isClaimed(tx, entry)) return false;
  const isVerifying = entry.row.state === 'verifying';
  const row: Entry['row'] = {
    ...entry.row,
    attempts: 0,
    nextAttemptAt: isVerifying ? Math.max(now, entry.row.doubtUntil ?? 0) : now,
    state: isVerifying ? 'verifying' : 'pending',
    failedAt: null,
  };
  if (entry.row.state !== 'failed') {
    rescheduleRow(tx, entry, row);
    return true;
  }
  removeRows(tx, [withoutUpload(entry)]);
  insertRow(tx, { ...entry, row: takeIn(tx, entry, row) });
  return true;
}
