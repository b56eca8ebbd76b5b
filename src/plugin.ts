/**
 * Composition root: the module that plugin.json names. It alone constructs things, reads the
 * environment and takes time, randomness and DNS from the system.
 */
import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { createBucketReplication } from './api/bucket-replication.ts';
import { createAdminApi } from './api/router.ts';
import { createAddressPolicy, isCidr, type AddressPolicy } from './egress/address.ts';
import { EndpointPolicy } from './egress/endpoint-policy.ts';
import {
  BoundedResolver,
  createSystemLookup,
  type Lookup,
  type ResolverClock,
} from './egress/resolver.ts';
import { TargetAnswers } from './egress/target-answers.ts';
import { createTargetClient } from './egress/target-client.ts';
import { createDiskWatch, diskSpaceOf, type DiskSpace } from './disk/disk-space.ts';
import { sweepRemovedBuckets } from './engine/bucket-sweep.ts';
import { createEngineClock, type EngineClock } from './engine/clock.ts';
import { Engine, type EngineOptions } from './engine/engine.ts';
import { createMetrics } from './engine/metrics.ts';
import type { Host, Plugin } from './host.ts';
import { ApiError } from './json-api/errors.ts';
import { createValidator, readSchema } from './json-api/validator.ts';
import { readBootId } from './lmdb/process-start.ts';
import { StorageError } from './lmdb/storage-error.ts';
import { logCompaction, logStorageFailure } from './lmdb/storage-log.ts';
import { parseEndpoint } from './model/endpoint.ts';
import type { StoreClock } from './model/ports.ts';
import type { PluginOptions } from './model/generated/options.ts';
import type { Keyring } from './sealing/keyring.ts';
import type { StoredConfigurations } from './store/configuration-store.ts';
import { namedKeyring, ownKeyring } from './store/open-keyring.ts';
import { machineTime } from './store/boot.ts';
import { openStoreClock } from './store/store-clock.ts';
import { createStore } from './store/store.ts';
import { openTables, storeDirectory, type LmdbTables, type Tables } from './store/tables.ts';

export type * from './host.ts';

const OWN_ADDRESSES_KEPT_MS = 1_000;
/** The most threads that lookups of the system take: 3 for saves, 5 for the engine. */
const SAVE_LOOKUPS = { concurrency: 1, lateMax: 2 };
const ENGINE_LOOKUPS = { concurrency: 2, lateMax: 3 };
/** Connections of one lane; the engine's own limit of concurrency is the same. */
const LANE_CONNECTIONS = 16;

/** What the plugin takes from the system; a host or a test may bring its own. */
export interface SystemDependencies {
  /** Resolves the names of endpoints, when they are saved and when they are connected to. */
  readonly lookup: Lookup;
  /** Where options that name an environment variable look it up. */
  readonly environment: NodeJS.ProcessEnv;
  /**
   * Time for every wait and limit of the engine and its connections, and for what is stored and shown.
   * Signatures go by the wall clock of this machine all the same, as targets compare it with theirs.
   */
  readonly clock: EngineClock;
}

/** Thrown before anything is opened where the options do not fit schemas/options.schema.json. */
export class InvalidOptionsError extends Error {
  readonly code = 'InvalidOptions';
}

/**
 * Starts the plugin on a host.
 *
 * @param options schemas/options.schema.json; `{}` or undefined takes the defaults
 * @throws InvalidOptionsError, or Error where the sealing keys are missing or the store is newer
 */
