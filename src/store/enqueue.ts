/** From what is to be delivered to a row of its chain: new rows, and those that only verify. */
import type { CommittedWrite } from '../host.ts';
import { LINGER_MS } from '../model/delivery.ts';
import { laterDoubt, presentDoubt } from '../model/doubt.ts';
import { droppedBy } from '../model/match.ts';
import { ORDER_LAST, type LaneRef } from '../model/row.ts';
import { hasRoom } from './backlog.ts';
import { absorb, adoptRules, chainOf, findResolve, readChain, type ChainRef } from './chains.ts';
import { noteGap } from './gaps.ts';
import { changeRow, insertRow, removeRows } from './heads.ts';
import { findOrAddLane } from './lane-numbers.ts';
import { keyNameOf } from './outbox-keys.ts';
import { expectEntry, readEntry, type Entry } from './rows.ts';
import type { Tx } from './tx.ts';

/** What a row delivers; without a version, whatever is current then. */
export interface Delivery {
  readonly key: string;
  readonly operation: 'put' | 'delete';
  readonly version: Pick<CommittedWrite, 'versionId' | 'order'> | null;
}

/** Null where a limit drops the event; its rules have a gap then. */
export function enqueue(
  tx: Tx,
  lane: LaneRef,
  ruleset: readonly number[],
  delivery: Delivery,
): Entry | null {
  const number = findOrAddLane(tx, lane);
  if (tx.isDiskLow() || !mayGrow(tx, number, lane, delivery)) {
    const match = { targetId: lane.targetId, ruleset };
    for (const drop of droppedBy(match, delivery.operation)) {
      noteGap(tx, lane.bucket, drop, tx.now());
    }
    return null;
  }
  return addRow(tx, number, ruleset, delivery, null);
}

/** Has the key looked at once requests that were sent by now can no longer be applied. */
export function addVerification(
  tx: Tx,
  lane: number,
  ruleset: readonly number[],
  key: string,
  doubtUntil: number,
): void {
  addRow(tx, lane, ruleset, { key, operation: 'put', version: null }, doubtUntil);
}

/** All that is left of a row that is not in flight is such a look; one that was taken in is gone. */
export function becomeVerification(tx: Tx, sequence: number): void {
  const entry = readEntry(tx, sequence);
  if (entry === undefined) return;
  const doubtUntil = doubtOf(tx, entry) ?? tx.now();
  const row: Entry['row'] = {
    ...entry.row,
    operation: 'resolve',
    versionId: null,
    order: ORDER_LAST,
    state: 'verifying',
    attempts: 0,
    nextAttemptAt: doubtUntil,
    lastError: null,
    failedAt: null,
    doubtUntil,
    refused: false,
    upload: null,
    boot: tx.boot,
  };
  removeRows(tx, [entry]);
  insertRow(tx, { ...entry, row: takeIn(tx, entry, row) });
}

/** A pending or failed row that returns to the chain takes in the unclaimed `resolve` row there. */
export function takeIn(tx: Tx, entry: Entry, row: Entry['row']): Entry['row'] {
  if (row.operation !== 'resolve') return row;
  const other = findResolve(tx, chainOf(entry), entry.sequence);
  if (other === undefined) return row;
  const merged = absorb(tx, row, other.row, row.nextAttemptAt);
  removeRows(tx, [other]);
  return merged;
}

/**
 * Until when an earlier request of the row's chain may be applied, or null. Where the operating
 * system went down, a row that was queued and sent shortly before may be lost with its claim, while
 * its request lingers: whatever its key has soon afterwards is in doubt.
 */
export function doubtOf({ boot, bootedForMs, now }: Tx, { row }: Entry): number | null {
  const upMs = bootedForMs();
  const known = presentDoubt(row.doubtUntil, now());
  if (row.boot === boot && upMs >= LINGER_MS) return known;
  return laterDoubt(known, Math.round(now() - upMs) + LINGER_MS);
}

/**
 * Adds a row, or lets the chain's unclaimed `resolve` row stand for it too.
 *
 * @param doubtUntil of a row that only verifies: when the doubt that it is for is over
 */
function addRow(
  tx: Tx,
  lane: number,
  ruleset: readonly number[],
  { key, operation, version }: Delivery,
  doubtUntil: number | null,
): Entry {
  const now = tx.now();
  const keyName = keyNameOf(key);
  const added: Entry['row'] = {
    lane,
    ruleset: [...ruleset],
    key,
    operation: version === null ? 'resolve' : operation,
    versionId: version?.versionId ?? null,
    order: version?.order ?? ORDER_LAST,
    state: doubtUntil === null ? 'pending' : 'verifying',
    attempts: 0,
    nextAttemptAt: doubtUntil ?? now,
    lastError: null,
    createdAt: now,
    failedAt: null,
    doubtUntil,
    refused: false,
    upload: null,
    boot: tx.boot,
  };
  const row = doubtUntil === null ? overtakeRefused(tx, { lane, keyName }, added) : added;
  const other = version === null ? findResolve(tx, { lane, keyName }, -1) : undefined;
  if (other === undefined) {
    return insertRow(tx, { sequence: tx.counters.nextSequence(), keyName, row });
  }
  const earliest = Math.min(other.row.nextAttemptAt, row.nextAttemptAt);
  return changeRow(tx, other, absorb(tx, other.row, row, earliest));
}

/** A head that the target refuses goes where a newer event of its key is queued: that stands for both. */
function overtakeRefused(tx: Tx, chain: ChainRef, row: Entry['row']): Entry['row'] {
  const { head } = readChain(tx, chain);
  if (head === null || head.isClaimed) return row;
  const entry = expectEntry(tx, head.sequence);
  const { refused, order, state } = entry.row;
  if (!refused || order >= row.order || state !== 'pending') return row;
  const doubtUntil = doubtOf(tx, entry);
  removeRows(tx, [entry]);
  const both = adoptRules(tx, row, entry.row);
  if (doubtUntil !== null && doubtUntil > tx.now()) {
    addVerification(tx, chain.lane, both.ruleset, row.key, doubtUntil);
  }
  return both;
}

/** Beyond the limit, what a row stands for already is no growth. */
function mayGrow(tx: Tx, lane: number, { bucket }: LaneRef, { key, version }: Delivery): boolean {
  if (hasRoom(tx, bucket)) return true;
  return version === null && findResolve(tx, { lane, keyName: keyNameOf(key) }, -1) !== undefined;
}
