/**
 * S3 services that do to requests what services and networks do: each destination bucket keeps what
 * arrived, whenever it arrived, and the client is told something that may have nothing to do with it.
 */
import { createHash } from 'node:crypto';
import type { RemoteHead, TargetClient } from '../../src/egress/target-client.ts';
import type { UsableTarget } from '../../src/engine/engine.ts';
import type { ObjectHead } from '../../src/host.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import type { Random } from './random.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** How long the client waits for a connection that stands still. */
const IDLE_MS = 30_000;
/** The longest time after which a request that the client gave up is still applied. */
const LATE_MAX_MS = 25_000;

const STEADY_MS = 20;

export const GOOD_SECRET = 'correct';

export type Fault =
  | 'none'
  | 'refuse'
  | 'reset-before'
  | 'reset-after'
  | 'late'
  | 'stall'
  | 'cut'
  | '403'
  | '404'
  | '400'
  | '500'
  | '503'
  | 'slow'
  /** No fault, and always the same latency. */
  | 'steady';

export type FaultWeights = Readonly<Record<Fault, number>>;

export const NO_FAULTS: FaultWeights = {
  none: 1,
  refuse: 0,
  'reset-before': 0,
  'reset-after': 0,
  late: 0,
  stall: 0,
  cut: 0,
  '403': 0,
  '404': 0,
  '400': 0,
  '500': 0,
  '503': 0,
  slow: 0,
  steady: 0,
};

export type StoredObject = Pick<ObjectHead, 'size' | 'etag' | 'userMetadata' | 'tags'>;

/** What the process that sends a request is told about it, for the checkers. */
export interface RequestObserver {
  begin(key: string): () => void;
  /** Whether the process still lives. */
  isAlive(): boolean;
}

interface Script<T> {
  readonly result: RequestResult<T>;
  readonly answeredAfterMs: number;
  /** Null: never applied. */
  readonly appliedAfterMs: number | null;
}

const CLOSED: RequestFailure = { stage: 'transfer', code: 'ABORT_ERR', ambiguous: false };

export class FaultyTargets {
  weights: FaultWeights;
  /** By endpoint and destination bucket, then by key. */
  readonly #places = new Map<string, Map<string, StoredObject>>();
  readonly #clock: VirtualClock;
  readonly #random: Random;
  /** What requests meet instead, by endpoint. */
  readonly fixed = new Map<string, Fault>();
  requests = 0;
  /** Told of every write that arrives. */
  onApplied: (place: ReadonlyMap<string, StoredObject>, key: string) => void = () => undefined;

  constructor(clock: VirtualClock, random: Random, weights: FaultWeights) {
    this.#clock = clock;
    this.#random = random;
    this.weights = weights;
  }

  place({
    endpoint,
    targetBucket,
  }: {
    endpoint: string;
    targetBucket: string;
  }): Map<string, StoredObject> {
    const name = `${endpoint}/${targetBucket}`;
    const place = this.#places.get(name) ?? new Map<string, StoredObject>();
    this.#places.set(name, place);
    return place;
  }

