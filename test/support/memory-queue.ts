/**
 * The rows of a queue in plain maps, for the in-memory outbox: everything is found by looking at
 * every row, so that it can be wrong in other ways than the store in LMDB.
 */
import { mergedSchedule } from '../../src/model/doubt.ts';
import { ORDER_LAST, type LaneRef, type Row } from '../../src/model/row.ts';

export const HOUR_MS = 3_600_000;

export interface MemoryRow extends Row {
  /** Which start of the operating system it was written in. */
  readonly boot: number;
}

export interface MemoryClaim {
  readonly sequence: number;
  readonly epoch: number;
}

export type IsActive = (row: Row) => boolean;

export function chainOf({ lane, key }: Pick<Row, 'lane' | 'key'>): string {
  return JSON.stringify([lane.bucket.id, lane.targetId, key]);
}

export function isSameLane(a: LaneRef, b: LaneRef): boolean {
  return a.bucket.id === b.bucket.id && a.targetId === b.targetId;
}

export function byOrder(a: Row, b: Row): number {
  return a.order - b.order || a.sequence - b.sequence;
}

export class MemoryQueue {
  rows = new Map<number, MemoryRow>();
  /** By chain: the one row of it that may be claimed. */
  heads = new Map<string, number>();
  /** By chain. */
  claims = new Map<string, MemoryClaim>();
  readonly #isActive: IsActive;
  readonly #now: () => number;

  constructor(isActive: IsActive, now: () => number) {
    this.#isActive = isActive;
    this.#now = now;
  }

  copy(): MemoryQueue {
    const copy = new MemoryQueue(this.#isActive, this.#now);
    copy.rows = new Map(this.rows);
    copy.heads = new Map(this.heads);
    copy.claims = new Map(this.claims);
    return copy;
  }

  chain(of: Pick<Row, 'lane' | 'key'>): MemoryRow[] {
    const name = chainOf(of);
    return [...this.rows.values()].filter((row) => chainOf(row) === name).sort(byOrder);
  }

  isClaimed(row: Row): boolean {
    return this.claims.get(chainOf(row))?.sequence === row.sequence;
  }

  pendingOf(of: Pick<Row, 'lane' | 'key'>): MemoryRow[] {
    return this.chain(of).filter((row) => row.state !== 'failed' && !this.isClaimed(row));
  }

  /** Enters a row into its chain; it may take the place of the head. */
  insert(row: MemoryRow): MemoryRow {
    this.rows.set(row.sequence, row);
    const chain = chainOf(row);
    if (this.claims.has(chain)) return row;
    const head = this.rows.get(this.heads.get(chain) ?? -1);
    if (head === undefined || head.sequence === row.sequence || this.#precedes(row, head)) {
      return this.#promote(row);
    }
    return row;
  }

  /** The unclaimed row of the chain that delivers whatever is current, other than `row` itself. */
  otherResolve(row: Pick<MemoryRow, 'lane' | 'key' | 'sequence'>): MemoryRow | undefined {
    return this.pendingOf(row).find(
      (other) => other.operation === 'resolve' && other.sequence !== row.sequence,
    );
  }

  remove(row: Row): void {
    this.rows.delete(row.sequence);
    const chain = chainOf(row);
    if (this.heads.get(chain) === row.sequence) this.chooseHead(row);
  }

  /** The first pending row under an enabled rule, or else the first one. */
  chooseHead(of: Pick<Row, 'lane' | 'key'>): void {
    const chain = chainOf(of);
    this.heads.delete(chain);
    if (this.claims.has(chain)) return;
    const pending = this.pendingOf(of);
    const head = pending.find((row) => this.#isActive(row)) ?? pending[0];
    if (head !== undefined) this.#promote(head);
  }

  /** Heads under disabled rules let the first row under an enabled one pass. */
  chooseHeadsAnew(): void {
    for (const sequence of [...this.heads.values()]) {
      const head = this.rows.get(sequence);
      if (head !== undefined && !this.#isActive(head)) this.chooseHead(head);
    }
  }

  #precedes(row: MemoryRow, head: MemoryRow): boolean {
    const active = this.#isActive(row);
    if (active !== this.#isActive(head)) return active;
    return byOrder(row, head) < 0;
  }

  #promote(row: MemoryRow): MemoryRow {
    const untried = row.attempts === 0 && row.state === 'pending';
    const latest = this.#now() + (untried ? 0 : HOUR_MS);
    const head = { ...row, nextAttemptAt: Math.min(row.nextAttemptAt, latest) };
    this.rows.set(row.sequence, head);
    this.heads.set(chainOf(row), row.sequence);
    return head;
  }
}

/** One row in place of two that both deliver whatever is current; the first one's history stays. */
export function absorb(
  row: MemoryRow,
  other: MemoryRow,
  nextAttemptAt: number,
  ruleset: readonly number[],
): MemoryRow {
  return { ...row, ruleset, ...mergedSchedule(row, other, nextAttemptAt) };
}

/** The row as one that delivers whatever is current. */
export function asResolve(row: MemoryRow): MemoryRow {
  return { ...row, operation: 'resolve', versionId: null, order: ORDER_LAST };
}
