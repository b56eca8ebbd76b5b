/**
 * The S3 client of one lane: what the engine asks of a target, with every outcome as a value.
 *
 * Requests are path-style and signed anew each time; nothing is retried here, with one exception: a
 * target that answers 501 to an object with tags gets it again without them, and the result says so.
 * The only exception thrown is SourceFailure, for the local side of an upload.
 */
import type { ObjectHead } from '../host.ts';
import type { RequestResult } from '../model/delivery.ts';
import type { AddressPolicy } from './address.ts';
import { IdleWatch } from './idle-watch.ts';
import { readObjectHeaders, type ObjectMetadata } from './object-headers.ts';
import { bodyFromMemory } from './request-body.ts';
import type { Resolution, ResolverClock } from './resolver.ts';
import type { Header } from './sigv4.ts';
import { contradictsEtag, integrityFailure, normalizeEtag } from './target-answer.ts';
import { TargetConnections } from './target-connections.ts';
import { createMultipart, type TargetMultipart } from './target-multipart.ts';
import { deleteIfPresent, sendWithMetadata, type RequestOptions } from './target-sending.ts';
import {
  REPLICA_HEADER,
  TargetRequester,
  type TargetConnection,
  type TargetRequest,
} from './target-request.ts';

/** What the target has under a key. */
export type RemoteHead =
  | { readonly exists: false }
  | ({
      readonly exists: true;
      /** Without quotes; null where the target gave none. */
      readonly etag: string | null;
      /** In bytes; null where the target did not say. */
      readonly size: number | null;
      /** Whether the target says that the object came by replication. */
      readonly replica: boolean;
      /** From `x-amz-tagging-count`; null where the target did not say. */
      readonly tagCount: number | null;
    } & Pick<ObjectHead, 'systemHeaders' | 'userMetadata'>);

export interface StoredObject {
  /** Without quotes; null where the target gave none. */
  readonly etag: string | null;
  /** The target refused the tags and has the object without them. */
  readonly tagsRefused: boolean;
}

export interface TargetClient extends TargetMultipart {
  headObject(key: string, options?: RequestOptions): Promise<RequestResult<RemoteHead>>;
  /** Stores a body from memory; the target verifies its SHA-256 and MD5, and its ETag is compared. */
  putObject(
    key: string,
    object: ObjectMetadata,
    body: Buffer,
    options?: RequestOptions,
  ): Promise<RequestResult<StoredObject>>;
  /** Succeeds too where there is no such key. */
  deleteObject(key: string, options?: RequestOptions): Promise<RequestResult<null>>;
  /** Lets requests on the wire finish; later ones, and those that still connect, fail with `ABORT_ERR`. */
  close(): Promise<void>;
  /** Ends running requests as failures. */
  destroy(): Promise<void>;
}

export interface TargetClientOptions {
  readonly connection: TargetConnection;
  readonly addresses: AddressPolicy;
  /** Bounded: the engine's resolver, shared by its lanes. */
  readonly resolver: { resolve(hostname: string): Promise<Resolution> };
  /** Monotonic time for limits, wall clock for signatures. */
  readonly clock: ResolverClock & { wallClockMs(): number };
  /** Connections at a time; further requests wait for one. */
  readonly connections: number;
  /** Certificates (PEM) trusted besides Mozilla's. */
  readonly certificateAuthorities?: readonly string[];
}

/**
 * Opens nothing yet.
 *
 * @example
 * const client = createTargetClient({ connection, addresses, resolver, clock, connections: 8 });
 * const result = await client.putObject('a/b', head, body);
 * if (!result.ok) console.log(judge(result.failure).reason);
 */
export function createTargetClient(options: TargetClientOptions): TargetClient {
  const { connection, clock } = options;
  const connections = new TargetConnections({
    endpoint: connection.endpoint,
    exemptKinds: connection.exemptKinds,
    addresses: options.addresses,
    resolver: options.resolver,
    clock,
    connections: options.connections,
    ...(options.certificateAuthorities === undefined
      ? {}
      : { certificateAuthorities: options.certificateAuthorities }),
  });
  const watch = new IdleWatch(clock);
  const wallClockMs = (): number => clock.wallClockMs();
  const requester = new TargetRequester({ connection, connections, watch, wallClockMs });
  return {
    headObject: (key, { signal } = {}) => headObject(requester, { method: 'HEAD', key, signal }),
    putObject: (key, object, body, options) => putObject(requester, key, object, body, options),
    deleteObject: (key, { signal } = {}) =>
      deleteIfPresent(requester, { method: 'DELETE', key, signal }, ['NoSuchKey', 'NoSuchVersion']),
    ...createMultipart(requester),
    async close() {
      await connections.close();
      watch.close();
    },
    async destroy() {
      watch.close();
      await connections.destroy();
    },
  };
}

async function headObject(
  requester: TargetRequester,
  request: TargetRequest,
): Promise<RequestResult<RemoteHead>> {
  const result = await requester.send(request);
  if (!result.ok) {
    // HEAD errors carry no code: a missing bucket reads the same, and shows at the next write.
    const { stage, status } = result.failure;
    return stage === 'answer' && status === 404 ? { ok: true, value: { exists: false } } : result;
  }
  const { headers } = result.value;
  return {
    ok: true,
    value: {
      exists: true,
      etag: normalizeEtag(headers.etag),
      size: parseCount(headers['content-length']),
      replica:
        headers[REPLICA_HEADER] === 'true' || headers['x-amz-replication-status'] === 'REPLICA',
      tagCount: parseCount(headers['x-amz-tagging-count']),
      ...readObjectHeaders(headers),
    },
  };
}

async function putObject(
  requester: TargetRequester,
  key: string,
  object: ObjectMetadata,
  bytes: Buffer,
  { signal }: RequestOptions = {},
): Promise<RequestResult<StoredObject>> {
  const body = bodyFromMemory(bytes);
  const signed: Header[] = [['content-md5', body.md5.toString('base64')]];
  const sent = await sendWithMetadata(requester, object, {
    method: 'PUT',
    key,
    signed,
    body,
    signal,
  });
  if (!sent.ok) return sent;
  const { answer, tagsRefused } = sent.value;
  const etag = normalizeEtag(answer.headers.etag);
  if (contradictsEtag(etag, body.md5.toString('hex'), answer.headers)) {
    return { ok: false, failure: integrityFailure(answer) };
  }
  return { ok: true, value: { etag, tagsRefused } };
}

function parseCount(value: string | undefined): number | null {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : null;
}
