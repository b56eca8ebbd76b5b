/**
 * `alarik-replication serve`: the reference storage server as a process.
 *
 * Only this file of the server reads the environment, the clock and signals. What people need goes
 * to stdout, the JSON log to stderr; a generated password is printed and never logged.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { announce } from './announcement.ts';
import { readConfiguration, UsageError } from './configuration.ts';
import { HOST_API_VERSION } from './host.ts';
import { INTERNAL_ROUTES } from './internal-api/router.ts';
import { createLogger } from './log.ts';
import { ObjectStore } from './objects/object-store.ts';
import { loadPlugin } from './plugin-loader.ts';
import { createS3Middleware } from './s3/router.ts';
import { attachToServer } from './s3/server-events.ts';
import { startStorageServer } from './storage-server.ts';

const PRIVATE_FILES = 0o077;
const PACKAGE = new URL('../../package.json', import.meta.url);

export const serveUsage = `alarik-replication serve [options]

  --hostname <address>      where to listen, 127.0.0.1 if absent
  --port <number>           8080 if absent; 0 takes any free port
  --data <directory>        where everything is kept, ./data if absent
  --plugin <plugin.json>    the plugin to load, the replication plugin if absent
  --plugin-options <file>   its options, a JSON file; {} if absent
  --trusted-proxies <list>  addresses or CIDR ranges, joined by commas, of proxies in front of the
                            server: their X-Forwarded-For tells who logs in; none if absent
  --keys-lost               start although server.key, lost for good, is not the one that sealed the
                            access keys: these have to be made anew

  Environment: JWT, ALARIK_REGION, ADMIN_USERNAME, ADMIN_PASSWORD, DEFAULT_ACCESS_KEY,
  DEFAULT_SECRET_KEY, ALLOW_ACCOUNT_CREATION, TRUSTED_PROXIES (see docs/reference-server.md).
`;

/**
 * Serves until SIGTERM or SIGINT, then resolves once everything is closed.
 *
 * @param args what follows `serve` on the command line
 * @throws UsageError, PluginError, UnsupportedFormatError, and system errors such as EADDRINUSE
 */
export async function serve(args: readonly string[]): Promise<void> {
  const configuration = readConfiguration(args, process.env);
  process.umask(PRIVATE_FILES);
  const logger = createLogger();
  const plugin = await loadPlugin({
    manifestPath: configuration.pluginPath,
    options: readPluginOptions(configuration.pluginOptionsPath),
    hostApiVersion: HOST_API_VERSION,
    reservedRoutes: INTERNAL_ROUTES,
  });
  const clock = (): number => Date.now();
  const hurry = new AbortController();
  const stopRequested = nextStopSignal(() => hurry.abort());
  const server = await startStorageServer(configuration, plugin, {
    logger,
    clock,
    monotonicMs: () => performance.now(),
    attach: attachToServer,
    onDatabaseBroken: endAtOnce,
    openObjects: (database, buckets, disk) =>
      ObjectStore.open({
        environment: database,
        disk,
        buckets: buckets.records,
        dataDirectory: configuration.dataDirectory,
        clock,
        randomBytes,
      }),
    createS3: ({ accounts, ...parts }) =>
      createS3Middleware({
        ...parts,
        region: configuration.region,
        clock,
        logger,
        principalOf(userId) {
          const user = accounts.find(userId);
          return user === null ? null : { userId: user.id, isAdmin: user.isAdmin };
        },
      }),
  });
  const { id, version } = plugin.manifest;
  logger.info({ url: server.url, plugin: id, pluginVersion: version }, 'serving');
  const { user, generatedPassword } = server.administrator;
  process.stdout.write(
    announce({ ...ownPackage(), url: server.url, adminUsername: user.username, generatedPassword }),
  );
  await stopRequested;
  logger.info({}, 'shutting down');
  const stopped = server.stop();
  // What fails is thrown below; a further call only cuts connections.
  const cut = (): void => void server.stop().catch(() => undefined);
  if (hurry.signal.aborted) cut();
  else hurry.signal.addEventListener('abort', cut);
  await stopped;
  logger.info({}, 'stopped');
}

/**
 * LMDB refuses the environment to this process, and closing would wait for ever. What was answered
 * with success is on disk: whoever supervises the process starts it again.
 */
function endAtOnce(): void {
  process.stderr.write(
    'alarik-replication serve: The disk failed while the database wrote its header. ' +
      'Nothing that was acknowledged is lost; start the server again, and look at the disk.\n',
  );
  // A thread of lmdb may wait for a lock for ever, and `process.exit` would wait for that thread.
  process.kill(process.pid, 'SIGKILL');
}

/**
 * The first signal resolves; the second has what still runs cut off, in order; the third ends the
 * process at once.
 */
function nextStopSignal(onSecond: () => void): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals === 1) resolve();
      else if (signals === 2) onSecond();
      else process.exit(1);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

function readPluginOptions(path: string | null): unknown {
  if (path === null) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new UsageError(`--plugin-options: ${path} cannot be read.`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`--plugin-options: ${path} is not JSON.`);
  }
}

function ownPackage(): { name: string; version: string } {
  return JSON.parse(readFileSync(PACKAGE, 'utf8')) as { name: string; version: string };
}
