/**
 * The store that ships, on one disk in memory, as each process of the simulated machine opens it for
 * itself. The owner of the bucket has a process too, which lives until the power fails.
 */
import { Keyring } from '../../src/sealing/keyring.ts';
import { createStore, type Store } from '../../src/store/store.ts';
import { tablesIn, type Tables } from '../../src/store/tables.ts';
import type { After } from '../../src/store/transactions.ts';
import { MemoryDisk } from '../support/memory-tables.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface OpenedStore extends Store {
  /** Its process dies. */
  readonly kill: () => void;
}

export class SimulatedStores {
  readonly disk: MemoryDisk;
  readonly #clock: VirtualClock;
  readonly #keyring = new Keyring([Buffer.alloc(32, 1)]);
  readonly #alive = new Set<string>();
  /** Whether events are dropped. */
  isDiskLow = false;
  lowDiskEpisodes = 0;
  #owner: Store | null = null;
  #boots = 1;
  /** The last time that the power failed, monotonic. */
  #crashedAtMs: number | null = null;
  #nonces = 0;

  /** @param flushLater how long commits take to be durable; by default no time passes */
  constructor(clock: VirtualClock, flushLater: (flush: () => void) => void = queueMicrotask) {
    this.#clock = clock;
    this.disk = new MemoryDisk(flushLater);
  }

  /** As the bucket's owner has it, and whoever looks on. */
  get owner(): Store {
    this.#owner ??= this.open('owner');
    return this.#owner;
  }

  /** The tables as they are. */
  get tables(): Tables {
    return tablesIn(this.disk.connect());
  }

  open(instance: string, after: After = (ms, call) => this.#clock.after(ms, call)): OpenedStore {
    const storage = this.disk.connect();
    this.#alive.add(instance);
    const store = createStore({
      tables: tablesIn(storage),
      keyring: this.#keyring,
      isDiskLow: () => this.isDiskLow,
      now: () => this.#clock.nowMs(),
      uptimeMs: () => this.#clock.monotonicMs() - (this.#crashedAtMs ?? 0),
      bootedForMs: () => this.#clock.monotonicMs() - (this.#crashedAtMs ?? -Infinity),
      identity: { instance, pid: 1, startTime: '1', bootId: `boot-${this.#boots}` },
      mayBeAlive: ({ instance: other, bootId }) =>
        bootId === `boot-${this.#boots}` && this.#alive.has(other),
      newNonce: () => (this.#nonces += 1).toString(16).padStart(8, '0'),
      after,
      every: (intervalMs, look) => this.#lookAfterCommits(intervalMs, look),
    });
    const kill = (): void => {
      this.#alive.delete(instance);
      storage.kill();
    };
    return { ...store, kill };
  }

  /** @param survivors how many of the commits that were not flushed are on the disk all the same */
  crash(survivors: number): void {
    this.disk.crash(survivors);
    this.#alive.clear();
    this.#owner = null;
    this.#boots += 1;
    this.#crashedAtMs = this.#clock.monotonicMs();
  }

  /** An interval in which nothing was committed need not pass by itself. */
  #lookAfterCommits(intervalMs: number, look: () => void): () => void {
    let isDue = false;
    return this.disk.watch(() => {
      if (isDue) return;
      isDue = true;
      this.#clock.after(intervalMs, () => {
        isDue = false;
        look();
      });
    });
  }
}
