/**
 * Chains and their heads: which row of a chain is due or in flight.
 *
 * States of a chain: idle (no head), ready (its head has an entry in `due`), busy (its head is
 * claimed and has none). A chain has at most one head, and so at most one of its rows is ever due or
 * in flight. The head is kept in `chains` under the chain's own key, on the page of its entries,
 * together with the number of the chain's rows: most chains have one, and need not be searched.
 *
 * The head is the first pending row under an enabled rule, else the first pending row. It is found
 * anew when a claim ends and when the head is removed; a row that is inserted is compared with it.
 * A change of rules moves no head by itself: the sweep does.
 */
import { mergeRulesets, judgeRuleset } from '../model/match.ts';
import { mergedSchedule } from '../model/doubt.ts';
import { operationOf, ORDER_LAST } from '../model/row.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import type { LaneNumbers } from './lanes.ts';
import {
  chainEntryKey,
  chainKey,
  chainRecord,
  claimValue,
  dueKey,
  duePrefix,
  endOf,
  NO_VALUE,
  PENDING,
  readChainRecord,
  readRuleset,
  rulesetKey,
  trailingSequence,
  type ChainRecord,
} from './outbox-keys.ts';
import type { Entry, QueueRows } from './queue-rows.ts';
import type { Tables } from './tables.ts';

const HOUR_MS = 3_600_000;
/**
 * How many rows under disabled or removed rules are looked past for one under an enabled rule. Behind
 * more of them, a row becomes the head only when it is inserted or given back.
 */
const LOOK_MAX = 1_024;
const EMPTY: ChainRecord = { head: null, rows: 0 };

interface Seen {
  readonly first: number | undefined;
  readonly active: number | undefined;
}

const NOTHING_SEEN: Seen = { first: undefined, active: undefined };

/** One chain, by lane and what its key is called in tables. */
export interface ChainRef {
  readonly lane: number;
  readonly keyName: Buffer;
}

export interface ChainsOptions {
  readonly tables: Tables;
  readonly rows: QueueRows;
  readonly lanes: LaneNumbers;
  readonly configurations: ConfigurationCache;
  readonly now: () => number;
}

export class Chains {
  readonly rows: QueueRows;
  readonly #tables: Tables;
  readonly #lanes: LaneNumbers;
  readonly #configurations: ConfigurationCache;
  readonly #now: () => number;

  constructor({ tables, rows, lanes, configurations, now }: ChainsOptions) {
    this.rows = rows;
    this.#tables = tables;
    this.#lanes = lanes;
    this.#configurations = configurations;
    this.#now = now;
  }

  headOf(chain: ChainRef): ChainRecord['head'] {
    return this.#read(chain).head;
  }

  isClaimed(entry: Entry): boolean {
    const head = this.headOf(chainOf(entry));
    return head !== null && head.isClaimed && head.sequence === entry.sequence;
  }

  /** Whether the chain has no other row, failed ones included. */
  isAlone(entry: Entry): boolean {
    return this.#read(chainOf(entry)).rows === 1;
  }

  /** Adds a row, failed ones too; a pending one may become the head. */
  insert(entry: Entry): Entry {
    this.rows.add(entry);
    const { head, rows } = this.#read(chainOf(entry));
    const record = { head, rows: rows + 1 };
    if (entry.row.state !== 'failed') return this.#admit(entry, record);
    this.#write(chainOf(entry), record);
    return entry;
  }

  /** Changes a row that is not in flight and stays pending. */
  update(old: Entry, row: Entry['row']): Entry {
    const next = { ...old, row };
    const record = this.#read(chainOf(old));
    const isHead = record.head?.sequence === old.sequence;
    if (isHead) this.#dropDue(old);
    this.rows.replace(old, next);
    return isHead ? this.#setHead(next, record.rows) : this.#admit(next, record);
  }

  /** Changes only when a pending row that is not in flight is due, and what it has behind it. */
  reschedule(old: Entry, row: Entry['row']): void {
    const isHead = this.headOf(chainOf(old))?.sequence === old.sequence;
    if (isHead) this.update(old, row);
    else this.rows.replace(old, { ...old, row });
  }

  /** Removes rows that are not in flight; each chain's head is chosen once, however many go. */
  remove(entries: readonly Entry[]): void {
    const changed = new Map<string, { chain: ChainRef; record: ChainRecord }>();
    for (const entry of entries) {
      const chain = chainOf(entry);
      const name = chainKey(chain.lane, chain.keyName).toString('hex');
      const { head, rows } = changed.get(name)?.record ?? this.#read(chain);
      const isHead = head?.sequence === entry.sequence;
      if (isHead) this.#dropDue(entry);
      this.rows.remove(entry);
      changed.set(name, { chain, record: { head: isHead ? null : head, rows: rows - 1 } });
    }
    for (const { chain, record } of changed.values()) this.#settle(chain, record);
  }

