/**
 * Rows and the indexes that are a plain function of them: `rows`, `chains`, `queue`, `expiries` and,
 * through row-counts.ts, `counts`. Which row of a chain is due is not, and is kept by chains.ts. Everything here runs
 * inside a write transaction of the caller.
 *
 * Invariant: an upload that a row carries stays with the row, or becomes a stray (strays.ts) in the
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
import type { RowCounts } from './row-counts.ts';
import type { Strays } from './strays.ts';
import type { Tables } from './tables.ts';

/** A row as the store handles it. */
export interface Entry {
  readonly sequence: number;
  /** What the row's key is called in tables. */
  readonly keyName: Buffer;
  readonly row: Readonly<StoredRow>;
}

export class QueueRows {
  readonly #tables: Tables;
  readonly #counts: RowCounts;
  readonly #strays: Strays;

  constructor(tables: Tables, counts: RowCounts, strays: Strays) {
    this.#tables = tables;
    this.#counts = counts;
    this.#strays = strays;
  }

  read(sequence: number): Entry | undefined {
    const row = this.#tables.rows.get(sequenceKey(sequence));
    return row === undefined ? undefined : { sequence, keyName: keyNameOf(row.key), row };
  }

  /** @throws Error where an index names a row that is not there */
  expect(sequence: number): Entry {
    const entry = this.read(sequence);
    if (entry === undefined) throw new Error(`Row ${sequence} is missing.`);
    return entry;
  }

  add(entry: Entry): void {
    const { rows, chains, queue, expiries } = this.#tables;
    const { sequence, row } = entry;
    rows.put(sequenceKey(sequence), row);
    chains.put(chainKeyOf(entry), rulesetBytes(row.ruleset));
    const ruleset = rulesetKey(row.lane, row.ruleset);
    queue.put(queueKey(ruleset, queueStateOf(row), sequence), NO_VALUE);
    if (row.failedAt !== null) expiries.put(expiryKey(row.failedAt, sequence), NO_VALUE);
    this.#counts.change(ruleset, row.state, 1);
  }

  remove(entry: Entry): void {
    this.#strays.add(entry.row);
    this.#takeOut(entry);
  }

  /** The same row with other contents. */
  replace(old: Entry, next: Entry): void {
    if (old.row.upload?.uploadId !== next.row.upload?.uploadId) this.#strays.add(old.row);
    if (isIndexedAlike(old.row, next.row)) {
      this.#tables.rows.put(sequenceKey(next.sequence), next.row);
      return;
    }
    this.#takeOut(old);
    this.add(next);
  }

  #takeOut(entry: Entry): void {
    const { rows, chains, queue, expiries } = this.#tables;
    const { sequence, row } = entry;
    rows.remove(sequenceKey(sequence));
    chains.remove(chainKeyOf(entry));
    const ruleset = rulesetKey(row.lane, row.ruleset);
    queue.remove(queueKey(ruleset, queueStateOf(row), sequence));
    if (row.failedAt !== null) expiries.remove(expiryKey(row.failedAt, sequence));
    this.#counts.change(ruleset, row.state, -1);
  }
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
