/**
 * Heads: which row of a chain is due or in flight.
 *
 * States of a chain: idle (no head), ready (its head has an entry in `due`), busy (its head is
 * claimed and has none). A chain has at most one head, and so at most one of its rows is ever due or
 * in flight.
 *
 * The head is the first pending row under an enabled rule, else the first pending row. It is found
 * anew when a claim ends and when the head is removed; a row that is inserted is compared with it.
 * A change of rules moves no head by itself: the sweep does.
 */
import { operationOf } from '../model/row.ts';
import { chainOf, isActive, readChain, writeChain, type ChainRef } from './chains.ts';
import {
  chainEntryKey,
  chainKey,
  claimValue,
  dueKey,
  duePrefix,
  endOf,
  NO_VALUE,
  PENDING,
  readRuleset,
  rulesetKey,
  trailingSequence,
  type ChainRecord,
} from './outbox-keys.ts';
import { addEntry, expectEntry, removeEntry, replaceEntry, type Entry } from './rows.ts';
import type { Tx } from './tx.ts';

const HOUR_MS = 3_600_000;
/**
 * How many rows under disabled or removed rules are looked past for one under an enabled rule. Behind
 * more of them, a row becomes the head only when it is inserted or given back.
 */
const LOOK_MAX = 1_024;

interface Seen {
  readonly first: number | undefined;
  readonly active: number | undefined;
}

const NOTHING_SEEN: Seen = { first: undefined, active: undefined };

/** Adds a row, failed ones too; a pending one may become the head. */
export function insertRow(tx: Tx, entry: Entry): Entry {
  addEntry(tx, entry);
  const { head, rows } = readChain(tx, chainOf(entry));
  const record = { head, rows: rows + 1 };
  if (entry.row.state !== 'failed') return admit(tx, entry, record);
  writeChain(tx, chainOf(entry), record);
  return entry;
}

/** Changes a row that is not in flight and stays pending. */
export function changeRow(tx: Tx, old: Entry, row: Entry['row']): Entry {
  const next = { ...old, row };
  const record = readChain(tx, chainOf(old));
  const isHead = record.head?.sequence === old.sequence;
  if (isHead) dropDue(tx, old);
  replaceEntry(tx, old, next);
  return isHead ? setHead(tx, next, record.rows) : admit(tx, next, record);
}

/** Changes only when a pending row that is not in flight is due, and what it has behind it. */
export function rescheduleRow(tx: Tx, old: Entry, row: Entry['row']): void {
  const isHead = readChain(tx, chainOf(old)).head?.sequence === old.sequence;
  if (isHead) changeRow(tx, old, row);
  else replaceEntry(tx, old, { ...old, row });
}

/** Removes rows that are not in flight; each chain's head is chosen once, however many go. */
export function removeRows(tx: Tx, entries: readonly Entry[]): void {
  const changed = new Map<string, { chain: ChainRef; record: ChainRecord }>();
  for (const entry of entries) {
    const chain = chainOf(entry);
    const name = chainKey(chain.lane, chain.keyName).toString('hex');
    const { head, rows } = changed.get(name)?.record ?? readChain(tx, chain);
    const isHead = head?.sequence === entry.sequence;
    if (isHead) dropDue(tx, entry);
    removeEntry(tx, entry);
    changed.set(name, { chain, record: { head: isHead ? null : head, rows: rows - 1 } });
  }
  for (const { chain, record } of changed.values()) settleChain(tx, chain, record);
}

export function claimHead(tx: Tx, entry: Entry, epoch: number): void {
  const chain = chainOf(entry);
  const { rows } = readChain(tx, chain);
  dropDue(tx, entry);
  writeChain(tx, chain, { head: { isClaimed: true, sequence: entry.sequence }, rows });
  const key = chainKey(chain.lane, chain.keyName);
  tx.tables.claims.put(key, claimValue(entry.sequence, epoch));
}

/** The claimed row is done with. */
export function finishHead(tx: Tx, claimed: Entry): void {
  const chain = chainOf(claimed);
  const { rows } = endClaim(tx, chain);
  removeEntry(tx, claimed);
  settleChain(tx, chain, { head: null, rows: rows - 1 });
}

/** The claimed row has failed for good and leaves the chain's pending part. */
export function failHead(tx: Tx, claimed: Entry, row: Entry['row']): void {
  const chain = chainOf(claimed);
  const record = endClaim(tx, chain);
  replaceEntry(tx, claimed, { ...claimed, row });
  settleChain(tx, chain, record);
}

