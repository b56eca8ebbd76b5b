/** Gaps: rules that missed events, and since when. */
import type { BucketRef } from '../host.ts';
import type { DroppedEvent } from '../model/match.ts';
import type { RuleGap } from '../model/queue.ts';
import type { Rule } from '../model/rule.ts';
import type { Tables } from './tables.ts';

/** Inside the transaction that drops the event. */
export function noteGap(
  tables: Tables,
  bucket: Pick<BucketRef, 'id'>,
  { incarnation, deleteLost }: DroppedEvent,
  now: number,
): void {
  const key: [string, number] = [bucket.id, incarnation];
  const known = tables.gaps.get(key);
  tables.gaps.put(key, {
    since: known?.since ?? now,
    deleteLost: deleteLost || (known?.deleteLost ?? false),
    last: tables.counters.nextSequence(),
  });
}

/** A resync that began at sequence `run` covered what was dropped before. */
export function clearGap(
  { gaps }: Tables,
  bucket: BucketRef,
  incarnation: number,
  run: number,
): void {
  const gap = gaps.get([bucket.id, incarnation]);
  if (gap !== undefined && !gap.deleteLost && gap.last <= run) {
    gaps.remove([bucket.id, incarnation]);
  }
}

export function gapsOf({ gaps }: Tables, bucket: BucketRef, rules: readonly Rule[]): RuleGap[] {
  return rules.flatMap(({ incarnation }) => {
    const gap = gaps.get([bucket.id, incarnation]);
    if (gap === undefined) return [];
    return [{ incarnation, gapSince: gap.since, deleteLost: gap.deleteLost }];
  });
}