  connect({ target, secretAccessKey }: UsableTarget, observer: RequestObserver): TargetClient {
    const place = this.place(target);
    let isClosed = false;
    const send = async <T>(
      key: string,
      isWrite: boolean,
      apply: () => T,
      signal: AbortSignal | undefined,
    ): Promise<RequestResult<T>> => {
      if (isClosed) return { ok: false, failure: CLOSED };
      return await this.#send(
        { endpoint: target.endpoint, isAuthorized: secretAccessKey === GOOD_SECRET },
        { key, isWrite, apply, signal },
        observer,
      );
    };
    const unsupported = (): never => {
      throw new Error('Objects of the simulation are small.');
    };
    return {
      headObject: (key, { signal } = {}) => send(key, false, () => headOf(place.get(key)), signal),
      putObject: (key, object, body, { signal } = {}) => {
        const etag = createHash('md5').update(body).digest('hex');
        const { userMetadata, tags } = object;
        const stored = { size: body.length, etag, userMetadata, tags };
        const apply = (): { etag: string; tagsRefused: boolean } => {
          place.set(key, stored);
          this.onApplied(place, key);
          return { etag, tagsRefused: false };
        };
        return send(key, true, apply, signal);
      },
      deleteObject: (key, { signal } = {}) =>
        send(
          key,
          true,
          () => {
            place.delete(key);
            return null;
          },
          signal,
        ),
      createMultipartUpload: unsupported,
      uploadPart: unsupported,
      listParts: unsupported,
      completeMultipartUpload: unsupported,
      abortMultipartUpload: unsupported,
      close: async () => void (isClosed = true),
      destroy: () => Promise.resolve(),
    };
  }

  #send<T>(
    { endpoint, isAuthorized }: { endpoint: string; isAuthorized: boolean },
    request: { key: string; isWrite: boolean; apply: () => T; signal: AbortSignal | undefined },
    observer: RequestObserver,
  ): Promise<RequestResult<T>> {
    this.requests += 1;
    const fault = isAuthorized
      ? (this.fixed.get(endpoint) ?? this.#random.weighted(this.weights))
      : '403';
    const { key, isWrite, apply, signal } = request;
    const script = this.#script<T>(fault, isWrite);
    const end = observer.begin(key);
    let applied: T | null = null;
    const arrive = (): void => {
      // What a dead process had sent may lie about in the network, though no longer than LINGER_MS.
      const isLate = (script.appliedAfterMs ?? 0) > IDLE_MS;
      if (!observer.isAlive() && !isLate && this.#random.chance(0.4)) {
        this.#clock.after(this.#random.between(0, LATE_MAX_MS), apply);
      } else {
        applied = apply();
      }
    };
    if (script.appliedAfterMs !== null) this.#clock.after(script.appliedAfterMs, arrive);
    return new Promise((resolve) => {
      const finish = (result: RequestResult<T>): void => {
        cancel();
        signal?.removeEventListener('abort', onAbort);
        end();
        if (observer.isAlive()) resolve(result);
      };
      const onAbort = (): void =>
        finish(failure({ stage: 'transfer', code: 'ABORT_ERR', ambiguous: isWrite }));
      const cancel = this.#clock.after(script.answeredAfterMs, () =>
        finish(script.result.ok ? { ok: true, value: applied as T } : script.result),
      );
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted === true) onAbort();
    });
  }

  #script<T>(fault: Fault, isWrite: boolean): Script<T> {
    const random = this.#random;
    const latency = random.between(2, 60);
    const unapplied = (after: number, described: Omit<RequestFailure, 'ambiguous'>): Script<T> => ({
      result: failure({ ...described, ambiguous: false }),
      answeredAfterMs: after,
      appliedAfterMs: null,
    });
    const unclear = (
      after: number,
      appliedAfterMs: number | null,
      described: Omit<RequestFailure, 'ambiguous'>,
    ): Script<T> => ({
      result: failure({ ...described, ambiguous: isWrite }),
      answeredAfterMs: after,
      appliedAfterMs: isWrite ? appliedAfterMs : null,
    });
    const reset = { stage: 'transfer', code: 'ECONNRESET' } as const;
    const timeout = { stage: 'transfer', code: 'ETIMEDOUT' } as const;
    switch (fault) {
      case 'none':
      case 'steady':
      case 'slow': {
        const latencies = { none: latency, steady: STEADY_MS, slow: random.between(1_000, 20_000) };
        const after = latencies[fault];
        return {
          result: { ok: true, value: null as T },
          answeredAfterMs: after,
          appliedAfterMs: after / 2,
        };
      }
      case 'refuse':
        return unapplied(latency, { stage: 'connect', code: 'ECONNREFUSED' });
      case 'reset-before':
        return unclear(latency, null, reset);
      case 'reset-after':
        return unclear(latency, latency / 2, reset);
      case 'late':
        return unclear(IDLE_MS, IDLE_MS + random.between(0, LATE_MAX_MS), timeout);
      case 'stall':
        return unclear(IDLE_MS, null, timeout);
      case 'cut':
        return unclear(latency, latency / 2, { stage: 'transfer', code: 'UND_ERR_SOCKET' });
      case '403':
        return unapplied(latency, { stage: 'answer', status: 403, code: 'SignatureDoesNotMatch' });
      case '404':
        return unapplied(latency, { stage: 'answer', status: 404, code: 'NoSuchBucket' });
      case '400':
        return unapplied(latency, { stage: 'answer', status: 400, code: 'InvalidArgument' });
      case '500': {
        const appliedAfterMs = random.chance(0.5) ? latency / 2 : null;
        return unclear(latency, appliedAfterMs, { stage: 'answer', status: 500 });
      }
      case '503': {
        const retryAfterMs = random.between(0, 20) * 1_000;
        return unapplied(latency, { stage: 'answer', status: 503, code: 'SlowDown', retryAfterMs });
      }
    }
  }
}

/** Each schedule has faults of its own; some have few, so that queues run empty in between. */
export function drawWeights(random: Random): FaultWeights {
  const severity = random.pick([0.05, 0.3, 1, 3]);
  const faults = Object.keys(NO_FAULTS).map((fault) => [
    fault,
    fault === 'none' ? 8 : fault !== 'steady' && random.chance(0.5) ? severity * random.next() : 0,
  ]);
  return Object.fromEntries(faults) as FaultWeights;
}

function failure<T>(described: RequestFailure): RequestResult<T> {
  return { ok: false, failure: described };
}

function headOf(object: StoredObject | undefined): RemoteHead {
  if (object === undefined) return { exists: false };
  const { etag, size, userMetadata, tags } = object;
  return {
    exists: true,
    etag,
    size,
    userMetadata,
    systemHeaders: { 'content-type': 'binary/octet-stream' },
    replica: true,
    tagCount: Object.keys(tags).length,
  };
}
