/**
 * The contract between a storage server (the host) and this plugin: types only.
 *
 * The host reads `plugin.json`, checks `hostApi` and the options, imports the entry module and calls
 * its `activate(host, options)`. What it gets back is a {@link Plugin}. Only the hooks that the
 * manifest lists under `hooks` exist on that object; a host must not call others.
 *
 * Host API version 1.0. A minor version adds, a major version breaks.
 */
import type { Readable } from 'node:stream';
import type { Context, Middleware } from 'koa';

/** Who sent a request, as the host's own authentication sees it. */
export interface Principal {
  readonly userId: string;
  readonly isAdmin: boolean;
}

export type VersioningStatus = 'Disabled' | 'Enabled' | 'Suspended';

/** What names a bucket for good: `id` is never used again, also when `name` is. */
export interface BucketRef {
  readonly id: string;
  readonly name: string;
}

export interface Bucket extends BucketRef {
  readonly ownerId: string;
  readonly versioning: VersioningStatus;
}

/** Structured logger; pino fits. Fields come first, then one sentence. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Names one stored version of an object; an unversioned object has the version id `null` (the word, as in S3). */
export interface ObjectRef {
  readonly bucket: BucketRef;
  readonly key: string;
  readonly versionId: string;
}

/** Headers that belong to the object itself; a name is present only where the object has it. */
export interface SystemHeaders {
  readonly 'content-type'?: string;
  readonly 'cache-control'?: string;
  readonly 'content-disposition'?: string;
  readonly 'content-encoding'?: string;
  readonly 'content-language'?: string;
  readonly expires?: string;
}

/** One version of one key: an object, or a delete marker (then size 0 and no headers). */
export interface ObjectHead {
  readonly key: string;
  readonly versionId: string;
  /** Strictly increasing per key; assigned in the transaction that committed the version. */
  readonly order: number;
  readonly deleteMarker: boolean;
  /** Whether it came from another server's replication and so is not replicated again. */
  readonly replica: boolean;
  readonly size: number;
  /** Without quotes: MD5 as hex, or `md5(md5s)-parts` for a multipart upload. */
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly lastModified: number;
  readonly systemHeaders: SystemHeaders;
  /** User metadata by lower-case name, without the `x-amz-meta-` prefix. */
  readonly userMetadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

/** Bytes `start` to `end`, both inclusive, as in RFC 9110 section 14.1.2. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface OpenedObject {
  readonly head: ObjectHead;
  readonly body: Readable;
}

export interface ObjectPage {
  /** Current objects in UTF-8 byte order of their keys, no delete markers. */
  readonly objects: readonly ObjectHead[];
  /** Pass as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

/** What the plugin may ask of the server. */
export interface Host {
  /** The host API version that the server offers, `major.minor`. */
  readonly apiVersion: string;
  readonly logger: Logger;
  /** An absolute path; the plugin keeps what it stores in folders of its own below it. */
  readonly dataDirectory: string;

  /** Who sent this admin API request, or null where it carries no valid credentials. Never throws for bad ones. */
  authenticate(ctx: Context): Promise<Principal | null>;
  /** The live bucket of that name, or null. */
  findBucket(name: string): Promise<Bucket | null>;
  /**
   * Runs `work` while no change of the bucket's versioning status and no deletion of the bucket can
   * happen; the bucket is read under the lock, null where there is none.
   */
  withBucketLock<T>(name: string, work: (bucket: Bucket | null) => Promise<T>): Promise<T>;