export async function activate(
  host: Host,
  options?: unknown,
  system: Partial<SystemDependencies> = {},
): Promise<Plugin> {
  const { delivery, egress, sealing } = validOptions(options ?? {});
  const lookup = system.lookup ?? createSystemLookup();
  const addresses = createAddressPolicy({ ...egress, ownAddresses: rememberOwnAddresses() });
  const warn = (message: string): void => host.logger.warn({}, message);
  const named = namedKeyring(sealing, system.environment ?? process.env, warn);
  const tables = await openTables(host.dataDirectory, {
    onFailure(failure, cause) {
      logStorageFailure(host.logger, 'replication', failure, cause);
      if (failure === 'broken') endWithoutLmdb();
    },
    onCompaction: (outcome) => logCompaction(host.logger, 'replication', outcome),
  });
  const keyring = named ?? (await openOwnKeyring(tables, host.dataDirectory, warn));
  const stored = await storeClock(tables, system.clock);
  const clock = system.clock ?? createEngineClock(stored);
  const now = (): number => stored.nowMs();
  const startedAtMs = clock.monotonicMs();
  const look = (): DiskSpace => diskSpaceOf(storeDirectory(host.dataDirectory));
  const disk = createDiskWatch(look, () => performance.now());
  const { reason: noRoom } = disk();
  if (noRoom !== null) host.logger.warn({ reason: noRoom }, 'the disk has no room for replication');
  const store = createStore({
    tables,
    keyring,
    now,
    uptimeMs: () => clock.monotonicMs() - startedAtMs,
    isDiskLow: () => disk().state === 'critical',
  });
  const { configurations, outbox } = store;
  const engine = new Engine({
    host,
    outbox,
    configurations,
    connectTarget: createTargetConnector(host, addresses, lookup, clock),
    clock,
    random: Math.random,
    diskState: () => disk().state,
    ...delivery,
  });
  const endpointPolicy = new EndpointPolicy({
    addresses,
    resolver: new BoundedResolver({ lookup, clock: limitsClock(clock), ...SAVE_LOOKUPS }),
  });
  engine.start();
  void startUpkeep(host, configurations);
  let closed: Promise<void> | undefined;
  return {
    middleware: createAdminApi({
      host,
      store: configurations,
      outbox,
      judgeEndpoint: (endpoint, ownerId) => endpointPolicy.judge(endpoint, ownerId),
      newId: randomUUID,
      clock: stored,
    }),
    bucketReplication: createBucketReplication(host, configurations),
    async health() {
      try {
        await configurations.probe();
      } catch {
        return { healthy: false, reason: 'The replication store cannot be read.' };
      }
      const { failure } = tables.commits;
      const reason = failure === null ? disk().reason : new StorageError(failure).message;
      return reason === null ? { healthy: true } : { healthy: false, reason };
    },
    metrics: createMetrics({
      counters: () => engine.counters(),
      totals: () => outbox.queueTotals(),
      storeSize: () => statSync(join(storeDirectory(host.dataDirectory), 'data.mdb')).size,
      diskFree: () => look().freeBytes,
      now,
    }),
    close(limits) {
      closed ??= engine.close(limits?.limitMs).then(() => store.close());
      return closed;
    },
    bucketDeleted: (bucket) => configurations.removeBucket(bucket),
    async mayChangeVersioning(bucket, to) {
      return to === 'Enabled' || (await configurations.read(bucket)).rules.length === 0;
    },
    announce: (writes) => engine.announce(writes),
    async replicationStatus(ref) {
      // Nothing can be read until the restart; the objects themselves can.
      if (tables.commits.failure === 'broken') return 'PENDING';
      const state = await outbox.versionState(ref);
      if (state === null) return 'COMPLETED';
      return state === 'pending' ? 'PENDING' : 'FAILED';
    },
  };
}

/**
 * lmdb waits, when the process exits, for a lock that a broken environment never gives back: the process
 * would neither serve nor end. Nothing is lost by its being killed then.
 */
function endWithoutLmdb(): void {
  process.prependOnceListener('exit', () => process.kill(process.pid, 'SIGKILL'));
}

/** Closes the store again where its secrets cannot be opened. */
async function openOwnKeyring(
  tables: LmdbTables,
  dataDirectory: string,
  warn: (message: string) => void,
): Promise<Keyring> {
  try {
    return ownKeyring(dataDirectory, tables, warn);
  } catch (error) {
    await tables.close();
    throw error;
  }
}

