/**
 * Rows and the indexes that are a plain function of them: `rows`, `chains`, `queue`, `expiries` and,
 * through row-counts.ts, `counts`. Which row of a chain is due is not, and is kept by heads.ts.
 *
 * Invariant: an upload that a row carries stays with the row, or becomes a stray (uploads.ts) in the
 * transaction in which the row loses it, unless whoever changes the row says that it is done with:
 * by taking it off the row first ({@link withoutUpload}).
 */
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { LaneRef, Row, RowState } from '../model/row.ts';
import {
  chainEntryKey,
  expiryKey,
  FAILED,
  keyNameOf,
  NO_VALUE,
  PENDING,
  queueKey,
  rulesetBytes,
  rulesetKey,
  sequenceKey,
  VERIFYING,
  type QueueStateByte,
  type StateByte,
} from './outbox-keys.ts';
import type { Tx } from './tx.ts';
import { addStray } from './uploads.ts';

/** Rows that one transaction changes or removes at most. */
export const BATCH_MAX = 256;

/** A row as the store handles it. */
export interface Entry {
  readonly sequence: number;
  /** What the row's key is called in tables. */
  readonly keyName: Buffer;
  readonly row: Readonly<StoredRow>;
}

export function readEntry({ tables }: Tx, sequence: number): Entry | undefined {
  const row = tables.rows.get(sequenceKey(sequence));
  return row === undefined ? undefined : { sequence, keyName: keyNameOf(row.key), row };
}

/** @throws Error where an index names a row that is not there */
export function expectEntry(tx: Tx, sequence: number): Entry {
  const entry = readEntry(tx, sequence);
  if (entry === undefined) throw new Error(`Row ${sequence} is missing.`);
  return entry;
}

export function addEntry({ tables, counts }: Tx, entry: Entry): void {
  const { rows, chains, queue, expiries } = tables;
  const { sequence, row } = entry;
  rows.put(sequenceKey(sequence), row);
  chains.put(chainKeyOf(entry), rulesetBytes(row.ruleset));
  const ruleset = rulesetKey(row.lane, row.ruleset);
  queue.put(queueKey(ruleset, queueStateOf(row), sequence), NO_VALUE);
  if (row.failedAt !== null) expiries.put(expiryKey(row.failedAt, sequence), NO_VALUE);
  counts.change(ruleset, row.state, 1);
}

export function removeEntry(tx: Tx, entry: Entry): void {
  addStray(tx, entry.row);
  takeOut(tx, entry);
}

/** The same row with other contents. */
export function replaceEntry(tx: Tx, old: Entry, next: Entry): void {
  if (old.row.upload?.uploadId !== next.row.upload?.uploadId) addStray(tx, old.row);
  if (isIndexedAlike(old.row, next.row)) {
    tx.tables.rows.put(sequenceKey(next.sequence), next.row);
    return;
  }
  takeOut(tx, old);
  addEntry(tx, next);
}

/** Its upload was completed or aborted, or goes on with another entry. */
export function withoutUpload(entry: Entry): Entry {
  return entry.row.upload === null ? entry : { ...entry, row: { ...entry.row, upload: null } };
}

/** In its chain. */
export function stateOf({ state }: Pick<StoredRow, 'state'>): StateByte {
  return state === 'failed' ? FAILED : PENDING;
}

const QUEUE_STATES: Readonly<Record<RowState, QueueStateByte>> = {
  pending: PENDING,
  verifying: VERIFYING,
  failed: FAILED,
};

export function queueStateOf({ state }: Pick<StoredRow, 'state'>): QueueStateByte {
  return QUEUE_STATES[state];
}

export function answerRow({ sequence, row }: Entry, lane: LaneRef): Row {
  return {
    sequence,
    lane,
    ruleset: row.ruleset,
    key: row.key,
    operation: row.operation,
    versionId: row.versionId,
    order: row.order,
    state: row.state,
    attempts: row.attempts,
    nextAttemptAt: row.nextAttemptAt,
    lastError: row.lastError,
    createdAt: row.createdAt,
    failedAt: row.failedAt,
    doubtUntil: row.doubtUntil,
    refused: row.refused,
    upload: row.upload,
  };
}

function takeOut({ tables, counts }: Tx, entry: Entry): void {
  const { rows, chains, queue, expiries } = tables;
  const { sequence, row } = entry;
  rows.remove(sequenceKey(sequence));
  chains.remove(chainKeyOf(entry));
  const ruleset = rulesetKey(row.lane, row.ruleset);
  queue.remove(queueKey(ruleset, queueStateOf(row), sequence));
  if (row.failedAt !== null) expiries.remove(expiryKey(row.failedAt, sequence));
  counts.change(ruleset, row.state, -1);
}

function chainKeyOf({ sequence, keyName, row }: Entry): Buffer {
  return chainEntryKey(row.lane, keyName, stateOf(row), row.order, sequence);
}

function isIndexedAlike(a: StoredRow, b: StoredRow): boolean {
  return (
    a.state === b.state &&
    a.order === b.order &&
    a.failedAt === b.failedAt &&
    a.ruleset.length === b.ruleset.length &&
    a.ruleset.every((incarnation, index) => incarnation === b.ruleset[index])
  );
}
