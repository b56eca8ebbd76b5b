/** One opened outbox with its configurations, whatever it is kept in, and the world around it. */
import { randomBytes } from 'node:crypto';
import type { ConfigurationStore, Outbox } from '../../src/model/ports.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { LmdbStorage } from '../../src/store/lmdb-storage.ts';
import { createStore, type Store } from '../../src/store/store.ts';
import { Transactions } from '../../src/store/transactions.ts';
import { createTx } from '../../src/store/tx.ts';
import { openTables, tablesIn, type LmdbTables, type Tables } from '../../src/store/tables.ts';
import { MemoryDisk } from './memory-tables.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** What the outbox sees of its surroundings; tests change it as they like. */
export interface World {
  now: number;
  uptimeMs: number;
  bootedForMs: number;
  isDiskLow: boolean;
}

export interface OutboxFixture {
  readonly configurations: ConfigurationStore;
  readonly outbox: Outbox;
  readonly world: World;
  readonly keyring: Keyring;
  readonly close: () => Promise<void>;
  /** The outbox as another process of the same server has it. */
  asProcess(name: string): Outbox;
  /** The same, with its configurations. */
  readonly another: (name: string) => Pick<Store, 'configurations' | 'outbox'>;
  /** From now on that process counts as dead; `self` is the one that `outbox` belongs to. */
  kill(name: string): void;
}

export interface FixtureOptions {
  readonly backlogMax?: number;
  readonly keyring?: Keyring;
  /** Of LMDB; by default one of its own. */
  readonly dataDirectory?: string;
}

interface Cleanup {
  after(cleanup: () => void | Promise<void>): void;
}

export type OpenOutbox<Fixture extends OutboxFixture = OutboxFixture> = (
  t: Cleanup,
  options?: FixtureOptions,
) => Promise<Fixture>;

export const START = 1_700_000_000_000;

function newWorld(): World {
  return { now: START, uptimeMs: 0, bootedForMs: Infinity, isDiskLow: false };
}

/** Transactions of their own on tables that nobody else writes. */
export function transactionsOn(tables: Tables): Transactions {
  return new Transactions(createTx({ tables, keyring: new Keyring([randomBytes(32)]) }));
}

export interface LmdbFixture extends OutboxFixture {
  readonly tables: LmdbTables;
  readonly dataDirectory: string;
}

export interface MemoryFixture extends OutboxFixture {
  readonly tables: Tables;
  readonly disk: MemoryDisk;
}

export const openLmdbOutbox: OpenOutbox<LmdbFixture> = async (t, options = {}) => {
  const dataDirectory = options.dataDirectory ?? temporaryDirectory(t);
  const tables = await openTables(dataDirectory);
  const { root, commits } = tables;
  const openAgain = (): Tables =>
    tablesIn(new LmdbStorage({ root, commits, close: async () => undefined }));
  return { ...openFixture(t, tables, openAgain, options), tables, dataDirectory };
};

export const openMemoryOutbox: OpenOutbox<MemoryFixture> = async (t, options = {}) => {
  const disk = new MemoryDisk();
  const openAgain = (): Tables => tablesIn(disk.connect());
  const tables = openAgain();
  return { ...openFixture(t, tables, openAgain, options), tables, disk };
};

/** @param openAgain the tables as another process has them, and what it remembers of them */
function openFixture(
  t: Cleanup,
  tables: Tables,
  openAgain: () => Tables,
  { keyring = new Keyring([randomBytes(32)]), backlogMax = 1_000_000 }: FixtureOptions,
): OutboxFixture {
  const world = newWorld();
  const dead = new Set<string>();
  const opened = new Map<string, Store>();
  const open = (name: string): Store => {
    const known = opened.get(name);
    if (known !== undefined) return known;
    const store = createStore({
      tables: name === 'self' ? tables : openAgain(),
      keyring,
      backlogMax,
      now: () => world.now,
      identity: { instance: name, pid: 1, startTime: '1', bootId: 'boot' },
      isDiskLow: () => world.isDiskLow,
      uptimeMs: () => world.uptimeMs,
      bootedForMs: () => world.bootedForMs,
      mayBeAlive: ({ instance }) => !dead.has(instance),
      feedIntervalMs: 5,
    });
    opened.set(name, store);
    return store;
  };
  const { configurations, outbox, close } = open('self');
  t.after(async () => {
    for (const [name, store] of opened) if (name !== 'self') await store.close();
    await close();
  });
  return {
    configurations,
    outbox,
    world,
    keyring,
    close,
    asProcess: (name) => open(name).outbox,
    another: open,
    kill: (name) => dead.add(name),
  };
}
