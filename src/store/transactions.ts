/**
 * The one way in which configurations and queue are written: child transactions, which are rolled back where the work
 * throws (lmdb's plain ones are not), share one commit with all that are asked for meanwhile, and
 * one flush with all that wait for it.
 *
 * The small writes of the write path and of deliveries go together, as many as are asked for while
 * the one before is committed, into one child transaction: a commit costs more than the work inside.
 * Where one of them throws, all are rolled back and each is run again by itself. Patient ones wait a
 * little for company, as each commit writes a dozen pages more: outcomes of deliveries, for which nobody
 * waits, and saves of configurations, for which 2 ms are nothing.
 *
 * States: open → closing (new work is refused, running work ends) → closed.
 */
import { replicationError } from '../model/errors.ts';
import type { Tables } from './tables.ts';

/** Keeps something in memory for the length of a transaction. */
export interface TransactionMemory {
  begin(): void;
  /** Writes what it kept, still inside the transaction. */
  end(): void;
  /** The transaction is rolled back. */
  abort(): void;
}

const PATIENCE_MS = 2;
/** So many writes wait for no more company. */
const ENOUGH = 32;

export interface Manner {
  /** Waits for the flush too. */
  readonly durably?: boolean;
  /** Has a few milliseconds to wait for company. */
  readonly patiently?: boolean;
}

/** A write that waits for its transaction. */
interface Waiting {
  readonly run: () => void;
  readonly manner: Manner;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class Transactions {
  readonly #tables: Tables;
  readonly #memories: readonly TransactionMemory[];
  #waiting: Waiting[] = [];
  #isCommitting = false;
  /** Ends the wait for company, where somebody waits. */
  #hurry: (() => void) | null = null;
  #running = 0;
  #idle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(tables: Tables, memories: readonly TransactionMemory[]) {
    this.#tables = tables;
    this.#memories = [tables.counters, ...memories];
  }

  /** Committed when it resolves, durable with the next flush. */
  async write<T>(work: () => T): Promise<T> {
    this.#begin();
    try {
      return await this.#tables.root.childTransaction(() => this.#remembering(work));
    } finally {
      this.#end();
    }
  }

  /** As {@link write}, together with others; `work` may run twice and keeps nothing outside the tables. */
  writeTogether<T>(work: () => T, manner: Manner = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#begin();
      let result: T;
      if (!this.#isCommitting) void this.#commitWhileAsked();
      this.#waiting.push({
        run: () => {
          result = work();
        },
        manner,
        done: () => {
          this.#end();
          resolve(result);
        },
        failed: (error) => {
          this.#end();
          reject(error);
        },
      });
      if (this.#isEnough()) this.#hurry?.();
    });
  }

  /** Waits until what is committed now is durable. */
  async flush(): Promise<void> {
    await this.#tables.root.flushed;
  }

  /** Runs on the newest committed state, also of other processes, in one read transaction. */
  read<T>(work: () => T): T {
    this.#assertOpen();
    this.#tables.root.resetReadTxn();
    return this.#remembering(work);
  }

  /** Resolves when what runs has ended. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#running === 0) resolve();
      else this.#idle = resolve;
    });
    return this.#closed;
  }

  #isEnough(): boolean {
    return this.#waiting.length >= ENOUGH || this.#waiting.at(-1)?.manner.patiently !== true;
  }

  /** One transaction after the other: what is asked for while one is committed goes into the next. */
  async #commitWhileAsked(): Promise<void> {
    this.#isCommitting = true;
    do {
      await this.#company();
      const together = this.#waiting;
      this.#waiting = [];
      await this.#runTogether(together);
    } while (this.#waiting.length > 0);
    this.#isCommitting = false;
  }

  /** Resolves after the event loop's turn in which a write came that is not patient, or soon. */
  #company(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#hurry?.(), PATIENCE_MS);
      this.#hurry = () => {
        this.#hurry = null;
        clearTimeout(timer);
        setImmediate(resolve);
      };
      if (!this.#waiting.every(({ manner }) => manner.patiently)) this.#hurry();
    });
  }

  async #runTogether(together: readonly Waiting[]): Promise<void> {
    try {
      await this.#commit(together);
    } catch (error) {
      if (together.length === 1) return together[0]?.failed(error as Error);
      // Whose fault it was is found by running each alone; that one's caller gets the error.
      await Promise.all(together.map((waiting) => this.#runTogether([waiting])));
      return;
    }
    void this.#settle(together);
  }

  /** @throws what one of them throws; all are rolled back then */
  async #commit(together: readonly Waiting[]): Promise<void> {
    await this.#tables.root.childTransaction(() =>
      this.#remembering(() => {
        for (const { run } of together) run();
      }),
    );
  }

  /** They are committed; those that asked for it wait for the flush. Never rejects. */
  async #settle(committed: readonly Waiting[]): Promise<void> {
    for (const { manner, done } of committed) if (manner.durably !== true) done();
    const durable = committed.filter(({ manner }) => manner.durably === true);
    if (durable.length === 0) return;
    try {
      await this.flush();
      for (const { done } of durable) done();
    } catch (error) {
      for (const { failed } of durable) failed(error as Error);
    }
  }

  #remembering<T>(work: () => T): T {
    for (const memory of this.#memories) memory.begin();
    try {
      const result = work();
      for (const memory of this.#memories) memory.end();
      return result;
    } catch (error) {
      for (const memory of this.#memories) memory.abort();
      throw error;
    }
  }

  #begin(): void {
    this.#assertOpen();
    this.#running += 1;
  }

  #end(): void {
    this.#running -= 1;
    if (this.#running === 0) this.#idle?.();
  }

  #assertOpen(): void {
    if (this.#closed !== undefined) throw replicationError('ServiceUnavailable');
  }
}