  claimHead(entry: Entry, epoch: number): void {
    const chain = chainOf(entry);
    const { rows } = this.#read(chain);
    this.#dropDue(entry);
    this.#write(chain, { head: { isClaimed: true, sequence: entry.sequence }, rows });
    const key = chainKey(chain.lane, chain.keyName);
    this.#tables.claims.put(key, claimValue(entry.sequence, epoch));
  }

  /** The claimed row is done with. */
  finish(claimed: Entry): void {
    const chain = chainOf(claimed);
    const { rows } = this.#endClaim(chain);
    this.rows.remove(claimed);
    this.#settle(chain, { head: null, rows: rows - 1 });
  }

  /** The claimed row has failed for good and leaves the chain's pending part. */
  fail(claimed: Entry, row: Entry['row']): void {
    const chain = chainOf(claimed);
    const record = this.#endClaim(chain);
    this.rows.replace(claimed, { ...claimed, row });
    this.#settle(chain, record);
  }

  /** The claimed row goes back as `row` says; the chain gets a head. */
  giveBack(claimed: Entry, row: Entry['row']): void {
    const next = { ...claimed, row };
    const chain = chainOf(claimed);
    const record = this.#endClaim(chain);
    this.rows.replace(claimed, next);
    this.#settle(chain, record);
    const now = this.#read(chain);
    if (now.head?.sequence !== claimed.sequence) this.#admit(next, now);
  }

  /** Lets the first row under an enabled rule pass a head under disabled ones. */
  chooseHeadAnew(chain: ChainRef): void {
    const { head, rows } = this.#read(chain);
    if (head === null || head.isClaimed) return;
    const { active } = this.#look(chain);
    if (active === undefined || active === head.sequence) return;
    this.#dropDue(this.rows.expect(head.sequence));
    this.#setHead(this.rows.expect(active), rows);
  }

  /** The row of the chain that delivers whatever is current, unless it is in flight or `except`. */
  findResolve(chain: ChainRef, except: number): Entry | undefined {
    const { lane, keyName } = chain;
    const { head, rows } = this.#read(chain);
    if (rows === 0) return undefined;
    const start = chainEntryKey(lane, keyName, PENDING, ORDER_LAST, 0);
    const found = Array.from(
      this.#tables.chains.keys({ start, end: endOf(start.subarray(0, -12)), limit: 3 }),
      trailingSequence,
    );
    if (found.length === 0) return undefined;
    const claimed = head?.isClaimed === true ? head.sequence : -1;
    const sequence = found.find((other) => other !== except && other !== claimed);
    return sequence === undefined ? undefined : this.rows.expect(sequence);
  }

  isActive({ row }: Pick<Entry, 'row'>): boolean {
    return this.#isActive(row.lane, row.ruleset);
  }

  /** One row in place of two that deliver whatever is current; the first one's history stays. */
  absorb(row: Entry['row'], other: Entry['row'], nextAttemptAt: number): Entry['row'] {
    return { ...this.adoptRules(row, other), ...mergedSchedule(row, other, nextAttemptAt) };
  }

  /** The row that waits behind the entry in its chain, and not only to verify; undefined: there is none. */
  overtaking(entry: Entry): Entry | undefined {
    const { row, keyName } = entry;
    if (row.order === ORDER_LAST || this.isAlone(entry)) return undefined;
    const start = chainEntryKey(row.lane, keyName, PENDING, row.order + 1, 0);
    const end = endOf(chainEntryKey(row.lane, keyName, PENDING, 0, 0).subarray(0, -12));
    const later = this.#tables.chains.keys({ start, end, limit: 2 });
    return Array.from(later, (key) => this.rows.expect(trailingSequence(key))).find(
      (other) => other.row.state === 'pending' && this.isActive(other),
    );
  }

  /** The row is for the rules of another one of its chain too, which it stands for from now on. */
  adoptRules(row: Entry['row'], { ruleset }: Entry['row']): Entry['row'] {
    const configuration = this.#configurations.ofOwner(this.#lanes.ownerOf(row.lane));
    return { ...row, ruleset: [...mergeRulesets(configuration, row.ruleset, ruleset)] };
  }

