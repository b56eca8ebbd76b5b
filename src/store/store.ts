/**
 * The store, wired together: configurations and queue on the same tables. Their writes share
 * transactions, and what a process remembers of the tables it remembers once.
 */
import { CommitFeed, systemInterval, type Every } from './commit-feed.ts';
import { StoredConfigurations } from './configuration-store.ts';
import { StoredOutbox } from './outbox.ts';
import { retireIdentity } from './process-identity.ts';
import { systemTimer, Transactions, type After } from './transactions.ts';
import { createTx, type TxOptions } from './tx.ts';

const FEED_INTERVAL_MS = 500;

export interface StoreOptions extends TxOptions {
  /** How often to look for the commits of other processes, 500 by default. */
  readonly feedIntervalMs?: number;
  /** Timers; by default the system's. */
  readonly after?: After;
  readonly every?: Every;
}

export interface Store {
  readonly configurations: StoredConfigurations;
  readonly outbox: StoredOutbox;
  /** Refuses what comes, waits for what runs, then lets go of the tables. Idempotent. */
  readonly close: () => Promise<void>;
}

export function createStore(options: StoreOptions): Store {
  const { tables } = options;
  const tx = createTx(options);
  const feed = new CommitFeed(
    tables,
    options.feedIntervalMs ?? FEED_INTERVAL_MS,
    options.every ?? systemInterval,
  );
  const transactions = new Transactions(tx, options.after ?? systemTimer);
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await transactions.close();
    feed.close();
    retireIdentity(tx.identity);
    await tables.storage.close();
  };
  return {
    configurations: new StoredConfigurations({ tables, feed, transactions }),
    outbox: new StoredOutbox(transactions, feed),
    close: () => (closed ??= close()),
  };
}
