/**
 * What must hold between the outbox's tables after any sequence of operations, checked on the raw
 * tables past the code under test.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { StoredRow } from '../../src/model/generated/stored-row.ts';
import type { Tables } from '../../src/store/tables.ts';

const fits = validatorOf('stored-row');
const fitsReport = validatorOf('stored-lane-report');
const fitsStray = validatorOf('stored-stray');

interface RawRow {
  readonly sequence: number;
  readonly row: StoredRow;
  /** The chain's own key, in hexadecimal. */
  readonly chain: string;
}

const NO_HEAD = 0;
const CLAIMED = 2;

const QUEUE_STATES: Readonly<Record<StoredRow['state'], string>> = {
  pending: '00',
  failed: '01',
  verifying: '02',
};
type Counts = [pending: number, failed: number, verifying: number];

/** Every index is exactly what the rows say, and every chain with pending rows has one head. */
export function assertTablesAgree(tables: Tables): void {
  const rows = Array.from(tables.rows.range(), ({ key, value }): RawRow => {
    assert(fits(value), `row ${key.toString('hex')}: ${JSON.stringify(fits.errors)}`);
    const chain = number(value.lane, 4) + keyNameOf(value.key);
    return { sequence: key.readUIntBE(0, 6), row: value, chain };
  });
  const entries = keysOf(tables.chains).filter((key) => key.length > chainCharacters(key));
  assert.deepEqual(entries, sorted(rows.map(chainKey)), 'chains');
  assert.deepEqual(keysOf(tables.queue), sorted(rows.map(queueKey)), 'queue');
  assert.deepEqual(keysOf(tables.expiries), sorted(rows.flatMap(expiryKey)), 'expiries');
  assert.deepEqual(countsOf(tables), recount(rows), 'counts');
  assertHeads(tables, rows);
  assertReports(tables);
  assertStrays(tables, rows);
  for (const { row } of rows) {
    const owner = tables.laneOwners.get(row.lane);
    assert(owner !== undefined, `lane ${row.lane} has no owner`);
    assert.equal(tables.lanes.get([owner.bucketId, owner.targetId]), row.lane);
  }
}

function validatorOf(name: string): ValidateFunction {
  const url = new URL(`../../schemas/${name}.schema.json`, import.meta.url);
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  return ajv.compile(JSON.parse(readFileSync(url, 'utf8')) as object);
}

/** Reports are of targets that are listed. */
function assertReports(tables: Tables): void {
  const listed = new Set(
    Array.from(tables.configurations.range()).flatMap(({ value: { bucketId, targets } }) =>
      targets.map(({ id }) => JSON.stringify([bucketId, id])),
    ),
  );
  for (const { key, value } of tables.laneReports.range()) {
    assert(fitsReport(value), `report ${key.join()}: ${JSON.stringify(fitsReport.errors)}`);
    assert(listed.has(JSON.stringify(key)), `the target of report ${key.join()} is gone`);
  }
}

/** Strays are of lanes that are there, and no row of the lane carries them. */
function assertStrays(tables: Tables, rows: readonly RawRow[]): void {
  const nameOf = (lane: number, key: string, uploadId: string): string =>
    JSON.stringify([lane, key, uploadId]);
  const carried = new Set(
    rows.flatMap(({ row: { lane, key, upload } }) =>
      upload === null ? [] : [nameOf(lane, key, upload.uploadId)],
    ),
  );
  for (const { key, value } of tables.strays.range()) {
    assert(fitsStray(value), `stray ${key.toString('hex')}: ${JSON.stringify(fitsStray.errors)}`);
    const lane = key.readUInt32BE(0);
    assert(tables.laneOwners.get(lane) !== undefined, `lane ${lane} has strays but no owner`);
    const name = nameOf(lane, value.key, value.uploadId);
    assert(!carried.has(name), `${name} is a stray and carried`);
  }
}