  /** Whether a later version than the entry's waits in its chain. */
  laterVersionWaits(entry: Entry): boolean {
    const { row, keyName } = entry;
    if (row.order >= ORDER_LAST - 1 || this.isAlone(entry)) return false;
    const start = chainEntryKey(row.lane, keyName, PENDING, row.order + 1, 0);
    const end = chainEntryKey(row.lane, keyName, PENDING, ORDER_LAST, 0);
    return Array.from(this.#tables.chains.keys({ start, end, limit: 1 })).length > 0;
  }

  #read({ lane, keyName }: ChainRef): ChainRecord {
    const value = this.#tables.chains.get(chainKey(lane, keyName));
    return value === undefined ? EMPTY : readChainRecord(value);
  }

  #write({ lane, keyName }: ChainRef, record: ChainRecord): void {
    this.#tables.chains.put(chainKey(lane, keyName), chainRecord(record));
  }

  /** Writes what a change left of the chain, and gives it a head where it lacks one. */
  #settle(chain: ChainRef, record: ChainRecord): void {
    if (record.rows === 0) {
      this.#tables.chains.remove(chainKey(chain.lane, chain.keyName));
      return;
    }
    const { first, active } = record.head === null ? this.#look(chain) : NOTHING_SEEN;
    const head = active ?? first;
    if (head === undefined) this.#write(chain, record);
    else this.#setHead(this.rows.expect(head), record.rows);
  }

  /** The chain as it is without the claim; not written yet. */
  #endClaim(chain: ChainRef): ChainRecord {
    this.#tables.claims.remove(chainKey(chain.lane, chain.keyName));
    return { head: null, rows: this.#read(chain).rows };
  }

  /** A pending row that the chain has; its head may be that or another. Writes the record. */
  #admit(entry: Entry, record: ChainRecord): Entry {
    const { head, rows } = record;
    if (head === null) return this.#setHead(entry, rows);
    if (!head.isClaimed) {
      const current = this.rows.expect(head.sequence);
      if (this.#precedes(entry, current)) {
        this.#dropDue(current);
        return this.#setHead(entry, rows);
      }
    }
    this.#write(chainOf(entry), record);
    return entry;
  }

  #precedes(entry: Entry, head: Entry): boolean {
    const active = this.isActive(entry);
    if (active !== this.isActive(head)) return active;
    const byOrder = entry.row.order - head.row.order;
    return byOrder === 0 ? entry.sequence < head.sequence : byOrder < 0;
  }

  /**
   * Untried rows are due at once and no row later than in an hour, whatever the clock was when they
   * were queued.
   */
  #setHead(entry: Entry, rows: number): Entry {
    const { row, sequence } = entry;
    const isUntried = row.attempts === 0 && row.state === 'pending';
    const latest = this.#now() + (isUntried ? 0 : HOUR_MS);
    const head = row.nextAttemptAt <= latest ? entry : withTime(entry, latest);
    if (head !== entry) this.rows.replace(entry, head);
    this.#tables.due.put(dueKeyOf(head), NO_VALUE);
    this.#write(chainOf(entry), { head: { isClaimed: false, sequence }, rows });
    return head;
  }

  #dropDue(entry: Entry): void {
    this.#tables.due.remove(dueKeyOf(entry));
  }

  /** The first pending row, and the first under an enabled rule. */
  #look({ lane, keyName }: ChainRef): Seen {
    const start = chainEntryKey(lane, keyName, PENDING, 0, 0);
    const end = endOf(start.subarray(0, -12));
    let first: number | undefined;
    let parked: Buffer | undefined;
    for (const { key, value } of this.#tables.chains.range({ start, end, limit: LOOK_MAX })) {
      first ??= trailingSequence(key);
      if (parked?.equals(value) === true) continue;
      if (this.#isActive(lane, readRuleset(value, 0)))
        return { first, active: trailingSequence(key) };
      parked = value;
    }
    return { first, active: undefined };
  }

  #isActive(lane: number, ruleset: readonly number[]): boolean {
    const owner = this.#lanes.ownerOf(lane);
    const configuration = this.#configurations.ofOwner(owner);
    return judgeRuleset(configuration, owner.targetId, ruleset) === 'active';
  }
}

export function chainOf({ row, keyName }: Entry): ChainRef {
  return { lane: row.lane, keyName };
}

function withTime(entry: Entry, nextAttemptAt: number): Entry {
  return { ...entry, row: { ...entry.row, nextAttemptAt } };
}

function dueKeyOf({ row, sequence }: Entry): Buffer {
  const prefix = duePrefix(rulesetKey(row.lane, row.ruleset), operationOf(row));
  return dueKey(prefix, row.nextAttemptAt, sequence);
}
