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
  createResolverClock,
  createSystemLookup,
  type Lookup,
} from './egress/resolver.ts';
import { createTargetClient } from './egress/target-client.ts';
import { sweepRemovedBuckets } from './engine/bucket-sweep.ts';
import { createEngineClock } from './engine/clock.ts';
import { Engine, type EngineOptions } from './engine/engine.ts';
import { createMetrics } from './engine/metrics.ts';
import type { Host, Plugin } from './host.ts';
import { ApiError } from './json-api/errors.ts';
import { createValidator, readSchema } from './json-api/validator.ts';
import { parseEndpoint } from './model/endpoint.ts';
import type { PluginOptions } from './model/generated/options.ts';
import { CommitFeed } from './store/commit-feed.ts';
import { LmdbConfigurationStore } from './store/configuration-store.ts';
import { createDiskWatch, freeBytesOf } from './store/disk-space.ts';
import { openKeyring } from './store/open-keyring.ts';
import { LmdbOutbox } from './store/outbox.ts';
import { openTables, storeDirectory } from './store/tables.ts';

export type * from './host.ts';

/** How often the commits of other processes are looked for. */
const FEED_INTERVAL_MS = 500;
const OWN_ADDRESSES_KEPT_MS = 1_000;
/** How long a target whose name resolved can be reached while name servers do not answer. */
const EARLIER_ANSWERS_MS = 60 * 60 * 1_000;
/** Connections of one lane; the engine's own limit of concurrency is the same. */
const LANE_CONNECTIONS = 16;

/** What the plugin takes from the system; a host or a test may bring its own. */
export interface SystemDependencies {
  /** Resolves the names of endpoints, when they are saved and when they are connected to. */
  readonly lookup: Lookup;
  /** Where options that name an environment variable look it up. */
  readonly environment: NodeJS.ProcessEnv;
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
  const { egress, sealing } = validOptions(options ?? {});
  const lookup = system.lookup ?? createSystemLookup();
  const addresses = createAddressPolicy({ ...egress, ownAddresses: rememberOwnAddresses() });
  const keyring = openKeyring(sealing, host.dataDirectory, system.environment ?? process.env);
  const tables = await openTables(host.dataDirectory);
  const feed = new CommitFeed(tables, FEED_INTERVAL_MS);
  const diskFree = (): number => freeBytesOf(storeDirectory(host.dataDirectory));
  const diskState = createDiskWatch(diskFree, () => performance.now());
  const store = new LmdbConfigurationStore(tables, keyring, { feed });
  const outbox = new LmdbOutbox({
    tables,
    keyring,
    feed,
    isDiskLow: () => diskState() === 'critical',
  });
  const engine = new Engine({
    host,
    outbox,
    configurations: store,
    connectTarget: createTargetConnector(addresses, lookup),
    clock: createEngineClock(),
    random: Math.random,
    diskState,
  });
  const endpointPolicy = new EndpointPolicy({
    addresses,
    resolver: new BoundedResolver({ lookup, clock: createResolverClock(), concurrency: 1 }),
  });
  engine.start();
  void startUpkeep(host, store);
  let closed: Promise<void> | undefined;
  return {
    middleware: createAdminApi({
      host,
      store,
      outbox,
      judgeEndpoint: (endpoint) => endpointPolicy.judge(endpoint),
      newId: randomUUID,
      now: Date.now,
    }),
    bucketReplication: createBucketReplication(host, store),
    async health() {
      try {
        await store.probe();
      } catch {
        return { healthy: false, reason: 'The replication store cannot be read.' };
      }
      return diskState() === 'ok'
        ? { healthy: true }
        : { healthy: false, reason: 'The disk of the replication store is nearly full.' };
    },
    metrics: createMetrics({
      counters: () => engine.counters(),
      totals: () => outbox.queueTotals(),
      storeSize: () => statSync(join(storeDirectory(host.dataDirectory), 'data.mdb')).size,
      diskFree,
      now: Date.now,
    }),
    close(limits) {
      closed ??= engine
        .close(limits?.limitMs)
        .then(() => outbox.close())
        .then(() => store.close());
      return closed;
    },
    bucketDeleted: (bucket) => store.removeBucket(bucket),
    async mayChangeVersioning(bucket, to) {
      return to === 'Enabled' || (await store.read(bucket)).rules.length === 0;
    },
    announce: (writes) => engine.announce(writes),
    async replicationStatus(ref) {
      const state = await outbox.versionState(ref);
      if (state === null) return 'COMPLETED';
      return state === 'pending' ? 'PENDING' : 'FAILED';
    },
  };
}

/** Every lane's client shares the address policy and one resolver, with two lookups at a time. */
function createTargetConnector(
  addresses: AddressPolicy,
  lookup: Lookup,
): EngineOptions['connectTarget'] {
  const clock = { ...createResolverClock(), wallClockMs: () => Date.now() };
  // Addresses are judged anew for every connection: an earlier answer opens nothing that a new one would not.
  const resolver = new BoundedResolver({
    lookup,
    clock,
    concurrency: 2,
    earlierMs: EARLIER_ANSWERS_MS,
  });
  return ({ target, secretAccessKey }) => {
    const endpoint = parseEndpoint(target.endpoint);
    if (endpoint === null) throw new Error('A stored endpoint does not parse.');
    return createTargetClient({
      connection: { ...target, endpoint, secretAccessKey },
      addresses,
      resolver,
      clock,
      connections: LANE_CONNECTIONS,
    });
  };
}

/** Work at start that nobody waits for: secrets under old keys, records of buckets that are gone. */
async function startUpkeep(host: Host, store: LmdbConfigurationStore): Promise<void> {
  try {
    await store.resealSecrets((bucket, targetId) =>
      host.logger.error(
        { bucket: bucket.name, targetId },
        'no configured key opens the secret of this target; configure its key, or save the target with its secret',
      ),
    );
    await sweepRemovedBuckets(store, (name) => host.findBucket(name), host.logger);
  } catch (error) {
    if (error instanceof ApiError && error.code === 'ServiceUnavailable') return;
    host.logger.warn({ err: error }, 'upkeep of the replication store ended early');
  }
}

/** The addresses of this machine, as they were at most a second ago: to ask costs 50 µs. */
function rememberOwnAddresses(): () => readonly string[] {
  let addresses: readonly string[] = [];
  let askedAtMs = -Infinity;
  return () => {
    const nowMs = performance.now();
    if (nowMs - askedAtMs < OWN_ADDRESSES_KEPT_MS) return addresses;
    askedAtMs = nowMs;
    addresses = Object.values(networkInterfaces()).flatMap((interfaces) =>
      (interfaces ?? []).map(({ address }) => address),
    );
    return addresses;
  };
}

function validOptions(options: unknown): {
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
  const { egress, sealing } = copy as PluginOptions;
  return {
    egress: { allow: egress?.allow ?? [], deny: egress?.deny ?? [] },
    sealing: sealing ?? {},
  };
}
