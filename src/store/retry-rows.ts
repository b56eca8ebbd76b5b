/**
 * The retry of many rows, of which there may be a million: batch by batch, each a transaction of its
 * own, so that nobody else waits for all of them. Inside of one it is retries.ts that works.
 */
import type { BucketRef } from '../host.ts';
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { RowFilter } from '../model/queue.ts';
import type { Operation } from '../model/row.ts';
import { BATCH_MAX } from './claims.ts';
import {
  dueKey,
  duePrefix,
  dueTimeOf,
  endOf,
  FAILED,
  PENDING,
  trailingSequence,
  VERIFYING,
  type QueueStateByte,
} from './outbox-keys.ts';
import type { OutboxParts } from './outbox-parts.ts';
import type { RetryProgress } from './retries.ts';
import type { Tables } from './tables.ts';
import type { Transactions } from './transactions.ts';

export interface RetryRowsContext {
  readonly tables: Tables;
  readonly transactions: Transactions;
  readonly parts: Pick<OutboxParts, 'view' | 'retries' | 'chains'>;
}

/** The rows of one ruleset and state that were queued up to `last`. */
interface RowList {
  readonly ruleset: Buffer;
  readonly state: QueueStateByte;
  readonly last: number;
  readonly isWanted: (row: Readonly<StoredRow>) => boolean;
}

/** Resolves with how many were retried, when all of them are durable. */
export async function retryRows(
  context: RetryRowsContext,
  bucket: BucketRef,
  filter: RowFilter,
  now: number,
): Promise<number> {
  const { tables, transactions, parts } = context;
  const { rulesets, last } = transactions.read(() => ({
    rulesets: parts.view.visible(bucket, filter),
    last: tables.counters.lastSequence(),
  }));
  let retried = 0;
  // Failed rows become pending: after the pending ones, so that none is met twice.
  for (const state of [PENDING, VERIFYING, FAILED] as const) {
    for (const { key } of rulesets.filter(({ states }) => states.includes(state))) {
      retried += await retryList(context, { ruleset: key, state, last, isWanted: () => true }, now);
    }
  }
  const askTargets = (): void =>
    parts.retries.tryTargetsAnew(bucket, parts.view.targets(bucket, filter));
  await transactions.writeTogether(askTargets);
  return retried;
}

/**
 * The same for what the targets refused, after they were saved with other values. Of pending rows only
 * heads that wait for a later time are looked at, so that a long queue costs nothing.
 */
export async function retryRefused(
  context: RetryRowsContext,
  bucket: BucketRef,
  targetIds: readonly string[],
  now: number,
): Promise<number> {
  const { tables, transactions, parts } = context;
  const { rulesets, last } = transactions.read(() => ({
    rulesets: parts.view
      .visible(bucket, {})
      .filter(({ count }) => targetIds.includes(count.targetId)),
    last: tables.counters.lastSequence(),
  }));
  const isWanted = ({ refused }: Readonly<StoredRow>): boolean => refused;
  let retried = 0;
  for (const { key: ruleset } of rulesets) {
    for (const operation of ['put', 'delete'] as const) {
      retried += await retryWaiting(context, { ruleset, operation }, now);
    }
    retried += await retryList(context, { ruleset, state: FAILED, last, isWanted }, now);
  }
  return retried;
}

/** Refused heads that wait for a later time than now. */
async function retryWaiting(
  { tables, transactions, parts }: RetryRowsContext,
  { ruleset, operation }: { ruleset: Buffer; operation: Operation },
  now: number,
): Promise<number> {
  const prefix = duePrefix(ruleset, operation);
  let retried = 0;
  let after: Buffer | null = dueKey(prefix, now + 1, 0);
  while (after !== null) {
    const start: Buffer = after;
    after = await transactions.write<Buffer | null>(() => {
      const range = { start, end: endOf(prefix), limit: BATCH_MAX };
      const keys = Array.from(tables.due.keys(range));
      for (const key of keys) {
        const entry = parts.chains.rows.expect(trailingSequence(key));
        if (entry.row.refused && parts.retries.retry(entry, now)) retried += 1;
      }
      if (retried > 0) tables.counters.noteWork();
      const lastKey = keys.at(-1);
      return keys.length < BATCH_MAX || lastKey === undefined
        ? null
        : dueKey(prefix, dueTimeOf(lastKey), trailingSequence(lastKey) + 1);
    });
  }
  return retried;
}

async function retryList(context: RetryRowsContext, list: RowList, now: number): Promise<number> {
  let retried = 0;
  let after: number | null = 0;
  while (after !== null) {
    const batch: RetryProgress = await retryBatch(context, list, after, now);
    retried += batch.retried;
    after = batch.after;
  }
  return retried;
}

function retryBatch(
  { tables, transactions, parts }: RetryRowsContext,
  { ruleset, state, last, isWanted }: RowList,
  after: number,
  now: number,
): Promise<RetryProgress> {
  return transactions.write(() => {
    tables.counters.noteWork();
    return parts.retries.retryBatch(
      ruleset,
      state,
      { after, last, limit: BATCH_MAX, isWanted },
      now,
    );
  });
}
