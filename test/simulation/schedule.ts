/**
 * One schedule: a server with one or two processes, writes, faults of every kind and edits of the
 * configuration, all drawn from one seed; then the faults end, time runs until nothing is queued, and
 * the checkers look.
 */
import type { RowFilter } from '../../src/model/queue.ts';
import type { Row } from '../../src/model/row.ts';
import { uuid } from '../support/replication-bodies.ts';
import { checkAll, checkStore } from './checkers.ts';
import { Configurator } from './configurator.ts';
import { drawWeights, NO_FAULTS } from './faults.ts';
import { FaultyTargets } from './faulty-target.ts';
import { Random } from './random.ts';
import { Rarities, type LowDisk, type Standstill } from './rarities.ts';
import { SimulatedHost, type Change } from './simulated-host.ts';
import { SimulatedProcess, type World } from './simulated-process.ts';
import { SimulatedWrites } from './simulated-writes.ts';
import { SimulatedStores } from './simulated-stores.ts';
import { Traits } from './traits.ts';
import { UploadLedger } from './upload-ledger.ts';
import { KeptWeek } from './kept-week.ts';
import { QuietWatch } from './quiet-watch.ts';
import { VirtualClock } from './virtual-clock.ts';

const KEYS = ['a1', 'a2', 'b1', 'b2'];
const ACTIONS_MAX = 40;
/** Longer than any row waits. */
const QUIET_MS = 2 * 3_600_000;
const QUIET_LIMIT_MS = 12 * 3_600_000;
const LOOK_INTERVAL_MS = 2_000;
const DAY_MS = 86_400_000;
/** Actions between two looks at the tables. */
const LOOK_EVERY = 8;

type Action =
  | 'write'
  | 'edit'
  | 'kill'
  | 'crash'
  | 'stall'
  | 'jump'
  | 'close'
  | 'start'
  | 'recreate'
  | 'ambush';

const ACTIONS: Readonly<Record<Action, number>> = {
  write: 60,
  edit: 14,
  kill: 4,
  crash: 3,
  stall: 3,
  jump: 3,
  close: 2,
  start: 3,
  recreate: 0.5,
  ambush: 5,
};

const CHANGES: Readonly<Record<Change, number>> = {
  put: 10,
  delete: 3,
  'remove-version': 2,
  tag: 2,
  replica: 1,
};

export interface ScheduleResult {
  readonly violations: readonly string[];
  readonly requests: number;
  /** Uploads whose ids were stored. */
  readonly uploads: number;
  /** Of virtual time. */
  readonly tookMs: number;
}

export async function runSchedule(seed: number): Promise<ScheduleResult> {
  return new Schedule(seed).run();
}

