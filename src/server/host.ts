/**
 * The server as a plugin sees it: the host contract, made of the parts that implement it.
 */
import type { Host, Logger } from '../host.ts';
import type { Authenticator } from './authenticator.ts';
import type { Buckets } from './buckets.ts';

/** What this server offers; see the version note in the contract. */
export const HOST_API_VERSION = '1.0';

export type HostObjects = Pick<Host, 'openObject' | 'headCurrent' | 'listCurrent'>;

export interface HostOptions {
  readonly logger: Logger;
  /** Absolute. */
  readonly dataDirectory: string;
  readonly authenticator: Authenticator;
  readonly buckets: Buckets;
  readonly objects: HostObjects;
}

export function createHost(options: HostOptions): Host {
  const { authenticator, buckets, objects } = options;
  return {
    apiVersion: HOST_API_VERSION,
    logger: options.logger,
    dataDirectory: options.dataDirectory,
    authenticate: (ctx) => authenticator.authenticate(ctx),
    findBucket: async (name) => buckets.find(name),
    withBucketLock: (name, work) => buckets.withLock(name, work),
    openObject: (ref, range) => objects.openObject(ref, range),
    headCurrent: (bucket, key) => objects.headCurrent(bucket, key),
    listCurrent: (bucket, prefix, after) => objects.listCurrent(bucket, prefix, after),
  };
}
