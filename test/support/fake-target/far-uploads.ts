/** The multipart uploads of the fake target, and S3's answers to the requests that concern them. */
import { createHash } from 'node:crypto';
import { errorAnswer, xmlAnswer, type TargetAnswer } from './answer.ts';
import type { FarMetadata, FarObject } from './far-store.ts';
import type { ReceivedRequest } from './received-request.ts';

export interface FarPart {
  readonly body: Buffer;
  readonly etag: string;
}

export interface FarUpload extends FarMetadata {
  readonly key: string;
  /** Wall-clock milliseconds. */
  readonly initiatedMs: number;
  readonly parts: Map<number, FarPart>;
}

export class FarUploads {
  /** Those that were neither completed nor aborted, by id. */
  readonly unfinished = new Map<string, FarUpload>();
  readonly #objects: Map<string, FarObject>;
  readonly #nowMs: () => number;
  #created = 0;

  constructor(objects: Map<string, FarObject>, nowMs: () => number) {
    this.#objects = objects;
    this.#nowMs = nowMs;
  }

  create({ key }: ReceivedRequest, metadata: FarMetadata): TargetAnswer {
    const id = this.begin(key, metadata);
    return xmlAnswer(
      `<InitiateMultipartUploadResult><Key>${escape(key)}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    );
  }

  /** As somebody else would, for instance another program under the same access key. */
  begin(key: string, metadata: FarMetadata = { headers: {}, metadata: {}, tags: {} }): string {
    this.#created += 1;
    const id = `upload-${this.#created}`;
    this.unfinished.set(id, { ...metadata, key, initiatedMs: this.#nowMs(), parts: new Map() });
    return id;
  }

  part(request: ReceivedRequest): TargetAnswer {
    const upload = this.#find(request);
    if (upload === undefined) return NO_SUCH_UPLOAD;
    const { body } = request;
    const etag = md5(body);
    upload.parts.set(Number(request.query.get('partNumber')), { body, etag });
    return { status: 200, headers: { etag: `"${etag}"` } };
  }

  complete(request: ReceivedRequest): TargetAnswer {
    const upload = this.#find(request);
    if (upload === undefined) return NO_SUCH_UPLOAD;
    const listed = [...request.body.toString('utf8').matchAll(/<Part>([\s\S]*?)<\/Part>/g)].map(
      ([, part = '']) => ({
        number: Number(/<PartNumber>(\d+)</.exec(part)?.[1]),
        etag: (/<ETag>([^<]*)</.exec(part)?.[1] ?? '').replaceAll(/&quot;|"/g, ''),
      }),
    );
    const parts = listed.flatMap(({ number, etag }) => {
      const part = upload.parts.get(number);
      return part?.etag === etag ? part : [];
    });
    if (listed.length === 0) return errorAnswer(400, 'MalformedXML');
    if (parts.length < listed.length) return errorAnswer(400, 'InvalidPart');
    const md5s = parts.map((part) => Buffer.from(part.etag, 'hex'));
    const etag = `${md5(Buffer.concat(md5s))}-${parts.length}`;
    const body = Buffer.concat(parts.map((part) => part.body));
    const { headers, metadata, tags } = upload;
    this.unfinished.delete(idOf(request));
    this.#objects.set(request.key, { body, etag, headers, metadata, tags });
    return xmlAnswer(
      `<CompleteMultipartUploadResult><ETag>&quot;${etag}&quot;</ETag></CompleteMultipartUploadResult>`,
    );
  }

  abort(request: ReceivedRequest): TargetAnswer {
    if (this.#find(request) === undefined) return NO_SUCH_UPLOAD;
    this.unfinished.delete(idOf(request));
    return { status: 204 };
  }

  listParts(request: ReceivedRequest): TargetAnswer {
    const upload = this.#find(request);
    if (upload === undefined) return NO_SUCH_UPLOAD;
    const after = Number(request.query.get('part-number-marker') ?? 0);
    const parts = [...upload.parts]
      .filter(([number]) => number > after)
      .sort(([a], [b]) => a - b)
      .map(
        ([number, { body, etag }]) =>
          `<Part><PartNumber>${number}</PartNumber><ETag>&quot;${etag}&quot;</ETag><Size>${body.length}</Size></Part>`,
      );
    return xmlAnswer(
      `<ListPartsResult><IsTruncated>false</IsTruncated>${parts.join('')}</ListPartsResult>`,
    );
  }

  list({ query }: ReceivedRequest): TargetAnswer {
    const prefix = query.get('prefix') ?? '';
    const uploads = [...this.unfinished]
      .filter(([, { key }]) => key.startsWith(prefix))
      .map(
        ([id, { key, initiatedMs }]) =>
          `<Upload><Key>${escape(key)}</Key><UploadId>${id}</UploadId><Initiated>${new Date(initiatedMs).toISOString()}</Initiated></Upload>`,
      );
    return xmlAnswer(
      `<ListMultipartUploadsResult><Prefix>${escape(prefix)}</Prefix><IsTruncated>false</IsTruncated>${uploads.join('')}</ListMultipartUploadsResult>`,
    );
  }

  #find(request: ReceivedRequest): FarUpload | undefined {
    const upload = this.unfinished.get(idOf(request));
    return upload?.key === request.key ? upload : undefined;
  }
}

const NO_SUCH_UPLOAD = errorAnswer(404, 'NoSuchUpload');

function idOf({ query }: ReceivedRequest): string {
  return query.get('uploadId') ?? '';
}

function md5(bytes: Buffer): string {
  return createHash('md5').update(bytes).digest('hex');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
