/**
 * One process of the server: an engine whose every contact with the world can be cut (it died) or
 * delayed (it stands still while the others' time goes on).
 */
import type { EngineClock } from '../../src/engine/clock.ts';
import { Engine, type UsableTarget } from '../../src/engine/engine.ts';
import type { CommittedWrite, Host, Logger } from '../../src/host.ts';
import type { Tenure } from '../../src/model/ports.ts';
import type { ClaimOutcome, QueuedRow } from '../../src/model/queue.ts';
import type { Claim, UploadState } from '../../src/model/row.ts';
import type { Work } from '../../src/model/work.ts';
import { ChainWatch } from './chain-watch.ts';
import { checkCommit, checkResolveRows } from './checkers.ts';
import type { FaultyTargets, RequestObserver } from './faulty-target.ts';
import type { Random } from './random.ts';
import type { SimulatedHost } from './simulated-host.ts';
import type { OpenedStore, SimulatedStores } from './simulated-stores.ts';
import type { UploadLedger } from './upload-ledger.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface World {
  readonly clock: VirtualClock;
  readonly stores: SimulatedStores;
  readonly host: SimulatedHost;
  readonly targets: FaultyTargets;
  readonly uploads: UploadLedger;
  readonly random: Random;
  /** What broke an invariant, one sentence each. */
  readonly violations: string[];
  readonly epochs: { newest: number };
  /** A process has stored the id of an upload, and sends its first part next. */
  readonly onUploadStored: (process: SimulatedProcess, key: string) => void;
}

const NEVER = new Promise<never>(() => undefined);
export class SimulatedProcess {
  readonly name: string;
  readonly engine: Engine;
  readonly #world: World;
  readonly #watch: ChainWatch;
  readonly #store: OpenedStore;
  #isAlive = true;
  #stallsUntil = 0;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
    this.#watch = new ChainWatch(world);
    const clock = this.#clock();
    this.#store = world.stores.open(name, (delayMs, callback) => clock.after(delayMs, callback));
    const { outbox, configurations } = this.#store;
    this.engine = new Engine({
      outbox: this.#guarded(outbox),
      configurations: this.#guarded(configurations),
      clock,
      random: () => world.random.next(),
      diskState: () => 'ok',
      host: this.#host(),
      connectTarget: (access) => world.targets.connect(access, this.#observer(chainsOf(access))),
    });
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** SIGKILL: nothing that it waited for ever comes. */
  kill(): void {
    this.#isAlive = false;
    this.#store.kill();
  }

  /** The machine has no time for it, or its disk no answer. */
  stall(forMs: number): void {
    this.#stallsUntil = this.#world.clock.monotonicMs() + forMs;
  }

  #observer(nameChain: (key: string) => string): RequestObserver {
    return {
      begin: (request) => this.#watch.begin(nameChain(request.key), request),
      saidToBeGone: (uploadId) => this.#world.uploads.saidToBeGone(uploadId),
      wasStored: (uploadId) => this.#world.uploads.wasStored(uploadId),
      isAlive: () => this.#isAlive,
    };
  }

