/**
 * What every operation of the S3 API gets: the request, authenticated and taken apart, and the
 * services that it may use.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Context } from 'koa';
import type { Bucket, Plugin, Principal } from '../../host.ts';
import type { BucketLifecycle } from '../bucket-lifecycle.ts';
import type { Buckets } from '../buckets.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import type { Identity } from './authentication.ts';
import { S3Error } from './errors.ts';
import type { RequestTarget } from './request-target.ts';

/**
 * A write with this header, `true` and signed, comes from another server's replication and is not
 * replicated again. Only a bucket's owner can write to it, so the signature is the owner's.
 */
export const REPLICA_HEADER = 'x-alarik-replica';

export interface S3Request {
  readonly ctx: Context;
  readonly requestId: string;
  readonly headers: IncomingHttpHeaders;
  readonly target: RequestTarget;
  readonly identity: Identity;
  /** How long a body may make no progress. */
  readonly bodyIdleMs: number;
}

export interface S3Services {
  readonly region: string;
  readonly buckets: Pick<Buckets, 'find' | 'list'>;
  readonly lifecycle: Pick<BucketLifecycle, 'create' | 'remove' | 'setVersioning'>;
  readonly objects: ObjectStore;
  /** The account behind a user id. */
  readonly principalOf: (userId: string) => Principal | null;
  /** Absent while no plugin is loaded. */
  readonly plugin?: Pick<Plugin, 'bucketReplication' | 'replicationStatus'>;
}

/** Answers the request, or throws an S3Error, ObjectError or ApiError that is answered instead. */
export type Operation = (request: S3Request, services: S3Services) => Promise<void>;

/**
 * The bucket of the request.
 *
 * @throws S3Error NoSuchBucket, AccessDenied for anybody but its owner, administrators included
 */
export function ownBucket(request: S3Request, services: S3Services): Bucket {
  return ownBucketNamed(request.target.bucket, request, services);
}

/** As {@link ownBucket}, for a bucket that is named elsewhere, such as the source of a copy. */
export function ownBucketNamed(name: string, request: S3Request, services: S3Services): Bucket {
  const bucket = services.buckets.find(name);
  if (bucket === null) throw new S3Error('NoSuchBucket', { elements: { BucketName: name } });
  if (bucket.ownerId !== request.identity.userId) throw new S3Error('AccessDenied');
  return bucket;
}

export function isReplica({ headers, identity }: S3Request): boolean {
  return headers[REPLICA_HEADER] === 'true' && identity.signedHeaders.has(REPLICA_HEADER);
}
