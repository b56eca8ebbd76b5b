/** One opened outbox with its configurations, whatever it is kept in, and the world around it. */
import { randomBytes } from 'node:crypto';
import type { ConfigurationStore, Outbox } from '../../src/model/ports.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { CommitFeed } from '../../src/store/commit-feed.ts';
import { LmdbConfigurationStore } from '../../src/store/configuration-store.ts';
import { LmdbOutbox } from '../../src/store/outbox.ts';
import type { ProcessIdentity } from '../../src/store/process-identity.ts';
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
  /** The outbox as another process of the same server has it. */
  asProcess(name: string): Outbox;
  /** From now on that process counts as dead; `self` is the one that `outbox` belongs to. */
  kill(name: string): void;
}

export interface FixtureOptions {
  readonly backlogMax?: number;
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

export interface LmdbFixture extends OutboxFixture {
  readonly tables: LmdbTables;
  readonly dataDirectory: string;
}

export interface MemoryFixture extends OutboxFixture {
  readonly tables: Tables;
  readonly disk: MemoryDisk;
}

export const openLmdbOutbox: OpenOutbox<LmdbFixture> = async (t, options = {}) => {
  const dataDirectory = temporaryDirectory(t);
  const tables = await openTables(dataDirectory);
  return { ...openOutbox(t, tables, () => tables, options), tables, dataDirectory };
};

/** Each process has the tables, and what it remembers of them, for itself. */
export const openMemoryOutbox: OpenOutbox<MemoryFixture> = async (t, options = {}) => {
  const disk = new MemoryDisk();
  const tables = tablesIn(disk.connect());
  return { ...openOutbox(t, tables, () => tablesIn(disk.connect()), options), tables, disk };
};

/** @param open the tables as another process has them */
function openOutbox(
  t: Cleanup,
  tables: Tables,
  openAnew: () => Tables,
  options: FixtureOptions,
): OutboxFixture {
  const keyring = new Keyring([randomBytes(32)]);
  const world = newWorld();
  const now = (): number => world.now;
  const feed = new CommitFeed(tables, 5);
  const configurations = new LmdbConfigurationStore(tables, keyring, { feed, now });
  const dead = new Set<string>();
  const opened = new Map<string, LmdbOutbox>();
  const open = (name: string): LmdbOutbox => {
    const identity: ProcessIdentity = { instance: name, pid: 1, startTime: '1', bootId: 'boot' };
    const outbox =
      opened.get(name) ??
      new LmdbOutbox({
        tables: name === 'self' ? tables : openAnew(),
        keyring,
        feed,
        now,
        identity,
        isDiskLow: () => world.isDiskLow,
        uptimeMs: () => world.uptimeMs,
        bootedForMs: () => world.bootedForMs,
        mayBeAlive: ({ instance }) => !dead.has(instance),
        ...options,
      });
    opened.set(name, outbox);
    return outbox;
  };
  t.after(async () => {
    for (const outbox of opened.values()) await outbox.close();
    await configurations.close();
  });
  return {
    configurations,
    outbox: open('self'),
    world,
    asProcess: open,
    kill: (name) => dead.add(name),
  };
}
