/**
 * Chains and their heads: which row of a chain is due or in flight.
 *
 * States of a chain: idle (no head), ready (its head has an entry in `due`), busy (its head is
 * claimed and has none). A chain has at most one head, and so at most one of its rows is ever due or
 * in flight. The head is kept in `chains` under the chain's own key, on the page of its entries.
 *
 * The head is the first pending row under an enabled rule, else the first pending row. It is found
 * anew when a claim ends and when the head is removed; a row that is inserted is compared with it.
 * A change of rules moves no head by itself: the sweep does.
 */
import { mergeRulesets, judgeRuleset } from '../model/match.ts';
import { ORDER_LAST } from '../model/row.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import type { LaneNumbers } from './lanes.ts';
import {
  chainEntryKey,
  chainKey,
  claimValue,
  dueKey,
  endOf,
  headValue,
  NO_VALUE,
  PENDING,
  readHead,
  readRuleset,
  rulesetKey,
  trailingSequence,
} from './outbox-keys.ts';
import type { Entry, QueueRows } from './queue-rows.ts';
import type { Tables } from './tables.ts';

const HOUR_MS = 3_600_000;
/**
 * How many rows under disabled or removed rules are looked past for one under an enabled rule. Behind
 * more of them, a row becomes the head only when it is inserted or given back.
 */
