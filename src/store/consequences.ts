/** What a change of a configuration does to the queue, in the transaction of the change. */
import { consequencesOf } from '../model/consequences.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import type { Rule } from '../model/rule.ts';
import { noteGap } from './gaps.ts';
import { removeReports, renewReports } from './lane-reports.ts';
import { beginResync, removeResync } from './resyncs.ts';
import type { Tables } from './tables.ts';

const NOTHING = { targets: [], rules: [] };

/**
 * @param before the record that was stored under the bucket's name, perhaps of another bucket id
 * @param after undefined where the bucket is gone
 */
export function applyConsequences(
  tables: Tables,
  bucketName: string,
  before: StoredConfiguration | undefined,
  after: StoredConfiguration | undefined,
  now: number,
): void {
  tables.counters.noteChange();
  const isSame = before?.bucketId === after?.bucketId;
  if (before !== undefined && !isSame) {
    forget(tables, before.bucketId, before.rules);
    removeReports(tables, before.bucketId, idsOf(before.targets));
  }
  if (after === undefined) return;
  const previous = isSame ? (before ?? NOTHING) : NOTHING;
  const { removed, gaps, resyncs, left, renewed } = consequencesOf(previous, after);
  const bucket = { id: after.bucketId, name: bucketName };
  forget(tables, bucket.id, removed);
  for (const { incarnation } of gaps) {
    noteGap(tables, bucket, { incarnation, deleteLost: false }, now);
  }
  for (const rule of resyncs) beginResync(tables, bucket, rule, now);
  removeReports(tables, bucket.id, idsOf(left));
  renewReports(tables, bucket.id, idsOf(renewed));
}

function idsOf(targets: readonly { readonly id: string }[]): string[] {
  return targets.map(({ id }) => id);
}

function forget(tables: Tables, bucketId: string, rules: readonly Rule[]): void {
  for (const rule of rules) {
    tables.gaps.remove([bucketId, rule.incarnation]);
    removeResync(tables, bucketId, rule);
  }
}
