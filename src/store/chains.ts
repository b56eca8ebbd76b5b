/**
 * Chains: the rows of one key and target, in the order in which they must reach it. The chain's own
 * entry in `chains`, on the page of those of its rows, says which is its head (heads.ts) and how many
 * there are: most chains have one, and need not be searched.
 */
import { judgeRuleset, mergeRulesets } from '../model/match.ts';
import { mergedSchedule } from '../model/doubt.ts';
import { ORDER_LAST } from '../model/row.ts';
import { configurationOfOwner } from './configurations.ts';
import { ownerOf } from './lane-numbers.ts';
import {
  chainEntryKey,
  chainKey,
  chainRecord,
  endOf,
  PENDING,
  readChainRecord,
  trailingSequence,
  type ChainRecord,
} from './outbox-keys.ts';
import { expectEntry, type Entry } from './rows.ts';
import type { Tx } from './tx.ts';

const EMPTY: ChainRecord = { head: null, rows: 0 };

/** One chain, by lane and what its key is called in tables. */
export interface ChainRef {
  readonly lane: number;
  readonly keyName: Buffer;
}

export function chainOf({ row, keyName }: Entry): ChainRef {
  return { lane: row.lane, keyName };
}

export function readChain({ tables }: Tx, { lane, keyName }: ChainRef): ChainRecord {
  const value = tables.chains.get(chainKey(lane, keyName));
  return value === undefined ? EMPTY : readChainRecord(value);
}

export function writeChain({ tables }: Tx, { lane, keyName }: ChainRef, record: ChainRecord): void {
  tables.chains.put(chainKey(lane, keyName), chainRecord(record));
}

export function isClaimed(tx: Tx, entry: Entry): boolean {
  const { head } = readChain(tx, chainOf(entry));
  return head !== null && head.isClaimed && head.sequence === entry.sequence;
}

/** Whether the chain has no other row, failed ones included. */
export function isAlone(tx: Tx, entry: Entry): boolean {
  return readChain(tx, chainOf(entry)).rows === 1;
}

/** The row of the chain that delivers whatever is current, unless it is in flight or `except`. */
export function findResolve(tx: Tx, chain: ChainRef, except: number): Entry | undefined {
  const { lane, keyName } = chain;
  const { head, rows } = readChain(tx, chain);
  if (rows === 0) return undefined;
  const start = chainEntryKey(lane, keyName, PENDING, ORDER_LAST, 0);
  const found = Array.from(
    tx.tables.chains.keys({ start, end: endOf(start.subarray(0, -12)), limit: 3 }),
    trailingSequence,
  );
  if (found.length === 0) return undefined;
  const claimed = head?.isClaimed === true ? head.sequence : -1;
  const sequence = found.find((other) => other !== except && other !== claimed);
  return sequence === undefined ? undefined : expectEntry(tx, sequence);
}

/** The row that waits behind the entry in its chain, and not only to verify; undefined: there is none. */
export function overtaking(tx: Tx, entry: Entry): Entry | undefined {
  const { row, keyName } = entry;
  if (row.order === ORDER_LAST || isAlone(tx, entry)) return undefined;
  const start = chainEntryKey(row.lane, keyName, PENDING, row.order + 1, 0);
  const end = endOf(chainEntryKey(row.lane, keyName, PENDING, 0, 0).subarray(0, -12));
  const later = tx.tables.chains.keys({ start, end, limit: 2 });
  return Array.from(later, (key) => expectEntry(tx, trailingSequence(key))).find(
    (other) => other.row.state === 'pending' && isActive(tx, other.row),
  );
}

/** Whether a later version than the entry's waits in its chain. */
export function laterVersionWaits(tx: Tx, entry: Entry): boolean {
  const { row, keyName } = entry;
  if (row.order >= ORDER_LAST - 1 || isAlone(tx, entry)) return false;
  const start = chainEntryKey(row.lane, keyName, PENDING, row.order + 1, 0);
  const end = chainEntryKey(row.lane, keyName, PENDING, ORDER_LAST, 0);
  return Array.from(tx.tables.chains.keys({ start, end, limit: 1 })).length > 0;
}

/** Whether some rule that the row is for is enabled. */
export function isActive(
  tx: Tx,
  { lane, ruleset }: Pick<Entry['row'], 'lane' | 'ruleset'>,
): boolean {
  const owner = ownerOf(tx, lane);
  return judgeRuleset(configurationOfOwner(tx, owner), owner.targetId, ruleset) === 'active';
}

/** The row is for the rules of another one of its chain too, which it stands for from now on. */
export function adoptRules(
  tx: Tx,
  row: Entry['row'],
  { ruleset }: Pick<Entry['row'], 'ruleset'>,
): Entry['row'] {
  const configuration = configurationOfOwner(tx, ownerOf(tx, row.lane));
  return { ...row, ruleset: [...mergeRulesets(configuration, row.ruleset, ruleset)] };
}

/** One row in place of two that deliver whatever is current; the first one's history stays. */
export function absorb(
  tx: Tx,
  row: Entry['row'],
  other: Entry['row'],
  nextAttemptAt: number,
): Entry['row'] {
  return { ...adoptRules(tx, row, other), ...mergedSchedule(row, other, nextAttemptAt) };
}
