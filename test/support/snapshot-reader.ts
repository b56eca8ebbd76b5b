/**
 * A second process that reads one bucket's configuration in a tight loop through the store's public
 * reader, until it has seen a number of snapshots and of revisions, and prints as JSON what it saw.
 *
 * Arguments: data directory, bucket's name, number of snapshots, number of revisions. The first line, `reading`, says that
 * the loop begins.
 */
import { openReader, type ConfigurationSnapshot } from '../../src/store/reader.ts';

export interface SnapshotReport {
  readonly snapshots: number;
  readonly distinctRevisions: number;
  /** How many had an enabled rule, so that the reader was not looking at nothing. */
  readonly withEnabledRules: number;
  readonly withDisabledRules: number;
  readonly withoutRules: number;
  /** Revisions of snapshots that no moment of the store can have had. */
  readonly violations: readonly { readonly revision: string; readonly what: string }[];
}

const [, , dataDirectory = '', bucketName = '', wantedSnapshots = '', wantedRevisions = ''] =
  process.argv;

function violation({ targets, rules, mayReplicate }: ConfigurationSnapshot): string | null {
  const ids = new Set(targets.map((target) => target.id));
  if (rules.some((rule) => rule.enabled && !ids.has(rule.targetId))) return 'rule without target';
  return mayReplicate === rules.length > 0 ? null : 'hint and rules disagree';
}

const reader = await openReader(dataDirectory);
const revisions = new Set<string>();
const violations: { revision: string; what: string }[] = [];
const counts = { withEnabledRules: 0, withDisabledRules: 0, withoutRules: 0 };
const [snapshotsMin, revisionsMin] = [Number(wantedSnapshots), Number(wantedRevisions)];
let snapshots = 0;
console.log('reading');
while (snapshots < snapshotsMin || revisions.size < revisionsMin) {
  const snapshot = reader.configuration(bucketName);
  if (snapshot === null) continue;
  snapshots += 1;
  revisions.add(snapshot.revision);
  if (snapshot.rules.length === 0) counts.withoutRules += 1;
  else if (snapshot.rules.some((rule) => rule.enabled)) counts.withEnabledRules += 1;
  else counts.withDisabledRules += 1;
  const what = violation(snapshot);
  if (what !== null) violations.push({ revision: snapshot.revision, what });
}
await reader.close();
const report: SnapshotReport = {
  snapshots,
  distinctRevisions: revisions.size,
  ...counts,
  violations,
};
console.log(JSON.stringify(report));
