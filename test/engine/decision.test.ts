import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ObjectHead } from '../../src/host.ts';
import { decide, type Decision } from '../../src/engine/decision.ts';
import type { Row } from '../../src/model/row.ts';
import { claim, head, marker, resolveRow, row } from './fixtures.ts';

interface Case {
  readonly name: string;
  readonly row: Row;
  readonly later?: boolean;
  readonly current: ObjectHead | null;
  readonly deletes?: boolean;
  readonly decision: Decision;
}

const V5 = head();
const V7 = head({ versionId: 'v7', order: 7 });
const remove = row({ operation: 'delete', versionId: null });

const cases: readonly Case[] = [
  {
    name: 'sends a version that is current',
    row: row(),
    current: V5,
    decision: { kind: 'put', versionId: 'v5', upTo: 5 },
  },
  {
    name: 'sends a version that became current again, up to its event',
    row: row({ order: 9 }),
    current: V5,
    decision: { kind: 'put', versionId: 'v5', upTo: 9 },
  },
  {
    name: 'sends a version as such while a later one waits',
    row: row(),
    later: true,
    current: V7,
    decision: { kind: 'put', versionId: 'v5', upTo: 5 },
  },
  {
    name: 'never sends an old version when nothing later waits: that may have been delivered',
    row: row(),
    current: V7,
    decision: { kind: 'put', versionId: 'v7', upTo: 7 },
  },
  {
    name: 'deletes where the version was followed by a deletion',
    row: row(),
    current: marker({ versionId: 'v6', order: 6 }),
    decision: { kind: 'delete', upTo: 6 },
  },
  {
    name: 'leaves the target where deletes are not replicated',
    row: row(),
    current: marker({ versionId: 'v6', order: 6 }),
    deletes: false,
    decision: { kind: 'nothing', upTo: 5 },
  },
  {
    name: 'leaves the target to the replica that is current',
    row: row(),
    current: head({ versionId: 'v6', order: 6, replica: true }),
    decision: { kind: 'nothing', upTo: 6 },
  },
  {
    name: 'leaves the target to a deletion that came by replication',
    row: row(),
    current: marker({ versionId: 'v6', order: 6, replica: true }),
    decision: { kind: 'nothing', upTo: 6 },
  },
  { name: 'deletes', row: remove, current: null, decision: { kind: 'delete', upTo: 5 } },
  {
    name: 'deletes up to the marker that is current',
    row: remove,
    current: marker({ order: 6 }),
    decision: { kind: 'delete', upTo: 6 },
  },
  {
    name: 'deletes as such while a later version waits',
    row: remove,
    later: true,
    current: V7,
    decision: { kind: 'delete', upTo: 5 },
  },
  {
    name: 'sends what is current in place of a deletion that is no longer true',
    row: remove,
    current: V7,
    decision: { kind: 'put', versionId: 'v7', upTo: 7 },
  },
  {
    name: 'does not delete once the rule no longer wants it',
    row: remove,
    current: null,
    deletes: false,
    decision: { kind: 'nothing', upTo: 5 },
  },
  {
    name: 'resolves to what is current',
    row: resolveRow(),
    current: V7,
    decision: { kind: 'put', versionId: 'v7', upTo: 7 },
  },
  {
    name: 'resolves to a deletion, up to nothing where no order is known',
    row: resolveRow(),
    current: null,
    decision: { kind: 'delete', upTo: 0 },
  },
  {
    name: 'resolves to nothing for a replica',
    row: resolveRow(),
    current: head({ replica: true }),
    decision: { kind: 'nothing', upTo: 5 },
  },
];

describe('decision', () => {
  for (const { name, row: of, later = false, current, deletes = true, decision } of cases) {
    it(name, () => assert.deepEqual(decide(claim(of, later), current, deletes), decision));
  }
});
