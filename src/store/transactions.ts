/**
 * The one way in which the outbox writes: child transactions, which are rolled back where the work
 * throws (lmdb's plain ones are not), share one commit with all that are asked for meanwhile, and
 * one flush with all that wait for it.
 *
 * The small writes of the write path and of deliveries go together, as many as are asked for in one
 * turn of the event loop, into one child transaction: beginning one costs about as much as the
 * work inside. Where one of them throws, all are rolled back and each is run again by itself.
 *
 * States: open → closing (new work is refused, running work ends) → closed.
 */
import { replicationError } from '../model/errors.ts';
import type { Tables } from './tables.ts';

/** A write that waits for the end of the event loop's turn. */
interface Waiting {
  readonly run: () => void;
  readonly done: () => void;
  readonly alone: () => void;
}

export class Transactions {
  readonly #tables: Tables;
  #waiting: Waiting[] = [];
  #running = 0;
  #idle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** Committed when it resolves, durable with the next flush. */
  async write<T>(work: () => T): Promise<T> {
    this.#begin();
    try {
      return await this.#tables.root.childTransaction(work);
    } finally {
      this.#end();
    }
  }

  /** As {@link write}, together with others; `work` may run twice and keeps nothing outside the tables. */
  async writeTogether<T>(work: () => T): Promise<T> {
    this.#begin();
    try {
      return await this.#enqueue(work);
    } finally {
      this.#end();
    }
  }

  /** Durable when it resolves. */
  async writeDurably<T>(work: () => T): Promise<T> {
    const result = await this.writeTogether(work);
    await this.#tables.root.flushed;
    return result;
  }

  /** Waits until what is committed now is durable. */
  async flush(): Promise<void> {
    await this.#tables.root.flushed;
  }

  /** Runs on the newest committed state, also of other processes, in one read transaction. */
  read<T>(work: () => T): T {
    this.#assertOpen();
    this.#tables.root.resetReadTxn();
    return work();
  }

  /** Resolves when what runs has ended. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#running === 0) resolve();
      else this.#idle = resolve;
    });
    return this.#closed;
  }

  #enqueue<T>(work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T;
      if (this.#waiting.length === 0) setImmediate(() => void this.#runTogether());
      this.#waiting.push({
        run: () => {
          result = work();
        },
        done: () => resolve(result),
        alone: () => void this.#tables.root.childTransaction(work).then(resolve, reject),
      });
    });
  }

  async #runTogether(): Promise<void> {
    const together = this.#waiting;
    this.#waiting = [];
    try {
      await this.#tables.root.childTransaction(() => {
        for (const { run } of together) run();
      });
    } catch {
      // Whose fault it was is found by running each alone; that one's caller gets the error.
      for (const { alone } of together) alone();
      return;
    }
    for (const { done } of together) done();
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
