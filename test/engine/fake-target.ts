/**
 * A target in memory that keeps a log of requests, and fails those that a test tells it to. Parts are
 * kept as they are, so that multipart objects can be compared byte for byte.
 *
 * It takes the client's place, without sockets, for units whose clock a test moves by hand; what goes
 * over sockets meets test/support/fake-target/.
 */
import { createHash } from 'node:crypto';
import type { RemoteHead, StoredObject, TargetClient } from '../../src/egress/target-client.ts';
import type { TagsSent } from '../../src/egress/target-sending.ts';
import type { BodySource } from '../../src/egress/request-body.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { predictMultipartEtag } from '../../src/model/transfer-plan.ts';
import type { ObjectMetadata } from '../../src/egress/object-headers.ts';

export const RESET: RequestFailure = { stage: 'transfer', code: 'ECONNRESET', ambiguous: true };
export const DENIED: RequestFailure = {
  stage: 'answer',
  status: 403,
  code: 'AccessDenied',
  ambiguous: false,
};
export const REFUSED_OBJECT: RequestFailure = {
  stage: 'answer',
  status: 412,
  code: 'PreconditionFailed',
  ambiguous: false,
};

interface Stored extends ObjectMetadata {
  readonly body: Buffer;
  readonly etag: string;
}

type Operation =
  'head' | 'put' | 'tag' | 'delete' | 'create' | 'part' | 'list' | 'uploads' | 'complete' | 'abort';

export class FakeTarget implements TargetClient {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, Map<number, Buffer>>();
  readonly log: string[] = [];
  /** Tells a request's failure; null lets it through. Told `operation` and, of parts, the number. */
  fail: (operation: Operation, part?: number) => RequestFailure | null = () => null;
  /** Whether CompleteMultipartUpload says what it made. */
  completesSilently = false;
  /** Whether objects are taken without tags only; said of those that have none too. */
  refusesTags = false;
  /** Whether tags are too long to go along. */
  tagsFollow = false;
  /** Whether HEAD says how many tags there are. */
  countsTags = true;
  /** Whether what fails is applied all the same: the answer is lost on its way. */
  losesAnswers = false;
  /** Of the target's own clock. */
  nowMs: () => number = () => 0;
  partsInFlightMax = 0;
  #partsInFlight = 0;
  #begun = new Map<string, { key: string; at: number; metadata: ObjectMetadata }>();