class Schedule {
  readonly #random: Random;
  readonly #clock = new VirtualClock();
  readonly #host = new SimulatedHost();
  readonly #stores: SimulatedStores;
  readonly #targets: FaultyTargets;
  readonly #uploads = new UploadLedger();
  readonly #rarities: Rarities;
  readonly #world: World;
  readonly #configurator: Configurator;
  readonly #writes: SimulatedWrites;
  #processes: SimulatedProcess[] = [];
  #started = 0;
  #isMended = false;
  #isQuiet = false;
  #uploadsStored = 0;
  #week: KeptWeek | null = null;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#rarities = new Rarities(seed);
    this.#host.isReadFailing = () => this.#rarities.drawFailingRead();
    this.#stores = new SimulatedStores(
      this.#clock,
      (flush) => void this.#clock.after(this.#random.between(1, 20), flush),
    );
    this.#targets = new FaultyTargets(this.#clock, this.#random.fork(), drawWeights(this.#random));
    this.#targets.areSilent = this.#rarities.areTargetsSilent;
    this.#targets.traits = new Traits(seed);
    this.#world = {
      clock: this.#clock,
      stores: this.#stores,
      host: this.#host,
      targets: this.#targets,
      uploads: this.#uploads,
      random: this.#random.fork(),
      violations: [],
      epochs: { newest: 0 },
      onUploadStored: (process, key) => this.#uploadStored(process, key),
    };
    this.#configurator = new Configurator(this.#world);
    this.#writes = new SimulatedWrites(this.#world, this.#random, this.#rarities);
  }

  async run(): Promise<ScheduleResult> {
    await this.#finish(this.#configurator.begin());
    this.#startProcess();
    const actions = this.#random.between(5, ACTIONS_MAX);
    for (let action = 0; action < actions; action++) {
      this.#act();
      if (action % LOOK_EVERY === 0) await this.#lookAtStore();
      const standstill = this.#rarities.drawStandstill();
      if (standstill !== null) this.#standStill(standstill);
      const lowDisk = this.#rarities.drawLowDisk();
      if (lowDisk !== null) void this.#runOutOfDisk(lowDisk);
      await this.#clock.run(this.#random.pick([0, 5, 50, 500, 3_000, 20_000, 70_000]));
    }
    const lastLowDisk = this.#rarities.drawLastLowDisk();
    if (lastLowDisk !== null) await this.#finish(this.#runOutOfDisk(lastLowDisk));
    const weekIsShortOfMs = this.#rarities.drawWeek();
    if (weekIsShortOfMs !== null) await this.#beOffForAWeek(weekIsShortOfMs);
    if (this.#rarities.endsQuietly) await this.#waitQuietly();
    await this.#lookAtStore();
    await this.#mend();
    this.#watchQueue();
    await this.#clock.run(QUIET_LIMIT_MS, () => this.#isQuiet);
    await this.#lookAtStore();
    return {
      violations: [...this.#world.violations, ...(await this.#check())],
      requests: this.#targets.requests,
      uploads: this.#uploadsStored,
      tookMs: this.#clock.monotonicMs(),
    };
  }

  #act(): void {
    const process = this.#processes.length === 0 ? null : this.#random.pick(this.#processes);
    switch (this.#random.weighted(ACTIONS)) {
      case 'write':
        return this.#writeSome(process);
      case 'edit':
        return void this.#configurator.edit();
      case 'kill':
        return this.#end(process, () => process?.kill());
      case 'crash':
        return this.#crash();
      case 'stall':
        return process?.stall(this.#random.between(1_000, 40_000));
      case 'jump':
        return this.#clock.jump(this.#random.pick([-2 * DAY_MS, -30_000, 4_000, 30_000, DAY_MS]));
      case 'close':
        return this.#end(process, () => void process?.engine.close());
      case 'start':
        return this.#startProcess();
      case 'recreate':
        return this.#recreateBucket();
      case 'ambush':
        return this.#ambush(process);
    }
  }

  #startProcess(): void {
    if (this.#processes.length >= 2) return;
    this.#started += 1;
    const process = new SimulatedProcess(`simulated-${this.#started}`, this.#world);
    this.#processes.push(process);
    process.engine.start();
  }

  /** Another one starts some time later, unless there is one. */
  #end(process: SimulatedProcess | null, how: () => void): void {
    if (process === null) return;
    how();
    this.#processes = this.#processes.filter((other) => other !== process);
    this.#startLater();
  }

  #startLater(): void {
    this.#clock.after(this.#random.between(0, 10_000), () => {
      if (this.#processes.length === 0) this.#startProcess();
    });
  }

  /** Killed in the middle of a delivery; the next process soon delivers a later version of the key. */
  #ambush(process: SimulatedProcess | null): void {
    if (process === null) return;
    const key = this.#random.pick(KEYS);
    void this.#writes.write(process, key, 'put');
    this.#clock.after(this.#random.between(10, 120), () =>
      this.#end(process, () => process.kill()),
    );
    this.#clock.after(this.#random.between(3_000, 15_000), () => {
      const [next] = this.#processes;
      if (next !== undefined) void this.#writes.write(next, key, 'put');
    });
  }

  /** The process is killed between the id of an upload and its parts, or the object changes. */
  #uploadStored(process: SimulatedProcess, key: string): void {
    this.#uploadsStored += 1;
    const mishap = this.#isMended ? null : this.#rarities.drawMishap();
    if (mishap === null) return;
    if (mishap.kind === 'change') this.#targets.refuseFor(mishap.outageMs);
    this.#clock.after(mishap.afterMs, () => {
      if (mishap.kind === 'change') void this.#writes.write(process, key, mishap.change);
      else this.#end(process, () => process.kill());
    });
  }

  #standStill({ afterMs, forMs }: Standstill): void {
    this.#startProcess();
    const leader = this.#processes.find(({ engine }) => engine.leading);
    if (leader === undefined) return;
    void this.#writes.write(leader, this.#random.pick(KEYS), 'put');
    this.#clock.after(afterMs, () => leader.stall(forMs));
  }

  /** Events are dropped while a resync runs, some of which it has listed or will list. */
  async #runOutOfDisk({ afterMs, forMs }: LowDisk): Promise<void> {
    const [process] = this.#processes;
    if (process === undefined || this.#stores.isDiskLow) return;
    void this.#configurator.resync();
    await this.#clock.sleep(afterMs);
    this.#stores.isDiskLow = true;
    this.#stores.lowDiskEpisodes += 1;
    this.#writeSome(process);
    await this.#clock.sleep(forMs);
    this.#stores.isDiskLow = false;
    await this.#configurator.noteDrops();
  }

  #crash(): void {
    this.#stores.crash(this.#rarities.drawSurvivors(this.#stores.disk.unflushedCommits));
    this.#uploads.forget();
    this.#clock.reboot();
    for (const process of this.#processes) process.kill();
    this.#processes = [];
    this.#startLater();
  }

  #recreateBucket(): void {
    const old = this.#host.bucket;
    this.#host.recreateBucket();
    // The notice of the deletion may be lost.
    if (this.#random.chance(0.5)) void this.#stores.owner.configurations.removeBucket(old);
    void this.#configurator.begin();
  }

  #writeSome(process: SimulatedProcess | null): void {
    if (process === null) return;
    const count = this.#random.pick([1, 1, 2, 4]);
    for (let write = 0; write < count; write++) {
      const key = this.#random.pick(KEYS);
      void this.#writes.write(process, key, this.#random.weighted(CHANGES));
    }
  }

  async #beOffForAWeek(shortOfMs: number): Promise<void> {
    const week = (this.#week = new KeptWeek(this.#world));
    this.#isMended = true;
    this.#targets.weights = NO_FAULTS;
    this.#startProcess();
    this.#writeSome(this.#processes[0] ?? null);
    await week.failSome();
    for (const process of this.#processes) process.kill();
    this.#processes = [];
    await week.sleep(shortOfMs);
    this.#startProcess();
    await week.look();
  }

  /** Faults end, and nobody writes or edits anything: whatever is due is sent all the same. */
  async #waitQuietly(): Promise<void> {
    this.#targets.weights = NO_FAULTS;
    this.#targets.traits.areOver = true;
    this.#host.isReadFailing = () => false;
    this.#isMended = true;
    await this.#clock.run(15_000, () => this.#processes.length > 0);
    const watch = new QuietWatch(this.#world);
    await watch.run(QUIET_MS);
  }

  async #mend(): Promise<void> {
    this.#targets.weights = NO_FAULTS;
    this.#targets.traits.areOver = true;
    this.#host.isReadFailing = () => false;
    this.#isMended = true;
    await this.#finish(this.#configurator.mend());
    this.#startProcess();
    // Announcements of processes that died are found after a minute at the latest.
    await this.#clock.run(150_000);
    const isHurried = this.#random.chance(0.8);
    if (isHurried) await this.#retry();
    if (this.#random.chance(0.5)) await this.#resync();
    await this.#clock.run(isHurried ? 130_000 : 2 * 3_600_000);
    // Breakers that nobody closed must have closed by themselves: a retry closes them.
    const { outbox } = this.#stores.owner;
    const failed = await outbox.pageRows(this.#host.bucket, { state: 'failed' }, null, 1);
    if (failed.length > 0) await this.#retry({ state: 'failed' });
  }

  async #retry(filter: RowFilter = {}): Promise<void> {
    const { bucket } = this.#host;
    const { outbox } = this.#stores.owner;
    await this.#finish(outbox.retryRows(bucket, filter, this.#clock.nowMs()));
  }

  async #resync(): Promise<void> {
    for (const n of [1, 2]) {
      const { outbox } = this.#stores.owner;
      await this.#finish(outbox.startResync(this.#host.bucket, uuid(n), this.#clock.nowMs()));
    }
  }

  /** Looks every now and then whether nothing is queued, no upload is left to abort and no job runs. */
  #watchQueue(): void {
    this.#clock.after(LOOK_INTERVAL_MS, () => {
      void this.#isNothingLeft().then((isNothingLeft) => (this.#isQuiet = isNothingLeft));
      this.#watchQueue();
    });
  }

  async #isNothingLeft(): Promise<boolean> {
    const { outbox } = this.#stores.owner;
    const { length: lanes } = await outbox.lanes();
    const { length: lanesWithStrays } = await outbox.strayLanes();
    const { length: jobs } = await outbox.runningResyncs();
    return lanes + lanesWithStrays + jobs === 0;
  }

  async #lookAtStore(): Promise<void> {
    this.#world.violations.push(...(await checkStore(this.#stores, this.#host.bucket)));
  }

  async #check(): Promise<string[]> {
    const { bucket } = this.#host;
    const { configurations, outbox } = this.#stores.owner;
    const configuration = await configurations.read(bucket);
    const jobs = await Promise.all(
      configuration.rules.map(async ({ id }) => [id, await outbox.readResync(bucket, id)] as const),
    );
    const rows: readonly Row[] = await outbox.pageRows(bucket, {}, null, 100);

    const state = {
      host: this.#host,
      targets: this.#targets,
      uploads: this.#uploads,
      configuration,
      queue: await outbox.queueStatus(bucket),
      rows,
      jobs: new Map(jobs),
      ruleSavedAt: this.#configurator.ruleSavedAt,
      mayHaveGap: new Set([...this.#configurator.mayHaveGap, ...(this.#week?.expired() ?? [])]),
    };
    return checkAll(state);
  }

  /** Lets time pass until `promise` has come to its end. */
  async #finish(promise: Promise<unknown>): Promise<void> {
    let isDone = false;
    void promise.then(() => (isDone = true));
    await this.#clock.run(60_000, () => isDone);
    if (!isDone) this.#world.violations.push('an edit did not end');
  }
}
