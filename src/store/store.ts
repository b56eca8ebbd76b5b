/**
 * The store, wired together: configurations and queue on the same tables. Their writes share
 * transactions, and what a process remembers of the tables it remembers once.
 */
import { LEASE_MS } from '../model/lease.ts';
import type { Keyring } from '../sealing/keyring.ts';
import { bootNumberOf, timeSinceBoot } from './boot.ts';
import { CommitFeed, systemInterval, type Every } from './commit-feed.ts';
import { StoredConfigurations } from './configuration-store.ts';
import { Lease } from './lease.ts';
import { createParts } from './outbox-parts.ts';
import { StoredOutbox } from './outbox.ts';
import {
  createIdentity,
  mayBeAlive,
  retireIdentity,
  type ProcessIdentity,
} from './process-identity.ts';
import type { Tables } from './tables.ts';
import { systemTimer, Transactions, type After } from './transactions.ts';

const BACKLOG_MAX = 1_000_000;
const FEED_INTERVAL_MS = 500;

export interface StoreOptions {
  readonly tables: Tables;
  readonly keyring: Keyring;
  /** Below half of the limit at which puts are refused: events are dropped then, with a gap; by default never. */
  readonly isDiskLow?: () => boolean;
  /** Milliseconds since the epoch; by default the system's clock. */
  readonly now?: () => number;
  /** Since the server started, by a clock that does not jump; by default since the store was made. */
  readonly uptimeMs?: () => number;
  /** Since the operating system started; by default as it says itself. */
  readonly bootedForMs?: () => number;
  /** Rows a bucket, 1,000,000 by default. */
  readonly backlogMax?: number;
  readonly leaseMs?: number;
  /** Who this process is, and whether another may still be alive; by default as /proc says. */
  readonly identity?: ProcessIdentity;
  readonly mayBeAlive?: (process: ProcessIdentity) => boolean;
  /** Eight random hex digits; by default the system's. */
  readonly newNonce?: () => string;
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
  const { tables, keyring, now = Date.now } = options;
  const started = performance.now();
  const identity = options.identity ?? createIdentity();
  const feed = new CommitFeed(
    tables,
    options.feedIntervalMs ?? FEED_INTERVAL_MS,
    options.every ?? systemInterval,
  );
  const parts = createParts({
    tables,
    keyring,
    now,
    isDiskLow: options.isDiskLow ?? (() => false),
    backlogMax: options.backlogMax ?? BACKLOG_MAX,
    boot: bootNumberOf(identity.bootId),
    bootedForMs: options.bootedForMs ?? timeSinceBoot(),
  });
  const lease = new Lease(tables);
  const transactions = new Transactions(
    tables,
    [parts.counts, lease],
    options.after ?? systemTimer,
  );
  const shared = { tables, keyring, feed, transactions, now };
  const { newNonce } = options;
  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await transactions.close();
    feed.close();
    retireIdentity(identity);
    await tables.storage.close();
  };
  return {
    configurations: new StoredConfigurations({
      ...shared,
      ...(newNonce === undefined ? {} : { newNonce }),
    }),
    outbox: new StoredOutbox({
      ...shared,
      parts,
      lease,
      identity,
      mayBeAlive: options.mayBeAlive ?? mayBeAlive,
      leaseMs: options.leaseMs ?? LEASE_MS,
      uptimeMs: options.uptimeMs ?? (() => performance.now() - started),
    }),
    close: () => (closed ??= close()),
  };
}
