/**
 * Builds the server from its parts, in the order that leaves nothing behind when a step fails.
 *
 * The plugin is loaded (checked and imported) and the socket is bound before the database is opened:
 * a refused plugin or a port that is taken changes nothing on disk. The administrator is made last,
 * so that a password that is shown once is not lost to a failure of a later step.
 */
import { mkdirSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { join } from 'node:path';
import type { Middleware } from 'koa';
import { diskSpaceOf } from '../disk/disk-space.ts';
import type { Health, Logger, Plugin } from '../host.ts';
import { StorageError } from '../lmdb/storage-error.ts';
import { logCompaction, logStorageFailure } from '../lmdb/storage-log.ts';
import type { Sealed } from '../sealing/keyring.ts';
import { openOwnKey } from '../sealing/own-key.ts';
import { readOrCreateSecret } from '../sealing/secret-file.ts';
import { AccessKeys } from './access-keys.ts';
import { Accounts } from './accounts.ts';
import { ensureAdministrator, type Administrator } from './administrator.ts';
import { createApp } from './app.ts';
import { Authenticator } from './authenticator.ts';
import { BucketLifecycle, type BucketContents } from './bucket-lifecycle.ts';
import { Buckets } from './buckets.ts';
import { trustedProxies } from './client-address.ts';
import type { ServerConfiguration } from './configuration.ts';
import { openServerDatabase, type ServerDatabase } from './database.ts';
import { DiskGuard } from './disk-guard.ts';
import { createHost, type HostObjects } from './host.ts';
import { HttpServer, type RequestHandler } from './http-server.ts';
import { takeDirectory } from './instance-lock.ts';
import { createInternalApi } from './internal-api/router.ts';
import { KnownLogins } from './known-logins.ts';
import { LoginLimits } from './login-limits.ts';
import type { LoadedPlugin } from './plugin-loader.ts';
import { assertDatabaseOfBodies, assertRestored } from './restored.ts';
import { Tokens } from './tokens.ts';

/** HS256 wants a key as long as its hash (RFC 7518 section 3.2). */
const TOKEN_SECRET_BYTES_MIN = 32;
/**
 * How long an end may take, from the first request to stop to the last environment: below the ten
 * seconds after which supervisors kill. Requests have the first half, then their handlers a second;
 * what these leave is the plugin's, but for the last half second.
 */
const STOP_LIMIT_MS = 8_000;
const REQUESTS_LIMIT_MS = STOP_LIMIT_MS / 2;
const HANDLERS_LIMIT_MS = 1_000;
const LAST_MS = 500;
const PRIVATE_DIRECTORY = 0o700;

/** What the server needs of its object store beyond serving S3. */
export interface ServerObjects extends HostObjects, BucketContents {
  replicateThrough(replication: Pick<Plugin, 'announce'>): void;
  /** Waits for what it still does in the background. */
  close(): Promise<void>;
}

/** What an S3 API is made of. */
export interface ServerParts {
  readonly database: ServerDatabase;
  readonly buckets: Buckets;
  readonly lifecycle: BucketLifecycle;
  readonly accounts: Accounts;
  readonly accessKeys: AccessKeys;
  readonly plugin: Plugin;
}

/** What comes from outside: time, and the parts that live in folders of their own. */
export interface StorageServerDependencies<Objects extends ServerObjects> {
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonicMs: () => number;
  /** The database cannot be used any more by this process, not even to be closed. */
  readonly onDatabaseBroken: () => void;
  /** Called before the socket is bound, for what has to happen below Koa. */
  readonly attach: (server: Server) => void;
  readonly openObjects: (
    database: ServerDatabase,
    buckets: Buckets,
    disk: DiskGuard,
  ) => Promise<Objects>;
  readonly createS3: (parts: ServerParts & { readonly objects: Objects }) => Middleware;
}

export interface StorageServer {
  /** Base URL with the actual port. */
  readonly url: string;
  readonly administrator: Administrator;
  /**
   * Finishes requests, then closes plugin and database: 8 s for all of it. Idempotent.
   *
   * A further call cuts the connections of what still runs.
   */
  stop(): Promise<void>;
}

/** What a start leaves open. */
interface OpenParts {
  /** The directory's environment, once it is open. */
  database?: ServerDatabase;
  objects?: ServerObjects;
  plugin?: Plugin;
}

/**
 * @throws the error of the step that failed, with everything that was opened closed again
 */
export async function startStorageServer<Objects extends ServerObjects>(
  configuration: ServerConfiguration,
  loadedPlugin: LoadedPlugin,
  dependencies: StorageServerDependencies<Objects>,
): Promise<StorageServer> {
  const http = new HttpServer(dependencies.attach);
  const open: OpenParts = {};
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    if (stopped !== undefined) http.cutConnections();
    stopped ??= stopAll(http, open, dependencies);
    return stopped;
  };
  try {
    const url = await http.listen(configuration.hostname, configuration.port);
    const administrator = await openParts(configuration, loadedPlugin, dependencies, http, open);
    return { url, administrator, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Opens, in order, what requests need, and lets the socket serve them. */
async function openParts<Objects extends ServerObjects>(
  configuration: ServerConfiguration,
  loadedPlugin: LoadedPlugin,
  dependencies: StorageServerDependencies<Objects>,
  http: HttpServer,
  open: OpenParts,
): Promise<Administrator> {
  const { logger, clock } = dependencies;
  const { dataDirectory } = configuration;
  prepareDirectory(dataDirectory);
  assertDatabaseOfBodies(dataDirectory);
  const database = await openServerDatabase(dataDirectory, {
    onCompaction: (outcome) => logCompaction(logger, 'server', outcome),
    onFailure(failure, cause) {
      logStorageFailure(logger, 'server', failure, cause);
      if (failure === 'broken') dependencies.onDatabaseBroken();
    },
  });
  open.database = database;
  await takeDirectory(database);
  await assertRestored(dataDirectory, database);
  const accounts = new Accounts({ database, clock });
  const buckets = new Buckets({ database, clock });
  const keyring = openOwnKey({
    file: join(dataDirectory, 'server.key'),
    sealed: configuration.keysLost ? [] : sealedAccessKeys(database),
    otherwise: 'start once with --keys-lost, and make new access keys',
    warn: warnWith(logger),
  });
  const accessKeys = new AccessKeys({ database, keyring, clock });
  const tokens = new Tokens({ secret: tokenSecret(configuration, logger), clock });
  const authenticator = new Authenticator({ accounts, tokens });
  const disk = createDiskGuard(dataDirectory, dependencies);
  const objects = await dependencies.openObjects(database, buckets, disk);
  open.objects = objects;
  const host = createHost({ logger, dataDirectory, authenticator, buckets, objects });
  const plugin = await loadedPlugin.activate(host);
  open.plugin = plugin;
  objects.replicateThrough(plugin);
  const lifecycle = new BucketLifecycle({ buckets, hooks: plugin, objects, logger });
  const parts = { database, disk, buckets, lifecycle, accounts, accessKeys, plugin, objects };
  const respond = composeApp(
    configuration,
    dependencies,
    { ...parts, tokens, authenticator },
    http,
  );
  const administrator = await ensureAdministrator(accounts, configuration);
  const { defaultAccessKey } = configuration;
  if (defaultAccessKey !== null) {
    await accessKeys.ensure({ userId: administrator.user.id, ...defaultAccessKey });
  }
  http.serve(respond);
  return administrator;
}

function composeApp<Objects extends ServerObjects>(
  configuration: ServerConfiguration,
  dependencies: StorageServerDependencies<Objects>,
  parts: ServerParts & {
    readonly objects: Objects;
    readonly disk: DiskGuard;
    readonly tokens: Tokens;
    readonly authenticator: Authenticator;
  },
  http: HttpServer,
): RequestHandler {
  const { logger, monotonicMs } = dependencies;
  const { database, disk, plugin } = parts;
  const app = createApp({
    logger,
    monotonicMs,
    internalApi: createInternalApi({
      ...parts,
      loginLimits: new LoginLimits(monotonicMs),
      knownLogins: new KnownLogins(),
      isTrustedProxy: trustedProxies(configuration.trustedProxies),
      allowAccountCreation: configuration.allowAccountCreation,
      isShuttingDown: () => http.isStopping,
      metrics: () => plugin.metrics(),
      checks: {
        database: () => checkDatabase(database),
        disk: () => disk.health(),
        plugin: () => plugin.health(),
      },
    }),
    plugin: plugin.middleware,
    s3: dependencies.createS3(parts),
  });
  return app.callback();
}

/** Makes it private where it is new; an existing one may be shared on purpose, what is in it is not. */
function prepareDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: PRIVATE_DIRECTORY });
}

