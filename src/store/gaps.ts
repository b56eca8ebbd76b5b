/** Gaps: rules that missed events, and since when. */
import type { BucketRef } from '../host.ts';
import type { DroppedEvent } from '../model/match.ts';
import type { RuleGap } from '../model/queue.ts';
import type { Rule } from '../model/rule.ts';
import type { Tx } from './tx.ts';

/** In the transaction that drops the event. */
export function noteGap(
  { tables, counters }: Tx,
  bucket: Pick<BucketRef, 'id'>,
  { incarnation, deleteLost }: DroppedEvent,
  now: number,
): void {
  const key: [string, number] = [bucket.id, incarnation];
  const known = tables.gaps.get(key);
  tables.gaps.put(key, {
    since: known?.since ?? now,
    deleteLost: deleteLost || (known?.deleteLost ?? false),
    last: counters.nextSequence(),
  });
}

/** A resync that began at sequence `run` covered what was dropped before. */
export function clearGap(
  { tables }: Tx,
  bucket: BucketRef,
  incarnation: number,
  run: number,
): void {
  const { gaps } = tables;
  const gap = gaps.get([bucket.id, incarnation]);
  if (gap !== undefined && !gap.deleteLost && gap.last <= run) {
    gaps.remove([bucket.id, incarnation]);
  }
}

export function gapsOf({ tables }: Tx, bucket: BucketRef, rules: readonly Rule[]): RuleGap[] {
  return rules.flatMap(({ incarnation }) => {
    const gap = tables.gaps.get([bucket.id, incarnation]);
    if (gap === undefined) return [];
    return [{ incarnation, gapSince: gap.since, deleteLost: gap.deleteLost }];
  });
}
