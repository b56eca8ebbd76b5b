/**
 * No process ever sees half a change: a second one reads in a tight loop while the API removes and
 * restores the targets that enabled rules use, and replaces the rules.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runProgram } from '../support/child-process.ts';
import { ruleBody, targetBody, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';
import type { SnapshotReport } from '../support/snapshot-reader.ts';

const SNAPSHOTS_MIN = 100_000;
const REVISIONS_MIN = 200;

describe('a reader in another process', () => {
  it(`sees ${SNAPSHOTS_MIN} consistent snapshots while targets and rules are replaced`, async (t) => {
    const host = await startReplicationHost(t);
    const [one, two] = [targetBody({ id: uuid(1) }), targetBody({ id: uuid(2) })];
    const rules = [
      ruleBody({ id: uuid(4), targetId: uuid(1) }),
      ruleBody({ id: uuid(5), targetId: uuid(2) }),
    ];
    await host.putTargets([one, two]);
    let reading = true;
    const read = runProgram('snapshot-reader.ts', [
      host.dataDirectory,
      'photos',
      String(SNAPSHOTS_MIN),
      String(REVISIONS_MIN),
    ]).finally(() => (reading = false));

    let changes = 0;
    while (reading) {
      // Two at a time, so that changes share transactions too.
      await Promise.all([host.putTargets([one, two]), host.putRules(rules)]);
      await host.putRules(rules);
      await Promise.all([host.putTargets([one]), host.putRules(rules.slice(0, 1))]);
      await host.putTargets([]);
      await host.putRules([]);
      changes += 7;
    }

    const { code, stdout, stderr } = await read;
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout.split('\n')[1] ?? '') as SnapshotReport;
    t.diagnostic(`${JSON.stringify(report)} during ${changes} changes`);
    assert(report.snapshots >= SNAPSHOTS_MIN);
    assert.deepEqual(report.violations, []);
    assert(report.distinctRevisions >= REVISIONS_MIN, 'the snapshots really differ');
    for (const state of ['withEnabledRules', 'withDisabledRules', 'withoutRules'] as const) {
      assert(report[state] > 1000, `too few snapshots ${state}`);
    }
  });
});