function warnWith(logger: Logger): (message: string) => void {
  return (message) => logger.warn({}, message);
}

function sealedAccessKeys({ accessKeys }: ServerDatabase): Iterable<Sealed> {
  return accessKeys.getRange().map(({ value }) => value.sealedSecret);
}

function tokenSecret(configuration: ServerConfiguration, logger: Logger): string {
  const { tokenSecret: secret, dataDirectory } = configuration;
  if (secret === null)
    return readOrCreateSecret(join(dataDirectory, 'jwt.secret'), warnWith(logger));
  if (Buffer.byteLength(secret) < TOKEN_SECRET_BYTES_MIN) {
    logger.warn(
      { bytesMin: TOKEN_SECRET_BYTES_MIN },
      'the token secret in JWT is short enough to be guessed; make one with "openssl rand -base64 32"',
    );
  }
  return secret;
}

/** Looks up a key that need not exist: a real read, which throws when LMDB cannot. */
function checkDatabase({ users, commits }: ServerDatabase): Health {
  users.doesExist('');
  if (commits.failure === null) return { healthy: true };
  return { healthy: false, reason: new StorageError(commits.failure).message };
}

function createDiskGuard(
  dataDirectory: string,
  { logger, monotonicMs }: Pick<StorageServerDependencies<never>, 'logger' | 'monotonicMs'>,
): DiskGuard {
  const probe = join(dataDirectory, 'disk-probe');
  return new DiskGuard({
    look: () => diskSpaceOf(dataDirectory),
    monotonicMs,
    logger,
    async writeProbe() {
      try {
        await writeFile(probe, 'probe', { mode: 0o600 });
      } finally {
        await rm(probe, { force: true });
      }
    },
  });
}

/**
 * Ends what was opened, in the order that leaves nobody without what it uses: requests, the plugin,
 * objects, and last the database. Every step is tried; the first failure is thrown at the end.
 */
async function stopAll(
  http: HttpServer,
  { database, objects, plugin }: OpenParts,
  { logger, monotonicMs }: Pick<StorageServerDependencies<ServerObjects>, 'logger' | 'monotonicMs'>,
): Promise<void> {
  const endMs = monotonicMs() + STOP_LIMIT_MS;
  const failures: unknown[] = [];
  const attempt = async (work: Promise<void> | undefined): Promise<void> => {
    await work?.catch((error: unknown) => failures.push(error));
  };
  await attempt(http.stop(REQUESTS_LIMIT_MS));
  const areHandled = await http.handlersEnded(HANDLERS_LIMIT_MS);
  await attempt(plugin?.close({ limitMs: Math.max(0, endMs - LAST_MS - monotonicMs()) }));
  await attempt(objects?.close());
  // An environment that is closed under a transaction takes the process with it; left open, it loses
  // nothing that was acknowledged.
  if (areHandled) await attempt(database?.close());
  else logger.warn({}, 'a request did not end; the database is left as it is');
  if (failures.length > 0) throw failures[0];
}