  async headObject(key: string): Promise<RequestResult<RemoteHead>> {
    return this.#answer('head', () => {
      const stored = this.objects.get(key);
      if (stored === undefined) return { exists: false };
      const { body, etag, systemHeaders, userMetadata, tags } = stored;
      const tagCount = this.countsTags ? Object.keys(tags).length : null;
      return {
        exists: true,
        etag,
        size: body.length,
        replica: true,
        tagCount,
        systemHeaders,
        userMetadata,
      };
    });
  }

  async putObject(
    key: string,
    object: ObjectMetadata,
    source: Buffer | BodySource,
  ): Promise<RequestResult<StoredObject>> {
    const body = Buffer.isBuffer(source) ? source : await readAll(source);
    return this.#answer('put', () => {
      const etag = createHash('md5').update(body).digest('hex');
      const { metadata, tags } = this.#taken(object);
      this.objects.set(key, { ...metadata, body, etag });
      return { etag, tags };
    });
  }

  async putObjectTagging(
    key: string,
    tags: Readonly<Record<string, string>>,
  ): Promise<RequestResult<null>> {
    return this.#answer('tag', () => {
      const stored = this.objects.get(key);
      if (stored !== undefined) this.objects.set(key, { ...stored, tags });
      return null;
    });
  }

  async listMultipartUploads(key: string): ReturnType<TargetClient['listMultipartUploads']> {
    return this.#answer('uploads', () => {
      const uploads = [...this.#begun]
        .filter(([uploadId, begun]) => begun.key === key && this.uploads.has(uploadId))
        .map(([uploadId, { at }]) => ({ key, uploadId, initiatedAtMs: at }));
      return { uploads, dateMs: this.nowMs(), complete: true };
    });
  }

  async deleteObject(key: string): Promise<RequestResult<null>> {
    return this.#answer('delete', () => {
      this.objects.delete(key);
      return null;
    });
  }

  async createMultipartUpload(
    key: string,
    object: ObjectMetadata,
  ): ReturnType<TargetClient['createMultipartUpload']> {
    return this.#answer('create', () => {
      const uploadId = `upload-${this.#begun.size + 1}`;
      const { metadata, tags } = this.#taken(object);
      this.#begun.set(uploadId, { key, at: this.nowMs(), metadata });
      this.uploads.set(uploadId, new Map());
      return { uploadId, tags };
    });
  }

  async uploadPart(
    { uploadId }: { uploadId: string },
    partNumber: number,
    source: Buffer | BodySource,
  ): Promise<RequestResult<{ etag: string; md5: Buffer }>> {
    this.#partsInFlight += 1;
    this.partsInFlightMax = Math.max(this.partsInFlightMax, this.#partsInFlight);
    // A copy, as the memory is the sender's again afterwards.
    const body = Buffer.isBuffer(source) ? Buffer.from(source) : await readAll(source);
    await new Promise(setImmediate);
    this.#partsInFlight -= 1;
    return this.#answer(
      'part',
      () => {
        this.uploads.get(uploadId)?.set(partNumber, body);
        const md5 = createHash('md5').update(body).digest();
        return { etag: md5.toString('hex'), md5 };
      },
      partNumber,
    );
  }

  async listParts(
    { uploadId }: { uploadId: string },
    _after?: number,
  ): ReturnType<TargetClient['listParts']> {
    const upload = this.uploads.get(uploadId);
    if (upload === undefined) {
      this.log.push('list');
      return {
        ok: false,
        failure: { stage: 'answer', status: 404, code: 'NoSuchUpload', ambiguous: false },
      };
    }
    return this.#answer('list', () => ({
      parts: Array.from(upload, ([partNumber, body]) => ({
        partNumber,
        size: body.length,
        etag: createHash('md5').update(body).digest('hex'),
      })),
      next: null,
    }));
  }

  async completeMultipartUpload(
    { key, uploadId }: { key: string; uploadId: string },
    parts: readonly { partNumber: number }[],
  ): Promise<RequestResult<{ etag: string | null }>> {
    return this.#answer('complete', () => {
      const upload = this.uploads.get(uploadId);
      const bodies = parts.map(({ partNumber }) => upload?.get(partNumber) ?? Buffer.alloc(0));
      const md5s = bodies.map((body) => createHash('md5').update(body).digest());
      const etag = predictMultipartEtag(md5s);
      const metadata = this.#begun.get(uploadId)?.metadata;
      if (metadata === undefined) throw new Error('There is no such upload.');
      this.objects.set(key, { ...metadata, body: Buffer.concat(bodies), etag });
      this.uploads.delete(uploadId);
      return { etag: this.completesSilently ? null : etag };
    });
  }

  async abortMultipartUpload({ uploadId }: { uploadId: string }): Promise<RequestResult<null>> {
    return this.#answer('abort', () => {
      this.uploads.delete(uploadId);
      return null;
    });
  }

  isConnected(): boolean {
    return true;
  }

  async close(): Promise<void> {}

  async destroy(): Promise<void> {}

  #answer<T>(operation: Operation, apply: () => T, part?: number): RequestResult<T> {
    this.log.push(part === undefined ? operation : `${operation} ${part}`);
    const failure = this.fail(operation, part);
    if (failure === null) return { ok: true, value: apply() };
    if (this.losesAnswers) apply();
    return { ok: false, failure };
  }

  #taken({ systemHeaders, userMetadata, tags }: ObjectMetadata): {
    readonly metadata: ObjectMetadata;
    readonly tags: TagsSent;
  } {
    const follow = this.tagsFollow && Object.keys(tags).length > 0;
    const sent = this.refusesTags ? 'refused' : follow ? 'follow' : 'done';
    const metadata = { systemHeaders, userMetadata, tags: sent === 'done' ? tags : {} };
    return { metadata, tags: sent };
  }
}

async function readAll(source: BodySource): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await source.open()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
