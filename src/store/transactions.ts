/**
 * The one way in which configurations and queue are written: transactions, which are rolled back where
 * the work throws, share one commit with all that are asked for meanwhile, and one flush with all that
 * wait for it (src/lmdb/commits.ts).
 *
 * The small writes of the write path and of deliveries go together into one child transaction, since a
 * commit costs more than the work inside: whatever has been asked for by the moment at which LMDB lets
 * the transaction begin. Where one of them throws, all are rolled back and each is run again by
 * itself. Patient ones wait a little for company, as each commit writes a dozen pages more: outcomes
 * of deliveries, for which nobody waits, and saves of configurations, for which 2 ms are nothing.
 *
 * lmdb resolves a commit only when its flush is done, though others may write from before the flush
 * on. So a second shared transaction may begin while the first is being flushed, once enough writes
 * wait for it: the disk and this thread work at the same time then, and few writes still share one
 * flush.
 *
 * States: open → closing (new work is refused, running work ends) → closed.
 */
import { StorageError } from '../lmdb/storage-error.ts';
import { replicationError } from '../model/errors.ts';
import type { Tables } from './tables.ts';
import type { Tx } from './tx.ts';

/** Calls back after so many milliseconds; returns the way to prevent it. */
export type After = (delayMs: number, callback: () => void) => () => void;

/** Keeps something in memory for the length of a transaction. */
export interface TransactionMemory {
  begin(): void;
  /** Writes what it kept, still inside the transaction. */
  end(): void;
  /** The transaction is rolled back. */
  abort(): void;
}

/** So many writes wait neither for company nor for the flush of the transaction before. */
const ENOUGH = 64;
/** Writes in one transaction at most: the next ones are worked on while these are flushed. */
const TOGETHER_MAX = 128;
/** Transactions between their beginning and the end of their flush. */
const IN_FLIGHT_MAX = 2;

export interface Manner {
  /** Has so long to wait for company. */
  readonly patienceMs?: number;
}

/** A write that waits for its transaction. */
interface Waiting {
  readonly run: () => void;
  readonly manner: Manner;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export const systemTimer: After = (delayMs, callback) => {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
};

export class Transactions {
  readonly #tx: Tx;
  readonly #memories: readonly TransactionMemory[];
  readonly #after: After;
  readonly #waiting: Waiting[] = [];
  /** Whether a shared transaction has been asked for that has not begun: it takes in who comes until then. */
  #isBeginning = false;
  #inFlight = 0;
  /** Set while all that wait are patient. */
  #patience: (() => void) | null = null;
  #running = 0;
  #idle: (() => void) | undefined;
  #closed: Promise<void> | undefined;

  constructor(tx: Tx, after: After = systemTimer) {
    this.#tx = tx;
    this.#after = after;
    this.#memories = [tx.counters, tx.counts, tx.lease];
  }

  /**
   * Durable when it resolves.
   *
   * @throws ApiError InsufficientStorage or ServiceUnavailable where the disk refuses
   */
  async write<T>(work: (tx: Tx) => T): Promise<T> {
    this.#begin();
    try {
      return await this.#storage.transaction(() => this.#remembering(() => work(this.#tx)));
    } catch (error) {
      throw this.#translate(error);
    } finally {
      this.#end();
    }
  }

  /** As {@link write}, together with others; `work` may run twice and keeps nothing outside the tables. */
  writeTogether<T>(work: (tx: Tx) => T, manner: Manner = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#begin();
      let result: T;
      this.#waiting.push({
        run: () => {
          result = work(this.#tx);
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
      this.#consider(manner.patienceMs ?? 0);
    });
  }

  /** Runs on the newest committed state, also of other processes, in one read transaction. */
  read<T>(work: (tx: Tx) => T): T {
    this.#assertOpen();
    this.#storage.refresh();
    return work(this.#tx);
  }

  /** Resolves when what runs has ended. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      if (this.#running === 0) resolve();
      else this.#idle = resolve;
    });
    return this.#closed;
  }

  /** Begins a shared transaction, unless there is somebody or something to wait for. */
  #consider(patienceMs: number): void {
    if (this.#isBeginning || this.#waiting.length === 0) return;
    const isEnough = this.#waiting.length >= ENOUGH;
    if (this.#inFlight >= (isEnough ? IN_FLIGHT_MAX : 1)) return;
    if (patienceMs > 0 && !isEnough) {
      this.#patience ??= this.#after(patienceMs, () => this.#endPatience());
      return;
    }
    this.#patience?.();
    this.#patience = null;
    void this.#runNext();
  }

  #endPatience(): void {
    this.#patience = null;
    this.#consider(0);
  }

  /** Never rejects. */
  async #runNext(): Promise<void> {
    const together: Waiting[] = [];
    this.#isBeginning = true;
    this.#inFlight += 1;
    await this.#run(together, () => {
      together.push(...this.#waiting.splice(0, TOGETHER_MAX));
      this.#isBeginning = false;
      // Outside of this transaction: inside, another one would become a part of it.
      queueMicrotask(() => this.#considerRest());
    });
    this.#inFlight -= 1;
    this.#considerRest();
  }

  #considerRest(): void {
    const [first] = this.#waiting;
    const isAllPatient = this.#waiting.every(({ manner }) => manner.patienceMs !== undefined);
    this.#consider(isAllPatient ? (first?.manner.patienceMs ?? 0) : 0);
  }

  /** @param begin fills `together`, as the first thing inside the transaction */
  async #run(together: Waiting[], begin: () => void): Promise<void> {
    try {
      await this.#storage.transaction(() => {
        begin();
        this.#remembering(() => {
          for (const { run } of together) run();
        });
      });
      for (const { done } of together) done();
    } catch (error) {
      // LMDB could not even let it begin.
      if (together.length === 0) begin();
      const failure = this.#translate(error);
      if (together.length === 1 || error instanceof StorageError) {
        for (const { failed } of together) failed(failure);
        return;
      }
      // Whose fault it was is found by running each alone; that one's caller gets the error.
      await Promise.all(together.map((waiting) => this.#run([waiting], () => undefined)));
    }
  }

  /** What a refused commit had in memory may never have been. */
  #translate(error: unknown): Error {
    if (!(error instanceof StorageError)) return error as Error;
    for (const memory of this.#memories) memory.abort();
    const code = error.failure === 'full' ? 'InsufficientStorage' : 'ServiceUnavailable';
    return replicationError(code, { reason: error.message, cause: error });
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

  get #storage(): Tables['storage'] {
    return this.#tx.tables.storage;
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