  /** Opens exactly that version, or null where it is gone or a delete marker. The caller reads or destroys `body`. */
  openObject(ref: ObjectRef, range?: ByteRange): Promise<OpenedObject | null>;
  /** What a GET of the key without a version would see, delete markers included; null where the key has no version. */
  headCurrent(bucket: BucketRef, key: string): Promise<ObjectHead | null>;
  /** Current objects whose key starts with `prefix` and sorts after `after`, at most 1,000. */
  listCurrent(bucket: BucketRef, prefix: string, after?: string): Promise<ObjectPage>;
}

/** A change of what is current for a key, before it is committed. */
export interface AnnouncedWrite {
  readonly bucket: BucketRef;
  readonly key: string;
  readonly operation: 'put' | 'delete';
  /** What is current before the write; null where nothing is, or a delete marker. */
  readonly before: { readonly versionId: string; readonly order: number } | null;
}

/** The change as it was committed. */
export interface CommittedWrite {
  readonly bucket: BucketRef;
  readonly key: string;
  /** `put`: `versionId` is now the current object. `delete`: nothing, or a delete marker, is current. */
  readonly operation: 'put' | 'delete';
  /** The version that is now current; null where the key has no version left. */
  readonly versionId: string | null;
  readonly order: number;
  readonly replica: boolean;
}

/** The second half of {@link Plugin.announce}; exactly one of the two is called, once. */
export interface Announcement {
  /**
   * For each announced write, in order, whether a rule replicates it; missing entries mean no. The
   * host stores it with the version and asks {@link Plugin.replicationStatus} of such versions alone.
   */
  readonly replicates: readonly boolean[];
  /**
   * Reports what was committed, in the order of the announced writes (a write that turned out to
   * change nothing is left out). Await it outside all locks before answering: it is where a
   * synchronous rule waits.
   */
  committed(writes: readonly CommittedWrite[]): Promise<void>;
  /** The writes did not happen. */
  abandoned(): Promise<void>;
}

export type ReplicationStatus = 'PENDING' | 'COMPLETED' | 'FAILED';

export interface Health {
  readonly healthy: boolean;
  /** One sentence, without names of buckets, users or endpoints. */
  readonly reason?: string;
}

/** What `activate` returns. */
export interface Plugin {
  /** Koa middleware that serves the admin API and passes every other path on. */
  readonly middleware: Middleware;
  /**
   * Answers `GET`, `PUT` and `DELETE /:bucket?replication` of the host's S3 API, errors included.
   * The host has authenticated the request and checked that the caller owns the bucket.
   */
  bucketReplication(ctx: Context, bucket: Bucket, principal: Principal): Promise<void>;
  health(): Promise<Health>;
  /** In the Prometheus text format 0.0.4, without names of buckets, users or endpoints. */
  metrics(): Promise<string>;
  /**
   * Finishes what runs and closes the store. Idempotent: further calls share the first one's promise.
   *
   * A host calls it once no request is served any more, and closes what the plugin uses afterwards.
   *
   * @param options.limitMs the most that all of it may take, default 8,000; what is in flight has the
   *   time before the last 4 seconds, then it is ended and given back
   */
  close(options?: { readonly limitMs?: number }): Promise<void>;

  /** Hook. The bucket is gone for good: forget its targets, credentials and rules. Durable when it resolves. */
  bucketDeleted?(bucket: BucketRef): Promise<void>;
  /** Hook. Called under the bucket's lock: whether versioning may leave `Enabled`. */
  mayChangeVersioning?(bucket: BucketRef, to: VersioningStatus): Promise<boolean>;
  /**
   * Hook. Called once the bodies are on disk and before the versions are committed. Resolves when the
   * intent is durable; a rejection means that the write must be refused (503): its code is
   * `InsufficientStorage` where the disk has no room, for which puts alone are refused. Bodies that are
   * not announced are the host's duty: it refuses them too below its own limit, or the disk fills up.
   */
  announce?(writes: readonly AnnouncedWrite[]): Promise<Announcement>;
  /**
   * Hook. The value of `x-amz-replication-status` for a version that was announced as replicating:
   * PENDING while it is queued, FAILED where it was given up, else COMPLETED. Replicas are REPLICA;
   * the host knows them by itself.
   */
  replicationStatus?(ref: ObjectRef): Promise<ReplicationStatus>;
}

/** What the entry module that `plugin.json` names exports. */
export interface PluginModule {
  /** Options that fit the manifest's options schema. Throws before anything is opened where they do not. */
  activate(host: Host, options: unknown): Promise<Plugin>;
}
