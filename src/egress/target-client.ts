/**
 * The S3 client of one lane: what the engine asks of a target, with every outcome as a value.
 *
 * Requests are path-style and signed anew each time. A success is one that the answer proves
 * (target-proof.ts). Nothing is retried here, with one exception: a target that may have refused an
 * object for its tags gets it again without them, and the result says so. The only exception thrown is
 * SourceFailure, for the local side of an upload.
 */
import type { ObjectHead } from '../host.ts';
import type { RequestResult } from '../model/delivery.ts';
import type { AddressPolicy } from './address.ts';
import { IdleWatch } from './idle-watch.ts';
import { readObjectHeaders, type ObjectMetadata } from './object-headers.ts';
import { bodyFromMemory, bodyOf, type BodySource } from './request-body.ts';
import type { Resolution, ResolverClock } from './resolver.ts';
import type { Header } from './sigv4.ts';
import { TagSupport } from './tag-support.ts';
import { normalizeEtag } from './target-answer.ts';
import { TargetConnections } from './target-connections.ts';
import { createMultipart, type TargetMultipart } from './target-multipart.ts';
import { isTagged } from './target-proof.ts';
import {
  REPLICA_HEADER,
  TargetRequester,
  UNSENDABLE,
  type TargetConnection,
  type TargetRequest,
} from './target-request.ts';
import {
  deleteIfPresent,
  readStored,
  sendWithMetadata,
  type RequestOptions,
  type Sender,
  type TagsSent,
} from './target-sending.ts';
import { listMultipartUploads, type TargetUploads } from './target-uploads.ts';
import { taggingXml } from './target-xml.ts';

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
  /** Without quotes. */
  readonly etag: string;
  readonly tags: TagsSent;
}

export interface TargetClient extends TargetMultipart, TargetUploads {
  headObject(key: string, options?: RequestOptions): Promise<RequestResult<RemoteHead>>;
  /**
   * The target verifies SHA-256 and MD5 of the body, and its ETag is compared. A source is opened once to
   * be hashed, and once each time it is sent: twice where the target refuses the tags at first.
   *
   * @throws SourceFailure
   */
  putObject(
    key: string,
    object: ObjectMetadata,
    body: Buffer | BodySource,
    options?: RequestOptions,
  ): Promise<RequestResult<StoredObject>>;
  /** Replaces the tags of an object; none are a set too. */
  putObjectTagging(
    key: string,
    tags: Readonly<Record<string, string>>,
    options?: RequestOptions,
  ): Promise<RequestResult<null>>;
  /** Succeeds too where there is no such key. */
  deleteObject(key: string, options?: RequestOptions): Promise<RequestResult<null>>;
  /** Whether any connection stands. */
  isConnected(): boolean;
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
  const sender = { requester, tagSupport: new TagSupport(clock) };
  return {
    headObject: (key, options) => headObject(requester, { ...options, method: 'HEAD', key }),
    putObject: (key, object, body, options) => putObject(sender, key, object, body, options),
    putObjectTagging: (key, tags, options) => putObjectTagging(requester, key, tags, options),
    deleteObject: (key, options) =>
      deleteIfPresent(requester, { ...options, method: 'DELETE', key }, [
        'NoSuchKey',
        'NoSuchVersion',
      ]),
    ...createMultipart(sender),
    listMultipartUploads: (key, options) => listMultipartUploads(requester, key, options),
    isConnected: () => connections.isConnected,
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
  const result = await requester.sendProven(request, ({ status }) => status === 200);
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
  sender: Sender,
  key: string,
  object: ObjectMetadata,
  source: Buffer | BodySource,
  options: RequestOptions = {},
): Promise<RequestResult<StoredObject>> {
  const body = await bodyOf(source);
  const signed: Header[] = [['content-md5', body.md5.toString('base64')]];
  const request = { ...options, method: 'PUT', key, signed, body } as const;
  return sendWithMetadata(sender, object, request, (answer) =>
    readStored(answer, body.md5.toString('hex')),
  );
}

async function putObjectTagging(
  requester: TargetRequester,
  key: string,
  tags: Readonly<Record<string, string>>,
  options: RequestOptions = {},
): Promise<RequestResult<null>> {
  const xml = taggingXml(tags);
  if (xml === null) return { ok: false, failure: UNSENDABLE };
  const body = bodyFromMemory(Buffer.from(xml));
  const signed: Header[] = [
    ['content-md5', body.md5.toString('base64')],
    ['content-type', 'application/xml'],
  ];
  const request = { ...options, method: 'PUT', key, query: 'tagging=', signed, body } as const;
  const result = await requester.sendProven(request, isTagged);
  return result.ok ? { ok: true, value: null } : result;
}

function parseCount(value: string | undefined): number | null {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : null;
}
