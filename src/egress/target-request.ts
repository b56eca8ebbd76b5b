/**
 * Signed requests to one target bucket: what all operations share.
 *
 * The path and the query are put together once, as text; that text is signed and sent.
 */
import type { RequestFailure, RequestResult } from '../model/delivery.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { canonicalValue } from '../model/header-value.ts';
import { exchange, type Answer, type WireRequest } from './exchange.ts';
import { SLOW_WINDOW_MS, type IdleWatch } from './idle-watch.ts';
import { EMPTY_BODY, type RequestBody } from './request-body.ts';
import { createSigner, formatAmzDate, type Header, type Signer } from './sigv4.ts';
import type { Silence } from './silence.ts';
import {
  answerFailure,
  breakdownFailure,
  isErrorDocument,
  unprovenFailure,
} from './target-answer.ts';
import type { TargetConnections } from './target-connections.ts';
import type { Proof } from './target-proof.ts';
import { encodeKey } from './uri-encoding.ts';

const USER_AGENT = 'alarik-replication';
/** Says to a server of our kind that the write is a replica, not to be replicated again. */
export const REPLICA_HEADER = 'x-alarik-replica';
const REPLICA: Header = [REPLICA_HEADER, 'true'];

export const UNSENDABLE: RequestFailure = { stage: 'unsendable', ambiguous: false };

/** A target as it is configured now, its secret in clear. */
export interface TargetConnection {
  readonly endpoint: Endpoint;
  readonly targetBucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  /** Kinds of non-public address that connections may reach; see egress/address.ts. */
  readonly exemptKinds: readonly string[];
}

export interface TargetRequest {
  readonly method: WireRequest['method'];
  readonly key: string;
  /** Canonical: encoded, sorted, `name=value`. */
  readonly query?: string | undefined;
  /** Signed, besides those that every request has. */
  readonly signed?: readonly Header[];
  readonly unsigned?: readonly Header[];
  readonly body?: RequestBody | undefined;
  readonly slowWindowMs?: number;
  readonly silence?: Silence | undefined;
  /** Said to `silence`; an answer unless it is set. */
  readonly awaits?: WireRequest['awaits'];
  readonly signal?: AbortSignal | undefined;
}

export interface TargetRequesterOptions {
  readonly connection: TargetConnection;
  readonly connections: TargetConnections;
  readonly watch: IdleWatch;
  /** Milliseconds since the epoch; signatures carry it. */
  readonly wallClockMs: () => number;
}

export class TargetRequester {
  readonly #options: TargetRequesterOptions;
  readonly #signer: Signer;
  readonly #host: string;
  readonly #root: string;

  constructor(options: TargetRequesterOptions) {
    this.#options = options;
    const { endpoint, targetBucket } = options.connection;
    this.#signer = createSigner(options.connection);
    this.#host = endpoint.origin.slice(endpoint.protocol.length + '//'.length);
    this.#root = `${endpoint.pathPrefix}/${targetBucket}/`;
  }

  /**
   * The answer, if its status is 2xx and its body no error; every other outcome as a failure. That the
   * target did what was asked is not proven by it.
   *
   * @throws SourceFailure
   */
  async send(request: TargetRequest): Promise<RequestResult<Answer>> {
    const key = encodeKey(request.key);
    if (key === null) return { ok: false, failure: UNSENDABLE };
    const { connections, watch } = this.#options;
    const result = await exchange(connections, watch, this.#wireRequest(request, key));
    const { answer } = result;
    if (answer === undefined) {
      return { ok: false, failure: breakdownFailure(result.breakdown, isWrite(request)) };
    }
    const isSuccess = answer.status >= 200 && answer.status < 300;
    // The status may go out before the work is done, so a failure may come as a document.
    if (!isSuccess || isErrorDocument(answer)) {
      return { ok: false, failure: this.#describe(answer, request) };
    }
    // A success before the body has left is a success of something else.
    if (!answer.allSent) return { ok: false, failure: unprovenFailure(answer, isWrite(request)) };
    return { ok: true, value: answer };
  }

  /** As {@link send}; a success that proves nothing is a failure too. @throws SourceFailure */
  async sendProven(request: TargetRequest, isProof: Proof): Promise<RequestResult<Answer>> {
    const result = await this.send(request);
    if (!result.ok || isProof(result.value)) return result;
    return { ok: false, failure: unprovenFailure(result.value, isWrite(request)) };
  }

  /** The failure that an answer is. */
  #describe(answer: Answer, request: Pick<TargetRequest, 'method'>): RequestFailure {
    return answerFailure(answer, {
      isWrite: isWrite(request),
      region: this.#options.connection.region,
      wallClockMs: this.#options.wallClockMs(),
    });
  }

  #wireRequest(request: TargetRequest, encodedKey: string): WireRequest {
    const { method, query = '', signed = [], unsigned = [], body = EMPTY_BODY } = request;
    const path = this.#root + encodedKey;
    const amzDate = formatAmzDate(this.#options.wallClockMs());
    const headers: Header[] = [
      ['host', this.#host],
      ['x-amz-content-sha256', body.sha256],
      ['x-amz-date', amzDate],
    ];
    // Sent as they are signed: a server that canonicalises in another way has nothing to do.
    for (const [name, value] of signed) headers.push([name, canonicalValue(value)]);
    if (isWrite(request)) headers.push(REPLICA);
    const payloadHash = body.sha256;
    const authorization = this.#signer.sign({ method, path, query, headers, payloadHash, amzDate });
    const onWire: string[] = [];
    for (const [name, value] of headers) onWire.push(name, value);
    for (const [name, value] of unsigned) onWire.push(name, value);
    onWire.push('user-agent', USER_AGENT, 'authorization', authorization);
    return {
      method,
      path: query === '' ? path : `${path}?${query}`,
      headers: onWire,
      body,
      slowWindowMs: request.slowWindowMs ?? SLOW_WINDOW_MS,
      silence: request.silence,
      awaits: request.awaits ?? 'answer',
      signal: request.signal,
    };
  }
}

function isWrite({ method }: Pick<TargetRequest, 'method'>): boolean {
  return method !== 'HEAD' && method !== 'GET';
}