  #clock(): EngineClock {
    const { clock } = this.#world;
    const fire = (callback: () => void): void => {
      if (!this.#isAlive) return;
      const stallMs = this.#stallsUntil - clock.monotonicMs();
      if (stallMs > 0) clock.after(stallMs, () => fire(callback));
      else callback();
    };
    return {
      nowMs: () => clock.nowMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, callback) => {
        let isSet = true;
        const cancel = clock.after(delayMs, () =>
          fire(() => {
            if (isSet) callback();
          }),
        );
        return () => {
          isSet = false;
          cancel();
        };
      },
    };
  }

  #host(): Pick<Host, 'findBucket' | 'openObject' | 'headCurrent' | 'listCurrent' | 'logger'> {
    const { host } = this.#world;
    return {
      findBucket: (name) => this.#guard(host.findBucket(name)),
      openObject: async (ref, range) => {
        const opened = await this.#guard(host.openObject(ref, range));
        if (opened !== null) this.#watch.shown(ref.bucket, opened.head);
        return opened;
      },
      headCurrent: async (bucket, key) => {
        const head = await this.#guard(host.headCurrent(bucket, key));
        if (head !== null) this.#watch.shown(bucket, head);
        return head;
      },
      listCurrent: (bucket, prefix, after) => this.#guard(host.listCurrent(bucket, prefix, after)),
      logger: this.#logger(),
    };
  }

  #logger(): Logger {
    const note = (fields: object, message: string): void => {
      if (!('err' in fields) || !this.#isAlive) return;
      const { err } = fields;
      this.#world.violations.push(`unexpected: ${message}: ${String((err as Error)?.stack)}`);
    };
    return { debug: () => undefined, info: () => undefined, warn: note, error: note };
  }

  /**
   * Its asynchronous methods are cut or delayed as the process is, and what they answer is watched.
   *
   * @param epoch of a tenure
   */
  #guarded<Port extends object>(own: Port, epoch: number | null = null): Port {
    const { clock } = this.#world;
    return new Proxy(own, {
      get: (_own, name: string) => {
        const value: unknown = Reflect.get(own, name, own);
        if (typeof value !== 'function') return value;
        const method = value as (...args: unknown[]) => unknown;
        if (name === 'mayReplicate' || name === 'mayReplicateNow') return method.bind(own);
        if (name === 'subscribe') {
          return (listener: (work: Work) => void) =>
            method.call(own, (work: Work) => {
              if (this.#isAlive) clock.after(1, () => this.#isAlive && listener(work));
            });
        }
        return async (...args: unknown[]): Promise<unknown> => {
          if (!this.#isAlive) return NEVER;
          if (name === 'settleClaim')
            this.#watch.decided(args[0] as Claim, args[1] as ClaimOutcome);
          const stallMs = this.#stallsUntil - clock.monotonicMs();
          if (stallMs > 0) await clock.sleep(stallMs);
          if (!this.#isAlive) return NEVER;
          const result = method.apply(own, args) as Promise<unknown>;
          const askedAtMs = clock.nowMs();
          if (name === 'commit') this.#watchCommit(args[1] as readonly CommittedWrite[], result);
          const answer = await this.#guard(result);
          if (name === 'acquireLease') return this.#noteTenure(answer as Tenure | null);
          if (epoch !== null) this.#noteClaims(name, args, answer, { askedAtMs, epoch });
          return answer;
        };
      },
    });
  }

  /** The acknowledgement of a write says one row for each target that the rules send it to. */
  #watchCommit(writes: readonly CommittedWrite[], result: Promise<unknown>): void {
    const [first] = writes;
    if (first === undefined) return;
    const { configurations } = this.#store;
    const before = configurations.read(first.bucket);
    const { isDiskLow, lowDiskEpisodes } = this.#world.stores;
    void result
      .then(async (rows) => {
        const { stores } = this.#world;
        // Events may have been dropped, which has a gap to show for it.
        if (isDiskLow || stores.lowDiskEpisodes > lowDiskEpisodes) return;
        const [then, now] = await Promise.all([before, configurations.read(first.bucket)]);
        if (then.revision !== now.revision) return;
        this.#world.violations.push(...checkCommit(then, writes, rows as readonly QueuedRow[]));
      })
      // Refused, as the process closes: nothing was acknowledged.
      .catch(() => undefined);
  }

  #noteTenure(tenure: Tenure | null): Tenure | null {
    if (tenure === null) return null;
    const { epoch } = tenure;
    this.#world.epochs.newest = epoch;
    return this.#guarded(tenure, epoch);
  }

  #noteClaims(
    name: string,
    args: readonly unknown[],
    result: unknown,
    { askedAtMs, epoch }: { askedAtMs: number; epoch: number },
  ): void {
    const { uploads, onUploadStored } = this.#world;
    if (name === 'claim') {
      for (const claim of result as readonly Claim[]) {
        this.#watch.claimed(claim);
        uploads.claimed(claim.row);
      }
    }
    if (name === 'storeUpload' && result === true) {
      const [{ row }, upload] = args as [Claim, UploadState | null];
      if (upload !== null) {
        uploads.stored(upload);
        onUploadStored(this, row.key);
      }
    }
    if (name === 'settleClaim') {
      const [claim, outcome] = args as [Claim, ClaimOutcome];
      this.#watch.settled(claim, result === true ? outcome : null, askedAtMs);
      this.#world.violations.push(...checkResolveRows(this.#world.stores.tables, claim.row));
    }
    this.#checkEpoch(name, result, epoch);
  }

  /** A call that was carried out belongs to the newest epoch. */
  #checkEpoch(name: string, result: unknown, epoch: number): void {
    const { epochs, violations } = this.#world;
    const isCarriedOut =
      (name === 'claim' && (result as readonly Claim[]).length > 0) ||
      (name === 'settleClaim' && result === true);
    if (isCarriedOut && epoch !== epochs.newest) {
      violations.push(`${name} of epoch ${epoch} under epoch ${epochs.newest}`);
    }
  }

  /** What a dead process asked for is never answered. */
  async #guard<T>(promise: Promise<T>): Promise<T> {
    try {
      const value = await promise;
      return this.#isAlive ? value : await NEVER;
    } catch (error) {
      if (!this.#isAlive) return NEVER;
      throw error;
    }
  }
}

/** Each bucket's destinations carry its id in their names. */
function chainsOf({ target }: UsableTarget): (key: string) => string {
  const [bucketId] = /bucket-\d+/.exec(target.targetBucket) ?? [];
  return (key) => `${bucketId}/${target.id}/${key}`;
}
