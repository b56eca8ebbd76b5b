/**
 * The smallest host that a bench can hang the plugin on: buckets in a Map, one token, a log that
 * drops its lines, as what a log costs is the host's choice.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Bucket, Host, Logger } from '../../src/host.ts';

export const OWNER = { userId: 'owner', isAdmin: true } as const;
export const AUTHORIZATION = 'Bearer bench';

const drop = (): void => undefined;
const silentLogger: Logger = { debug: drop, info: drop, warn: drop, error: printError };

function printError(fields: object, message: string): void {
  process.stderr.write(`${message} ${'err' in fields ? String(fields.err) : ''}\n`);
}

export type HostObjects = Pick<Host, 'openObject' | 'headCurrent' | 'listCurrent'>;

const noObjects: HostObjects = {
  openObject: async () => null,
  headCurrent: async () => null,
  listCurrent: async () => ({ objects: [] }),
};

export function bucketName(n: number): string {
  return `bucket-${n}`;
}

/** Buckets `bucket-0` to `bucket-<n-1>`, all of one owner, versioning enabled. */
export function makeBuckets(count: number): Map<string, Bucket> {
  return new Map(
    Array.from({ length: count }, (_, n) => {
      const name = bucketName(n);
      return [name, { id: `id-of-${name}`, name, ownerId: OWNER.userId, versioning: 'Enabled' }];
    }),
  );
}

export function createBenchHost(
  dataDirectory: string,
  buckets: ReadonlyMap<string, Bucket>,
  objects: HostObjects = noObjects,
): Host {
  return {
    apiVersion: '1.0',
    logger: silentLogger,
    dataDirectory,
    authenticate: async (ctx) => (ctx.get('authorization') === AUTHORIZATION ? OWNER : null),
    findBucket: async (name) => buckets.get(name) ?? null,
    withBucketLock: (name, work) => work(buckets.get(name) ?? null),
    ...objects,
  };
}

export async function listen(listener: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

export async function stopListening(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