/** The claimed row goes back as `row` says; the chain gets a head. */
export function giveHeadBack(tx: Tx, claimed: Entry, row: Entry['row']): void {
  const next = { ...claimed, row };
  const chain = chainOf(claimed);
  const record = endClaim(tx, chain);
  replaceEntry(tx, claimed, next);
  settleChain(tx, chain, record);
  const now = readChain(tx, chain);
  if (now.head?.sequence !== claimed.sequence) admit(tx, next, now);
}

/** Lets the first row under an enabled rule pass a head under disabled ones. */
export function chooseHeadAnew(tx: Tx, chain: ChainRef): void {
  const { head, rows } = readChain(tx, chain);
  if (head === null || head.isClaimed) return;
  const { active } = look(tx, chain);
  if (active === undefined || active === head.sequence) return;
  dropDue(tx, expectEntry(tx, head.sequence));
  setHead(tx, expectEntry(tx, active), rows);
}

/** Writes what a change left of the chain, and gives it a head where it lacks one. */
function settleChain(tx: Tx, chain: ChainRef, record: ChainRecord): void {
  if (record.rows === 0) {
    tx.tables.chains.remove(chainKey(chain.lane, chain.keyName));
    return;
  }
  const { first, active } = record.head === null ? look(tx, chain) : NOTHING_SEEN;
  const head = active ?? first;
  if (head === undefined) writeChain(tx, chain, record);
  else setHead(tx, expectEntry(tx, head), record.rows);
}

/** The chain as it is without the claim; not written yet. */
function endClaim(tx: Tx, chain: ChainRef): ChainRecord {
  tx.tables.claims.remove(chainKey(chain.lane, chain.keyName));
  return { head: null, rows: readChain(tx, chain).rows };
}

/** A pending row that the chain has; its head may be that or another. Writes the record. */
function admit(tx: Tx, entry: Entry, record: ChainRecord): Entry {
  const { head, rows } = record;
  if (head === null) return setHead(tx, entry, rows);
  if (!head.isClaimed) {
    const current = expectEntry(tx, head.sequence);
    if (precedes(tx, entry, current)) {
      dropDue(tx, current);
      return setHead(tx, entry, rows);
    }
  }
  writeChain(tx, chainOf(entry), record);
  return entry;
}

function precedes(tx: Tx, entry: Entry, head: Entry): boolean {
  const active = isActive(tx, entry.row);
  if (active !== isActive(tx, head.row)) return active;
  const byOrder = entry.row.order - head.row.order;
  return byOrder === 0 ? entry.sequence < head.sequence : byOrder < 0;
}

/**
 * Untried rows are due at once and no row later than in an hour, whatever the clock was when they
 * were queued.
 */
function setHead(tx: Tx, entry: Entry, rows: number): Entry {
  const { row, sequence } = entry;
  const isUntried = row.attempts === 0 && row.state === 'pending';
  const latest = tx.now() + (isUntried ? 0 : HOUR_MS);
  const head = row.nextAttemptAt <= latest ? entry : withTime(entry, latest);
  if (head !== entry) replaceEntry(tx, entry, head);
  tx.tables.due.put(dueKeyOf(head), NO_VALUE);
  writeChain(tx, chainOf(entry), { head: { isClaimed: false, sequence }, rows });
  return head;
}

function dropDue({ tables }: Tx, entry: Entry): void {
  tables.due.remove(dueKeyOf(entry));
}

/** The first pending row, and the first under an enabled rule. */
function look(tx: Tx, { lane, keyName }: ChainRef): Seen {
  const start = chainEntryKey(lane, keyName, PENDING, 0, 0);
  const end = endOf(start.subarray(0, -12));
  let first: number | undefined;
  let parked: Buffer | undefined;
  for (const { key, value } of tx.tables.chains.range({ start, end, limit: LOOK_MAX })) {
    first ??= trailingSequence(key);
    if (parked?.equals(value) === true) continue;
    if (isActive(tx, { lane, ruleset: readRuleset(value, 0) }))
      return { first, active: trailingSequence(key) };
    parked = value;
  }
  return { first, active: undefined };
}

function withTime(entry: Entry, nextAttemptAt: number): Entry {
  return { ...entry, row: { ...entry.row, nextAttemptAt } };
}

function dueKeyOf({ row, sequence }: Entry): Buffer {
  const prefix = duePrefix(rulesetKey(row.lane, row.ruleset), operationOf(row));
  return dueKey(prefix, row.nextAttemptAt, sequence);
}
