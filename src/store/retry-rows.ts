/**
 * The retry of many rows, of which there may be a million: batch by batch, each a transaction of its
 * own, so that nobody else waits for all of them. Inside of one it is retries.ts that works.
 */
import type { BucketRef } from '../host.ts';
import type { RowFilter } from '../model/ports.ts';
import { BATCH_MAX } from './claims.ts';
import { FAILED, PENDING, type StateByte } from './outbox-keys.ts';
import type { OutboxParts } from './outbox-parts.ts';
import type { RetryProgress } from './retries.ts';
import type { Tables } from './tables.ts';
import type { Transactions } from './transactions.ts';

export interface RetryRowsContext {
  readonly tables: Tables;
  readonly transactions: Transactions;
  readonly parts: Pick<OutboxParts, 'view' | 'retries'>;
}

/** The rows of one ruleset and state that were queued up to `last`. */
interface RowList {
  readonly ruleset: Buffer;
  readonly state: StateByte;
  readonly last: number;
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
  for (const state of [PENDING, FAILED] as const) {
    for (const { key } of rulesets.filter(({ states }) => states.includes(state))) {
      retried += await retryList(context, { ruleset: key, state, last }, now);
    }
  }
  const askTargets = (): void =>
    parts.retries.tryTargetsAnew(bucket, parts.view.targets(bucket, filter));
  await transactions.writeTogether(askTargets);
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
  { ruleset, state, last }: RowList,
  after: number,
  now: number,
): Promise<RetryProgress> {
  return transactions.write(() => {
    tables.counters.noteWork();
    return parts.retries.retryBatch(ruleset, state, { after, last, limit: BATCH_MAX }, now);
  });
}
