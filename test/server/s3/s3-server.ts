/**
 * The S3 API on a real socket, over a real database and object store in a temporary directory.
 */
import { S3Client, S3ServiceException } from '@aws-sdk/client-s3';
import Koa from 'koa';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  AnnouncedWrite,
  CommittedWrite,
  Logger,
  Plugin,
  ReplicationStatus,
} from '../../../src/host.ts';
import { Keyring } from '../../../src/sealing/keyring.ts';
import { AccessKeys } from '../../../src/server/access-keys.ts';
import { BucketLifecycle } from '../../../src/server/bucket-lifecycle.ts';
import { Buckets } from '../../../src/server/buckets.ts';
import { openServerDatabase } from '../../../src/server/database.ts';
import { ObjectStore } from '../../../src/server/objects/object-store.ts';
import { createS3Middleware } from '../../../src/server/s3/router.ts';
import { attachToServer } from '../../../src/server/s3/server-events.ts';

export const REGION = 'eu-test-1';
export const OWNER = { accessKeyId: 'AKOWNER', secretAccessKey: 'the secret of the owner' };
export const OTHER = { accessKeyId: 'AKOTHER', secretAccessKey: 'the secret of another user' };

/** What a test lets the plugin say; every write that it is told of is kept. */
export interface PluginSpy {
  mayChangeVersioning: boolean;
  replicationStatus: ReplicationStatus | null;
  readonly announced: AnnouncedWrite[];
  readonly committed: CommittedWrite[];
}

export interface S3Server {
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  readonly objects: ObjectStore;
  readonly plugin: PluginSpy;
  /** What was logged as an error. */
  readonly failures: object[];
  /** A client with the SDK's own settings. */
  client(credentials?: typeof OWNER, options?: { region?: string }): S3Client;
  stop(): Promise<void>;
}

export async function startS3Server(options: { bodyIdleMs?: number } = {}): Promise<S3Server> {
  // One level down, so that a test can look for what left it without looking at everybody's files.
  const root = mkdtempSync(join(tmpdir(), 's3-test-'));
  const directory = join(root, 'data');
  const clock = (): number => Date.now();
  const failures: object[] = [];
  const logger = newLogger(failures);
  const { spy, plugin } = newPlugin();
  const database = await openServerDatabase(directory);
  const buckets = new Buckets({ database, clock });
  const objects = await ObjectStore.open({
    environment: database,
    disk: { assertRoom: () => undefined },
    buckets: buckets.records,
    dataDirectory: directory,
    clock,
    randomBytes,
  });
  objects.replicateThrough(plugin);
  const keyring = new Keyring([randomBytes(32)]);
  const accessKeys = new AccessKeys({ database, keyring, clock });
  await accessKeys.ensure({ userId: 'owner', ...OWNER });
  await accessKeys.ensure({ userId: 'other', ...OTHER });
  const lifecycle = new BucketLifecycle({ buckets, hooks: plugin, objects, logger });
  const app = new Koa();
  const middleware = createS3Middleware({
    region: REGION,
    buckets,
    lifecycle,
    objects,
    accessKeys,
    principalOf: (userId) => ({ userId, isAdmin: userId === 'other' }),
    plugin,
    clock,
    logger,
    ...options,
  });
  app.use(middleware);
  const respond = app.callback();
  const server = createServer((request, response) => void respond(request, response));
  attachToServer(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients: S3Client[] = [];
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    directory,
    objects,
    plugin: spy,
    failures,
    client(credentials = OWNER, { region = REGION } = {}) {
      const endpoint = `http://127.0.0.1:${port}`;
      const client = new S3Client({
        endpoint,
        region,
        credentials,
        forcePathStyle: true,
        maxAttempts: 1,
      });
      clients.push(client);
      return client;
    },
    async stop() {
      for (const client of clients) client.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      await database.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Asserts that an SDK call fails with that code and status; returns the error. */
export async function failsWith(
  call: Promise<unknown>,
  code: string,
  status: number,
): Promise<S3ServiceException> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof S3ServiceException, `expected ${code}, got ${String(error)}`);
  assert.deepEqual([error.name, error.$metadata.httpStatusCode], [code, status]);
  return error;
}

/** Sends bytes as they are and returns everything that comes back until the server closes. */
export async function sendRaw(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  options: { halfClose?: boolean } = {},
): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const received: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => received.push(bytes));
  // A reset after the answer is an end like any other here; the answer is what is asserted.
  socket.on('error', () => undefined);
  for (const piece of pieces) socket.write(piece);
  if (options.halfClose === true) socket.end();
  await new Promise<void>((resolve) => {
    socket.once('end', resolve);
    socket.once('close', () => resolve());
  });
  socket.destroy();
  return Buffer.concat(received).toString('latin1');
}

/** Every file below a directory, by relative path. */
export function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

function newLogger(failures: object[]): Logger {
  const ignore = (): void => undefined;
  return {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields) => failures.push(fields),
  };
}

function newPlugin(): { spy: PluginSpy; plugin: Plugin } {
  const spy: PluginSpy = {
    mayChangeVersioning: true,
    replicationStatus: null,
    announced: [],
    committed: [],
  };
  const plugin: Plugin = {
    middleware: (_ctx, next): Promise<unknown> => next(),
    async bucketReplication(ctx, bucket, principal) {
      ctx.body = `${ctx.method} ${bucket.name} ${principal.userId}`;
    },
    health: async () => ({ healthy: true }),
    metrics: async () => '',
    close: async () => undefined,
    mayChangeVersioning: async () => spy.mayChangeVersioning,
    replicationStatus: async () => spy.replicationStatus ?? 'COMPLETED',
    async announce(writes) {
      spy.announced.push(...writes);
      return {
        replicates: writes.map(() => spy.replicationStatus !== null),
        committed: async (committed) => void spy.committed.push(...committed),
        abandoned: async () => undefined,
      };
    },
  };
  return { spy, plugin };
}
