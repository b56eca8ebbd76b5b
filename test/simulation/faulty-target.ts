/**
 * S3 services that do to requests what services and networks do: each destination bucket keeps what
 * arrived, whenever it arrived, and the client is told something that may have nothing to do with it.
 *
 * It takes the client's place, as sockets know no virtual clock and no seed; what goes over sockets
 * meets test/support/fake-target/.
 */
import type { StoredObject, TargetClient } from '../../src/egress/target-client.ts';
import type { RemoteHead } from '../../src/egress/target-client.ts';
import type { RequestOptions } from '../../src/egress/target-sending.ts';
import type { UsableTarget } from '../../src/engine/engine.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { isDenied } from '../../src/model/outcome-rules.ts';
import { LINGER_MS } from '../../src/model/delivery.ts';
import { readBody } from './bodies.ts';
import type { RequestKind, WatchedRequest } from './chain-watch.ts';
import {
  drawScript,
  failure,
  IDLE_MS,
  LATE_MAX_MS,
  type Fault,
  type FaultWeights,
  type Script,
} from './faults.ts';
import { Place } from './place.ts';
import type { Random } from './random.ts';
import { REFUSED, Traits, type Whim } from './traits.ts';
import type { VirtualClock } from './virtual-clock.ts';

export const GOOD_SECRET = 'correct';

/** What the process that sends a request is told about it, for the checkers. */
export interface RequestObserver {
  begin(request: WatchedRequest): (isDone: boolean) => void;
  /** It was told that an upload, which it wanted to be aborted, is not there. */
  saidToBeGone(uploadId: string): void;
  /** Whether the server has, or had, that upload in its store. */
  wasStored(uploadId: string): boolean;
  /** Whether the process still lives. */
  isAlive(): boolean;
}

/** What a request does where it arrives. */
type Apply<T> = () => RequestResult<T>;

interface Sent<T> {
  readonly key: string;
  readonly kind: RequestKind;
  readonly apply: Apply<T>;
  readonly options: RequestOptions;
  /** By default as the kind says. */
  readonly isWrite?: boolean;
  readonly partOf?: string | null;
  readonly resumes?: WatchedRequest['resumes'];
}

const CLOSED: RequestFailure = { stage: 'transfer', code: 'ABORT_ERR', ambiguous: false };

export class FaultyTargets {
  weights: FaultWeights;
  /** By endpoint and destination bucket. */
  readonly #places = new Map<string, Place>();
  readonly #clock: VirtualClock;
  readonly #random: Random;
  /** What requests meet instead, by endpoint. */
  readonly fixed = new Map<string, Fault>();
  /** Whether they do not say what they made of an upload. */
  areSilent = false;
  traits = new Traits(0);
  requests = 0;
  #uploads = 0;
  /** Monotonic. */
  #refusesUntil = 0;
  /** Every object and every delete is refused for what it is. */
  refusesObjects = false;
  /** Told of every object that arrives. */
  onApplied: (place: Place, key: string) => void = () => undefined;

  constructor(clock: VirtualClock, random: Random, weights: FaultWeights) {
    this.#clock = clock;
    this.#random = random;
    this.weights = weights;
  }

  place({ endpoint, targetBucket }: { endpoint: string; targetBucket: string }): Place {
    const name = `${endpoint}/${targetBucket}`;
    const place = this.#places.get(name) ?? new Place();
    this.#places.set(name, place);
    return place;
  }

  /** Nobody is there: whoever sends something knows that it did not arrive. */
  refuseFor(ms: number): void {
    this.#refusesUntil = Math.max(this.#refusesUntil, this.#clock.monotonicMs() + ms);
  }

