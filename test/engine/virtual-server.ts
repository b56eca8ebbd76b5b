/** A server in virtual time for tests of the engine: one process, a target that does what each test says. */
import assert from 'node:assert/strict';
import { Engine, type EngineOptions, type UsableTarget } from '../../src/engine/engine.ts';
import type { LaneReport } from '../../src/model/lane-report.ts';
import type { Tenure } from '../../src/model/ports.ts';
import type { LaneRef } from '../../src/model/row.ts';
import type { RuleDraft } from '../../src/model/rule.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { SimulatedHost } from '../simulation/simulated-host.ts';
import { SimulatedStores, type OpenedStore } from '../simulation/simulated-stores.ts';
import { VirtualClock } from '../simulation/virtual-clock.ts';
import { ANY, ruleDraft, targetDraft } from '../support/drafts.ts';
import { uuid } from '../support/replication-bodies.ts';
import { FakeTarget, RESET } from './fake-target.ts';

export const MINUTE_MS = 60_000;

let servers = 0;

export class VirtualServer {
  readonly clock: VirtualClock;
  readonly host: SimulatedHost;
  /** The host as the engine has it. */
  readonly hooks: { -readonly [Name in keyof EngineOptions['host']]: EngineOptions['host'][Name] };
  readonly stores: SimulatedStores;
  readonly outbox: OpenedStore['outbox'];
  readonly configurations: OpenedStore['configurations'];
  readonly target = new FakeTarget();
  readonly engine: Engine;
  #tenure: Tenure | null = null;
  /** How long the target takes for each request. */
  latencyMs = 10;
  secrets: string[] = [];
  /** When each request was sent, monotonic. */
  readonly sentAt: number[] = [];

  /** @param before what a restarted server, or another process of it, goes on from */
  constructor(before: Partial<Pick<VirtualServer, 'clock' | 'host' | 'stores'>> = {}) {
    const { clock = new VirtualClock(), host = new SimulatedHost() } = before;
    this.clock = clock;
    this.host = host;
    this.stores = before.stores ?? new SimulatedStores(clock);
    servers += 1;
    const { outbox, configurations } = this.stores.open(`server-${servers}`);
    this.outbox = outbox;
    const acquire = outbox.acquireLease.bind(outbox);
    outbox.acquireLease = async () => {
      const tenure = await acquire();
      this.#tenure = tenure ?? this.#tenure;
      return tenure;
    };
    this.configurations = configurations;
    this.hooks = {
      findBucket: (name) => host.findBucket(name),
      openObject: (ref, range) => host.openObject(ref, range),
      headCurrent: (bucket, key) => host.headCurrent(bucket, key),
      listCurrent: (bucket, prefix, after) => host.listCurrent(bucket, prefix, after),
      logger: { debug: () => {}, info: () => {}, warn: () => {}, error: console.error },
    };
    this.engine = new Engine({
      host: this.hooks,
      outbox,
      configurations,
      clock,
      random: () => 0.5,
      diskState: () => 'ok',
      connectTarget: (access) => this.connectTarget(access),
    });
  }

  /** The last one that the engine, or the test, had. */
  get tenure(): Tenure {
    assert.ok(this.#tenure !== null, 'nobody leads');
    return this.#tenure;
  }

  /** Runs until `promise` has settled, and says how long that took. */
  async await<T>(promise: Promise<T>, limitMs = 60 * MINUTE_MS): Promise<[T, number]> {
    const begun = this.clock.monotonicMs();
    let isDone = false;
    const end = (): void => void (isDone = true);
    void promise.then(end, end);
    assert.ok(await this.clock.run(limitMs, () => isDone), 'it did not end');
    return [await promise, this.clock.monotonicMs() - begun];
  }

  async configure(target: Partial<TargetDraft> = {}, rule: Partial<RuleDraft> = {}): Promise<void> {
    const { bucket } = this.host;
    await this.await(this.configurations.replaceTargets(bucket, [targetDraft(1, target)], ANY));
    await this.await(this.configurations.replaceRules(bucket, [ruleDraft(1, rule)], ANY));
  }

  /** Puts one version, and says how long the host waited for `committed`. */
  async put(key: string, wholeParts = 0): Promise<number> {
    const { bucket } = this.host;
    const write = { bucket, key, operation: 'put', before: null } as const;
    const [announcement] = await this.await(this.engine.announce([write]));
    const committed = this.host.apply(key, 'put', 0, null, wholeParts);
    assert.ok(committed !== null);
    const [, waitedMs] = await this.await(announcement.committed([committed]));
    return waitedMs;
  }

  report(): Promise<LaneReport> {
    return this.outbox.laneReport(this.lane);
  }

  get ruleId(): string {
    return uuid(1);
  }

  get lane(): LaneRef {
    return { bucket: this.host.bucket, targetId: uuid(1) };
  }

  /** The target, whose answers take time and end with the lane. */
  connectTarget({ secretAccessKey }: UsableTarget): FakeTarget {
    this.secrets.push(secretAccessKey);
    const { clock, target } = this;
    return new Proxy(target, {
      get: (_target, name: keyof FakeTarget) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function' || name === 'close' || name === 'isConnected')
          return method;
        return async (...args: never[]): Promise<unknown> => {
          this.sentAt.push(clock.monotonicMs());
          const { signal } = (args.at(-1) ?? {}) as { signal?: AbortSignal };
          await new Promise<void>((resolve) => {
            clock.after(this.latencyMs, resolve);
            signal?.addEventListener('abort', () => resolve());
          });
          if (signal?.aborted === true) return { ok: false, failure: RESET };
          return (method as (...all: never[]) => unknown).apply(target, args);
        };
      },
    });
  }
}

export async function started(target: Partial<TargetDraft> = {}, rule: Partial<RuleDraft> = {}) {
  const server = new VirtualServer();
  await server.configure(target, rule);
  server.engine.start();
  await server.clock.run(1_000);
  return server;
}

/** One change, and how long the host waited for `committed`. */
export async function change(server: VirtualServer, key: string, operation: 'put' | 'delete') {
  const { bucket } = server.host;
  const writes = [{ bucket, key, operation, before: null }] as const;
  const [announcement] = await server.await(server.engine.announce(writes));
  const committed = server.host.apply(key, operation, 0);
  const [, waitedMs] = await server.await(
    announcement.committed(committed === null ? [] : [committed]),
  );
  return waitedMs;
}