/** Every lane's client shares the address policy and one resolver, on the share of its bucket's owner. */
function createTargetConnector(
  host: Host,
  addresses: AddressPolicy,
  lookup: Lookup,
  engineClock: EngineClock,
): EngineOptions['connectTarget'] {
  const clock = { ...limitsClock(engineClock), wallClockMs: () => Date.now() };
  const resolver = new BoundedResolver({ lookup, clock, ...ENGINE_LOOKUPS });
  // Addresses are judged anew for every connection: an earlier answer opens nothing that a new one would not.
  const answers = new TargetAnswers({ resolver, clock });
  return ({ target, secretAccessKey }, { bucket, targetId }) => {
    const endpoint = parseEndpoint(target.endpoint);
    if (endpoint === null) throw new Error('A stored endpoint does not parse.');
    return createTargetClient({
      connection: { ...target, endpoint, secretAccessKey },
      addresses,
      resolver: {
        async resolve(hostname) {
          const found = await host.findBucket(bucket.name);
          if (found?.id !== bucket.id) return 'unresolved';
          return answers.resolve(hostname, {
            bucketId: bucket.id,
            targetId,
            ownerId: found.ownerId,
          });
        },
      },
      clock,
      connections: LANE_CONNECTIONS,
    });
  };
}

/** The clock of the store, or whoever is given in its place. */
async function storeClock(tables: Tables, given: EngineClock | undefined): Promise<StoreClock> {
  if (given === undefined) return openStoreClock(tables, machineTime(readBootId()));
  return { nowMs: () => given.nowMs(), wallOf: (timeMs) => timeMs };
}

/** The engine's clock for those who know only durations. */
function limitsClock(clock: EngineClock): ResolverClock {
  return {
    nowMs: () => clock.monotonicMs(),
    after: (delayMs, callback) => clock.after(delayMs, callback),
  };
}

/** Work at start that nobody waits for: secrets under old keys, records of buckets that are gone. */
async function startUpkeep(host: Host, store: StoredConfigurations): Promise<void> {
  try {
    await store.resealSecrets((bucket, targetId) =>
      host.logger.error(
        { bucket: bucket.name, targetId },
        'the secret of this target does not open: its key is not configured, or its record was changed outside of the server; configure the key, or save the target with its secret',
      ),
    );
    await sweepRemovedBuckets(store, (name) => host.findBucket(name), host.logger);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'ServiceUnavailable') return;
    host.logger.warn({ err: error }, 'upkeep of the replication store ended early');
  }
}

/** The addresses of this machine with their prefixes, as they were at most a second ago: to ask costs 50 µs. */
function rememberOwnAddresses(): () => readonly string[] {
  let addresses: readonly string[] = [];
  let askedAtMs = -Infinity;
  return () => {
    const nowMs = performance.now();
    if (nowMs - askedAtMs < OWN_ADDRESSES_KEPT_MS) return addresses;
    askedAtMs = nowMs;
    addresses = Object.values(networkInterfaces()).flatMap((interfaces) =>
      (interfaces ?? []).map(({ address, cidr }) => cidr ?? address),
    );
    return addresses;
  };
}

function validOptions(options: unknown): {
  delivery: Pick<EngineOptions, 'bodyBytesMax'>;
  egress: { allow: string[]; deny: string[] };
  sealing: NonNullable<PluginOptions['sealing']>;
} {
  const copy: unknown = structuredClone(options);
  const validate = createValidator(readSchema('options'), {
    formats: { cidr: isCidr },
    fillDefaults: true,
  });
  const problems = validate(copy);
  if (problems.length > 0) {
    const list = problems.map(({ path, message }) => `${path || 'options'} ${message}`).join('; ');
    throw new InvalidOptionsError(`Plugin options: ${list}.`);
  }
  const { delivery, egress, sealing } = copy as PluginOptions;
  return {
    delivery: delivery ?? {},
    egress: { allow: egress?.allow ?? [], deny: egress?.deny ?? [] },
    sealing: sealing ?? {},
  };
}
