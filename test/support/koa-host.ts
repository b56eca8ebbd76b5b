/**
 * The smallest host: a plain Koa app with buckets in a Map and tokens that name users. It proves
 * that the contract of src/host.ts suffices without the reference server.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import type { Bucket, Host, Logger, Plugin, Principal, VersioningStatus } from '../../src/host.ts';
import { activate, type SystemDependencies } from '../../src/plugin.ts';

export const OWNER = 'owner-token';
export const OTHER = 'other-token';
export const ADMIN = 'admin-token';

const knownPrincipals: readonly (readonly [string, Principal])[] = [
  [`Bearer ${OWNER}`, { userId: 'owner', isAdmin: false }],
  [`Bearer ${OTHER}`, { userId: 'other', isAdmin: false }],
  [`Bearer ${ADMIN}`, { userId: 'admin', isAdmin: true }],
];

export interface LogLine extends Record<string, unknown> {
  readonly level: string;
  readonly message: string;
}

export interface KoaHostOptions {
  readonly dataDirectory: string;
  readonly pluginOptions?: unknown;
  /** Buckets that live already, for instance those of a host that was stopped. */
  readonly buckets?: ReadonlyMap<string, Bucket>;
  readonly system?: Partial<SystemDependencies>;
  /** What the buckets hold; nothing unless told otherwise. */
  readonly objects?: HeldObjects;
}

export type HeldObjects = Pick<Host, 'openObject' | 'headCurrent' | 'listCurrent'>;

const NO_OBJECTS: HeldObjects = {
  openObject: async () => null,
  headCurrent: async () => null,
  listCurrent: async () => ({ objects: [] }),
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed body; undefined where it is not JSON. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers freely
  readonly json: any;
}

export interface KoaHost {
  readonly url: string;
  readonly plugin: Plugin;
  readonly host: Host;
  readonly logs: LogLine[];
  readonly buckets: Map<string, Bucket>;
  /** Who a value of the Authorization header stands for; tests add users and take rights away. */
  readonly principals: Map<string, Principal>;
  addBucket(name: string, ownerId?: string, versioning?: VersioningStatus): Bucket;
  /** Sends a request with the owner's token unless `token` says otherwise (null: none). */
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  close(): Promise<void>;
}

export interface RequestOptions {
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
  /** A string or bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown;
}

export async function startKoaHost(options: KoaHostOptions): Promise<KoaHost> {
  const buckets = new Map(options.buckets);
  const logs: LogLine[] = [];
  const principals = new Map(knownPrincipals);
  const { dataDirectory, objects = NO_OBJECTS } = options;
  const host = createHost(dataDirectory, { buckets, principals, logs }, objects);
  const plugin = await activate(host, options.pluginOptions ?? {}, options.system);
  const app = new Koa();
  app.on('error', (error: unknown) => logs.push({ level: 'koa', message: 'unhandled', error }));
  app.use(plugin.middleware);
  app.use(async (ctx) => {
    const bucket = buckets.get(ctx.path.slice(1));
    if (bucket === undefined || !('replication' in ctx.query)) return;
    ctx.set('x-amz-request-id', 'S3REQUEST');
    await plugin.bucketReplication(ctx, bucket, { userId: bucket.ownerId, isAdmin: false });
  });
  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- Koa's callback never rejects
  const server = createServer(app.callback());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    plugin,
    host,
    logs,
    buckets,
    principals,
    addBucket(name, ownerId = 'owner', versioning = 'Enabled') {
      const bucket = { id: randomUUID(), name, ownerId, versioning };
      buckets.set(name, bucket);
      return bucket;
    },
    request: (method, path, request) => sendRequest(url, method, path, request),
    async close() {
      await closeServer(server);
      await plugin.close();
    },
  };
}

export async function sendRequest(
  url: string,
  method: string,
  path: string,
  { token = OWNER, headers = {}, body }: RequestOptions = {},
): Promise<Answer> {
  const raw = typeof body === 'string' || body instanceof Uint8Array || body === undefined;
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { body: raw ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parseJson(text) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function createHost(
  dataDirectory: string,
  state: Pick<KoaHost, 'buckets' | 'principals' | 'logs'>,
  objects: HeldObjects,
): Host {
  const { buckets, principals, logs } = state;
  const log = (level: string) => (fields: object, message: string) => {
    logs.push({ level, message, ...fields });
  };
  const logger: Logger = {
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
  };
  // One lock for all buckets is correct, if slow.
  let lock: Promise<unknown> = Promise.resolve();
  return {
    apiVersion: '1.0',
    logger,
    dataDirectory,
    authenticate: async (ctx) => principals.get(ctx.get('authorization')) ?? null,
    findBucket: async (name) => buckets.get(name) ?? null,
    withBucketLock(name, work) {
      const result = lock.then(() => work(buckets.get(name) ?? null));
      lock = result.catch(() => undefined);
      return result;
    },
    openObject: (ref, range) => objects.openObject(ref, range),
    headCurrent: (bucket, key) => objects.headCurrent(bucket, key),
    listCurrent: (bucket, prefix, after) => objects.listCurrent(bucket, prefix, after),
  };
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
