/** One opened outbox with its configurations, whatever it is kept in, and the world around it. */
import { randomBytes } from 'node:crypto';
import type { ConfigurationStore, Outbox } from '../../src/model/ports.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { CommitFeed } from '../../src/store/commit-feed.ts';
import { LmdbConfigurationStore } from '../../src/store/configuration-store.ts';
import { LmdbOutbox } from '../../src/store/outbox.ts';
import type { ProcessIdentity } from '../../src/store/process-identity.ts';
import { openTables, type Tables } from '../../src/store/tables.ts';
import { MemoryOutbox } from './memory-outbox.ts';
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
  readonly tables: Tables;
  readonly dataDirectory: string;
}

export const openLmdbOutbox: OpenOutbox<LmdbFixture> = async (t, options = {}) => {
  const dataDirectory = temporaryDirectory(t);
  const tables = await openTables(dataDirectory);
  const keyring = new Keyring([randomBytes(32)]);
  const world = newWorld();
  const now = (): number => world.now;
  const feed = new CommitFeed(tables, 5);
  // As the store in memory makes them, so that the two can be compared.
  let changes = 0;
  const newNonce = (): string => (changes += 1).toString(16).padStart(8, '0');
  const configurations = new LmdbConfigurationStore(tables, keyring, { feed, now, newNonce });
  const dead = new Set<string>();
  const opened = new Map<string, LmdbOutbox>();
  const open = (name: string): LmdbOutbox => {
    const identity: ProcessIdentity = { instance: name, pid: 1, startTime: '1', bootId: 'boot' };
    const outbox =
      opened.get(name) ??
      new LmdbOutbox({
        tables,
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
    tables,
    dataDirectory,
    asProcess: open,
    kill: (name) => dead.add(name),
  };
};

export const openMemoryOutbox: OpenOutbox = async (t, options = {}) => {
  const world = newWorld();
  const store = new MemoryOutbox({
    now: () => world.now,
    uptimeMs: () => world.uptimeMs,
    bootedForMs: () => world.bootedForMs,
    isDiskLow: () => world.isDiskLow,
    ...options,
  });
  t.after(() => store.close());
  return {
    configurations: store,
    outbox: store.asProcess('self'),
    world,
    asProcess: (name) => store.asProcess(name),
    kill: (name) => store.kill(name),
  };
};