const LOOK_MAX = 1_024;

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

  headOf({ lane, keyName }: ChainRef): { isClaimed: boolean; sequence: number } | undefined {
    const value = this.#tables.chains.get(chainKey(lane, keyName));
    return value === undefined ? undefined : readHead(value);
  }

  isClaimed(entry: Entry): boolean {
    const head = this.headOf(chainOf(entry));
    return head !== undefined && head.isClaimed && head.sequence === entry.sequence;
  }

  /** Whether the chain has no other row, failed ones included. */
  isAlone({ row, keyName }: Entry): boolean {
    const start = chainEntryKey(row.lane, keyName, PENDING, 0, 0);
    const end = endOf(chainKey(row.lane, keyName));
    return Array.from(this.#tables.chains.getKeys({ start, end, limit: 2 })).length === 1;
  }

  /** Adds a row, failed ones too; a pending one may become the head. */
  insert(entry: Entry): Entry {
    this.rows.add(entry);
    return entry.row.state === 'pending' ? this.#admit(entry) : entry;
  }

  /** Changes a row that is not in flight and stays pending. */
  update(old: Entry, row: Entry['row']): Entry {
    const next = { ...old, row };
    const head = this.headOf(chainOf(old));
    const isHead = head?.sequence === old.sequence;
    if (isHead) this.#dropHead(old);
    this.rows.replace(old, next);
    return isHead ? this.#setHead(next) : this.#admit(next);
  }

  /** Changes only when a pending row that is not in flight is due, and what it has behind it. */
  reschedule(old: Entry, row: Entry['row']): void {
    const isHead = this.headOf(chainOf(old))?.sequence === old.sequence;
    if (isHead) this.update(old, row);
    else this.rows.replace(old, { ...old, row });
  }

  /** Removes rows that are not in flight; each chain's head is chosen once, however many go. */
  remove(entries: readonly Entry[]): void {
    const headless = new Map<string, ChainRef>();
    for (const entry of entries) {
      const chain = chainOf(entry);
      if (this.headOf(chain)?.sequence === entry.sequence) {
        this.#dropHead(entry);
        headless.set(chainKey(chain.lane, chain.keyName).toString('hex'), chain);
      }
      this.rows.remove(entry);
    }
    for (const chain of headless.values()) this.chooseHead(chain);
  }

  claimHead(entry: Entry, epoch: number): void {
    const key = chainKey(entry.row.lane, entry.keyName);
    this.#dropHead(entry);
    this.#tables.chains.putSync(key, headValue(true, entry.sequence));
    this.#tables.claims.putSync(key, claimValue(entry.sequence, epoch));
  }

  /** The chain has no head until {@link chooseHead}. */
  endClaim({ lane, keyName }: ChainRef): void {
    const key = chainKey(lane, keyName);
    this.#tables.chains.removeSync(key);
    this.#tables.claims.removeSync(key);
  }

  /** A row whose claim has ended goes back as `row` says; the chain gets a head. */
  giveBack(old: Entry, row: Entry['row']): void {
    const next = { ...old, row };
    this.rows.replace(old, next);
    this.chooseHead(chainOf(old));
    if (this.headOf(chainOf(old))?.sequence !== old.sequence) this.#admit(next);
  }

  /** For a chain that has no head. */
  chooseHead(chain: ChainRef): void {
    const { first, active } = this.#look(chain);
    const head = active ?? first;
    if (head !== undefined) this.#setHead(this.rows.expect(head));
  }

  /** Lets the first row under an enabled rule pass a head under disabled ones. */
  chooseHeadAnew(chain: ChainRef): void {
    const head = this.headOf(chain);
    if (head === undefined || head.isClaimed) return;
    const { active } = this.#look(chain);
    if (active === undefined || active === head.sequence) return;
    this.#dropHead(this.rows.expect(head.sequence));
    this.#setHead(this.rows.expect(active));
  }

  /** The row of the chain that delivers whatever is current, unless it is in flight or `except`. */
  findResolve(chain: ChainRef, except: number): Entry | undefined {
    const { lane, keyName } = chain;
    const start = chainEntryKey(lane, keyName, PENDING, ORDER_LAST, 0);
    const found = Array.from(
      this.#tables.chains.getKeys({ start, end: endOf(start.subarray(0, -12)), limit: 3 }),
      trailingSequence,
    );
    if (found.length === 0) return undefined;
    const head = this.headOf(chain);
    const claimed = head?.isClaimed === true ? head.sequence : -1;
    const sequence = found.find((other) => other !== except && other !== claimed);
    return sequence === undefined ? undefined : this.rows.expect(sequence);
  }

  isActive({ row }: Pick<Entry, 'row'>): boolean {
    return this.#isActive(row.lane, row.ruleset);
  }

  /** One row in place of two that deliver whatever is current; the first one's history stays. */
  absorb(row: Entry['row'], other: Entry['row'], nextAttemptAt: number): Entry['row'] {
    const configuration = this.#configurations.ofOwner(this.#lanes.ownerOf(row.lane));
    const verifyAt =
      row.verifyAt === null || other.verifyAt === null
        ? (row.verifyAt ?? other.verifyAt)
        : Math.max(row.verifyAt, other.verifyAt);
    return {
      ...row,
      ruleset: [...mergeRulesets(configuration, row.ruleset, other.ruleset)],
      compareFirst: row.compareFirst || other.compareFirst,
      createdAt: Math.min(row.createdAt, other.createdAt),
      verifyAt,
      nextAttemptAt: Math.max(nextAttemptAt, verifyAt ?? 0),
    };
  }

  /** A pending row that was just added; the chain's head may be it or another. */
  #admit(entry: Entry): Entry {
    const head = this.headOf(chainOf(entry));
    if (head === undefined) return this.#setHead(entry);
    if (head.isClaimed) return entry;
    const current = this.rows.expect(head.sequence);
    if (!this.#precedes(entry, current)) return entry;
    this.#dropHead(current);
    return this.#setHead(entry);
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
  #setHead(entry: Entry): Entry {
    const { row, sequence, keyName } = entry;
    const isUntried = row.attempts === 0 && row.verifyAt === null;
    const latest = this.#now() + (isUntried ? 0 : HOUR_MS);
    const head = row.nextAttemptAt <= latest ? entry : withTime(entry, latest);
    if (head !== entry) this.rows.replace(entry, head);
    const key = dueKeyOf(head);
    this.#tables.due.putSync(key, NO_VALUE);
    this.#tables.chains.putSync(chainKey(row.lane, keyName), headValue(false, sequence));
    return head;
  }

  #dropHead(entry: Entry): void {
    this.#tables.due.removeSync(dueKeyOf(entry));
    this.#tables.chains.removeSync(chainKey(entry.row.lane, entry.keyName));
  }

  /** The first pending row, and the first under an enabled rule. */
  #look({ lane, keyName }: ChainRef): { first: number | undefined; active: number | undefined } {
    const start = chainEntryKey(lane, keyName, PENDING, 0, 0);
    const end = endOf(start.subarray(0, -12));
    let first: number | undefined;
    let parked: Buffer | undefined;
    for (const { key, value } of this.#tables.chains.getRange({ start, end, limit: LOOK_MAX })) {
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
  return dueKey(rulesetKey(row.lane, row.ruleset), row.nextAttemptAt, sequence);
}