function assertHeads(tables: Tables, rows: readonly RawRow[]): void {
  const bySequence = new Map(rows.map((raw) => [raw.sequence, raw]));
  const pendingChains = new Set(
    rows.filter(({ row }) => row.state !== 'failed').map(({ chain }) => chain),
  );
  const due: string[] = [];
  const claimed: string[] = [];
  const sizes = new Map<string, number>();
  for (const { key, value } of tables.chains.range()) {
    const chain = key.toString('hex');
    if (chain.length > chainCharacters(chain)) continue;
    sizes.set(chain, value.readUInt32BE(7));
    if (value.readUInt8(0) === NO_HEAD) continue;
    const raw = bySequence.get(value.readUIntBE(1, 6));
    assert(raw !== undefined, `head of ${chain} is no row`);
    assert.equal(raw.chain, chain, 'a head is a row of its chain');
    assert.notEqual(raw.row.state, 'failed', 'a head has not failed');
    assert(pendingChains.delete(chain));
    if (value.readUInt8(0) === CLAIMED) claimed.push(chain);
    else due.push(dueKey(raw));
  }
  assert.deepEqual([...pendingChains], [], 'every chain with pending rows has a head');
  assert.deepEqual(sizes, sizesOf(rows), 'every chain knows how many rows it has');
  assert.deepEqual(keysOf(tables.due), sorted(due), 'due');
  assert.deepEqual(keysOf(tables.claims), sorted(claimed), 'claims');
  for (const { key, value } of tables.claims.range()) {
    assert.equal(
      tables.chains.get(key)?.readUIntBE(1, 6),
      value.readUIntBE(0, 6),
      'the head is claimed',
    );
  }
  assertOneResolve(rows, tables);
}

function sizesOf(rows: readonly RawRow[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { chain } of rows) sizes.set(chain, (sizes.get(chain) ?? 0) + 1);
  return sizes;
}

function assertOneResolve(rows: readonly RawRow[], tables: Tables): void {
  const claimed = new Set(Array.from(tables.claims.range(), ({ value }) => value.readUIntBE(0, 6)));
  const seen = new Set<string>();
  for (const { row, chain, sequence } of rows) {
    if (row.operation !== 'resolve' || row.state === 'failed' || claimed.has(sequence)) continue;
    assert(!seen.has(chain), `chain ${chain} has two unclaimed resolve rows`);
    seen.add(chain);
  }
}

function recount(rows: readonly RawRow[]): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const raw of rows) {
    const [pending, failed, verifying] = counts.get(ruleset(raw)) ?? [0, 0, 0];
    const one = (state: StoredRow['state']): number => (raw.row.state === state ? 1 : 0);
    counts.set(ruleset(raw), [
      pending + one('pending'),
      failed + one('failed'),
      verifying + one('verifying'),
    ]);
  }
  const [pending, failed, verifying] = [...counts.values()].reduce(
    (sums, numbers) => [sums[0] + numbers[0], sums[1] + numbers[1], sums[2] + numbers[2]],
    [0, 0, 0],
  );
  // Of all lanes, under the number that no lane has.
  if (rows.length > 0) counts.set(number(0, 4), [pending, failed, verifying]);
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function countsOf(tables: Tables): Map<string, Counts> {
  return new Map(
    Array.from(tables.counts.range(), ({ key, value }) => [
      key.toString('hex'),
      [value.readUIntBE(0, 6), value.readUIntBE(6, 6), value.readUIntBE(12, 6)],
    ]),
  );
}

function chainKey({ chain, row, sequence }: RawRow): string {
  const state = row.state === 'failed' ? '01' : '00';
  return chain + state + number(row.order, 6) + number(sequence, 6);
}

function queueKey(raw: RawRow): string {
  return ruleset(raw) + QUEUE_STATES[raw.row.state] + number(raw.sequence, 6);
}

function dueKey(raw: RawRow): string {
  const operation = raw.row.operation === 'delete' ? '01' : '00';
  return ruleset(raw) + operation + number(raw.row.nextAttemptAt, 6) + number(raw.sequence, 6);
}

function expiryKey({ row, sequence }: RawRow): string[] {
  return row.failedAt === null ? [] : [number(row.failedAt, 6) + number(sequence, 6)];
}

function ruleset({ row }: RawRow): string {
  const incarnations = row.ruleset.map((incarnation) => number(incarnation, 6));
  return number(row.lane, 4) + number(incarnations.length, 1) + incarnations.join('');
}

function number(value: number, bytes: number): string {
  return value.toString(16).padStart(bytes * 2, '0');
}

/** How much of a key of `chains`, in hexadecimal, is the chain's own: lane and key name. */
function chainCharacters(key: string): number {
  const length = Number.parseInt(key.slice(8, 10), 16);
  return 2 * (4 + (length === 0xff ? 48 : 1 + length));
}

function keyNameOf(key: string): string {
  const bytes = Buffer.from(key);
  if (bytes.length < 48) return number(bytes.length, 1) + bytes.toString('hex');
  const hash = createHash('sha256').update(key).digest('hex').slice(0, 32);
  return 'ff' + bytes.subarray(0, 31).toString('hex') + hash;
}

function keysOf(table: { keys(): Iterable<Buffer> }): string[] {
  return Array.from(table.keys(), (key) => key.toString('hex'));
}

function sorted(keys: readonly string[]): string[] {
  return [...keys].sort();
}