  places(): readonly Place[] {
    return [...this.#places.values()];
  }

  connect({ target, secretAccessKey }: UsableTarget, observer: RequestObserver): TargetClient {
    const place = this.place(target);
    const access = {
      endpoint: target.endpoint,
      isAuthorized: secretAccessKey === GOOD_SECRET,
    };
    let isClosed = false;
    const send = async <T>(sent: Sent<T>): Promise<RequestResult<T>> =>
      isClosed ? { ok: false, failure: CLOSED } : this.#send(access, sent, observer);
    return {
      headObject: (key, options = {}) =>
        send({ key, kind: 'look', apply: () => done(this.#look(place, key)), options }),
      putObject: async (key, { userMetadata, tags }, body, options = {}) => {
        const { md5, size } = await readBody(body);
        const etag = md5.toString('hex');
        const apply = (): RequestResult<StoredObject> => {
          place.objects.set(key, { size, etag, userMetadata, tags });
          this.onApplied(place, key);
          return done({ etag, tags: 'done' });
        };
        return send({ key, kind: 'write', apply, options });
      },
      putObjectTagging: (key, tags, options = {}) => {
        const apply = (): RequestResult<null> => {
          const stored = place.objects.get(key);
          if (stored === undefined)
            return failure({ stage: 'answer', status: 404, code: 'NoSuchKey', ambiguous: false });
          place.objects.set(key, { ...stored, tags });
          return done(null);
        };
        return send({ key, kind: 'write', apply, options });
      },
      listMultipartUploads: (key, options = {}) => {
        const apply = (): Awaited<ReturnType<TargetClient['listMultipartUploads']>> => {
          const uploads = [...place.uploads]
            .filter(([, upload]) => upload.key === key)
            .map(([uploadId, { initiatedAtMs }]) => ({ key, uploadId, initiatedAtMs }));
          return done({ uploads, dateMs: this.#clock.nowMs(), complete: true });
        };
        return send({ key, kind: 'beside', apply, options });
      },
      deleteObject: (key, options = {}) => {
        const apply = (): RequestResult<null> => {
          place.objects.delete(key);
          return done(null);
        };
        return send({ key, kind: 'write', apply, options });
      },
      ...this.#multipart(place, send, observer),
      isConnected: () => true,
      close: async () => void (isClosed = true),
      destroy: () => Promise.resolve(),
    };
  }

  #multipart(
    place: Place,
    send: <T>(sent: Sent<T>) => Promise<RequestResult<T>>,
    observer: RequestObserver,
  ): Pick<
    TargetClient,
    | 'createMultipartUpload'
    | 'uploadPart'
    | 'listParts'
    | 'completeMultipartUpload'
    | 'abortMultipartUpload'
  > {
    return {
      createMultipartUpload: (key, { userMetadata, tags }, options = {}) => {
        const apply = (): Awaited<ReturnType<TargetClient['createMultipartUpload']>> => {
          this.#uploads += 1;
          const uploadId = `upload-${this.#uploads}`;
          place.uploads.set(uploadId, {
            key,
            metadata: { userMetadata, tags },
            parts: new Map(),
            initiatedAtMs: this.#clock.nowMs(),
          });
          return done({ uploadId, tags: 'done' });
        };
        return send({ key, kind: 'write', apply, options });
      },
      uploadPart: async (upload, partNumber, body, options = {}) => {
        const { md5, size } = await readBody(body);
        const part = { md5, size };
        const { key, uploadId: partOf } = upload;
        const apply = (): RequestResult<null> => place.uploadPart(upload, partNumber, part);
        const result = await send({ key, kind: 'part', apply, options, partOf });
        return result.ok ? done({ etag: md5.toString('hex'), md5 }) : result;
      },
      listParts: (upload, after = 0, options = {}) =>
        send({
          key: upload.key,
          kind: observer.wasStored(upload.uploadId) ? 'list' : 'beside',
          apply: () => place.listParts(upload, after),
          options,
          resumes: place.uploads.get(upload.uploadId)?.metadata ?? null,
        }),
      completeMultipartUpload: async (upload, parts, predictedEtag, options = {}) => {
        const { key } = upload;
        const apply = (): RequestResult<{ etag: string }> => place.complete(upload, parts);
        const result = await send({ key, kind: 'write', apply, options });
        if (!result.ok) return result;
        const { etag } = result.value;
        if (etag !== predictedEtag) return failure({ stage: 'integrity', ambiguous: true });
        return done({ etag: this.areSilent ? null : etag });
      },
      abortMultipartUpload: async ({ key, uploadId }, options = {}) => {
        const apply = (): RequestResult<null> => {
          place.uploads.delete(uploadId);
          return done(null);
        };
        const result = await send({ key, kind: 'beside', apply, options, isWrite: true });
        if (!result.ok && result.failure.status === 404) observer.saidToBeGone(uploadId);
        return result;
      },
    };
  }

  #look(place: Place, key: string): RemoteHead {
    const head = place.head(key);
    return head.exists && !this.traits.countsTags ? { ...head, tagCount: null } : head;
  }

  #send<T>(
    { endpoint, isAuthorized }: { endpoint: string; isAuthorized: boolean },
    { key, kind, apply, options, isWrite: changes, partOf = null, resumes = null }: Sent<T>,
    observer: RequestObserver,
  ): Promise<RequestResult<T>> {
    this.requests += 1;
    const isWrite = changes ?? (kind === 'write' || kind === 'part');
    const fault = isAuthorized ? this.#faultAt(endpoint) : '403';
    const drawn = isAuthorized ? this.traits.drawWhim(kind, isWrite) : null;
    const whim = this.refusesObjects && isWrite ? REFUSED : drawn;
    const script = scriptOf(whim) ?? drawScript(fault, isWrite, this.#random);
    const { signal } = options;
    // An upload that no row carries is looked for and aborted beside the deliveries of its key.
    const end =
      kind === 'beside' ? () => undefined : observer.begin({ key, kind, partOf, resumes });
    if (whim?.kind === 'think') return this.#think(whim.forMs, apply, options, end, observer);
    let applied: RequestResult<T> | null = null;
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
      /** Null: it is still on its way, and who sent it is dead. */
      const finish = (result: RequestResult<T> | null): void => {
        cancel();
        signal?.removeEventListener('abort', onAbort);
        // Whoever may not look has looked as well as can be.
        const isRefusedLook = kind === 'look' && result?.ok === false && isDenied(result.failure);
        end(result?.ok === true || isRefusedLook);
        if (observer.isAlive() && result !== null) resolve(result);
      };
      const onAbort = (): void =>
        finish(failure({ stage: 'transfer', code: 'ABORT_ERR', ambiguous: isWrite }));
      const cancel = this.#clock.after(script.answeredAfterMs, () =>
        finish(script.failure === null ? applied : failure(script.failure)),
      );
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted === true) onAbort();
    });
  }

  /**
   * The target is silent after the last byte, and does what was asked at the end of it; where it was
   * given up, only for a minute more: a power failure together with a clock that was set forward ends
   * longer doubts.
   */
  async #think<T>(
    forMs: number,
    apply: Apply<T>,
    { signal, silence }: RequestOptions,
    end: (isDone: boolean) => void,
    observer: RequestObserver,
  ): Promise<RequestResult<T>> {
    const begunAt = this.#clock.monotonicMs();
    const wait = async (untilMs: number): Promise<void> => {
      const restMs = begunAt + untilMs - this.#clock.monotonicMs();
      await new Promise<void>((resolve) => {
        this.#clock.after(restMs, resolve);
        signal?.addEventListener('abort', () => resolve(), { once: true });
      });
    };
    const giveUp = (silenceMs: number, code: string): RequestResult<T> => {
      const lateMs = begunAt + forMs - this.#clock.monotonicMs();
      if (lateMs < LINGER_MS) this.#clock.after(lateMs, apply);
      end(false);
      return failure({ stage: 'transfer', code, ambiguous: true, silenceMs });
    };
    const shortMs = Math.min(forMs, IDLE_MS);
    await wait(shortMs);
    const mayGoOn = signal?.aborted !== true && observer.isAlive();
    const granted = mayGoOn && forMs > IDLE_MS ? (silence?.begin('answer') ?? null) : null;
    if (granted !== null) await wait(Math.min(forMs, granted));
    if (!observer.isAlive()) return new Promise(() => undefined);
    const hasRunOut = granted !== null && forMs > granted;
    if (granted !== null) silence?.end(hasRunOut && signal?.aborted !== true);
    if (signal?.aborted === true) return giveUp(0, 'ABORT_ERR');
    if (granted === null && forMs > IDLE_MS) return giveUp(IDLE_MS, 'ETIMEDOUT');
    if (hasRunOut) return giveUp(granted, 'ETIMEDOUT');
    const result = apply();
    end(result.ok);
    return result;
  }

  #faultAt(endpoint: string): Fault {
    if (this.#clock.monotonicMs() < this.#refusesUntil) return 'refuse';
    return this.fixed.get(endpoint) ?? this.#random.weighted(this.weights);
  }
}

function done<T>(value: T): RequestResult<T> {
  return { ok: true, value };
}

/** How a request goes by what the target is like; null: as chance has it. */
function scriptOf(whim: Whim | null): Script | null {
  switch (whim?.kind) {
    case 'refuse':
      return { failure: whim.failure, answeredAfterMs: 10, appliedAfterMs: null };
    case 'lie':
      return {
        failure: { stage: 'unproven', status: 200, ambiguous: true },
        answeredAfterMs: 10,
        appliedAfterMs: whim.isApplied ? 5 : null,
      };
    case 'think':
    case undefined:
      return null;
  }
}
