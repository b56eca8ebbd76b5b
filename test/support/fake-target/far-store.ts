/**
 * What the fake target keeps, and S3's answers to requests: objects with their headers, metadata and
 * tags, and multipart uploads. Success is judged by looking in here, byte for byte.
 */
import { createHash } from 'node:crypto';
import { errorAnswer, xmlAnswer, type TargetAnswer } from './answer.ts';
import { FarUploads } from './far-uploads.ts';
import type { Operation, ReceivedRequest } from './received-request.ts';

const META_PREFIX = 'x-amz-meta-';
const KEPT_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const;

export interface FarMetadata {
  readonly headers: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
}

export interface FarObject extends FarMetadata {
  readonly body: Buffer;
  readonly etag: string;
}

export interface FarStoreOptions {
  /** Wall-clock milliseconds, for dates. */
  readonly nowMs: () => number;
}

export class FarStore {
  readonly objects = new Map<string, FarObject>();
  readonly uploads: FarUploads;
  readonly #nowMs: () => number;

  constructor({ nowMs }: FarStoreOptions) {
    this.#nowMs = nowMs;
    this.uploads = new FarUploads(this.objects, nowMs);
  }

  /** Applies the request and answers as S3 does. */
  apply(request: ReceivedRequest): TargetAnswer {
    const answer = this.#answerers[request.operation](request);
    const date = new Date(this.#nowMs()).toUTCString();
    return { ...answer, headers: { date, 'x-amz-request-id': 'REQ1', ...answer.headers } };
  }

  readonly #answerers: Readonly<Record<Operation, (request: ReceivedRequest) => TargetAnswer>> = {
    put: (request) => this.#put(request),
    get: ({ key }) => this.#show(key, true),
    head: ({ key }) => this.#show(key, false),
    delete: ({ key }) => {
      this.objects.delete(key);
      return { status: 204 };
    },
    'put-tags': ({ key, body }) => this.#tag(key, readTagSet(body.toString('utf8'))),
    'get-tags': ({ key }) => this.#showTags(key),
    'delete-tags': ({ key }) => ({ ...this.#tag(key, {}), status: 204 }),
    create: (request) => this.uploads.create(request, readMetadata(request)),
    part: (request) => this.uploads.part(request),
    complete: (request) => this.uploads.complete(request),
    abort: (request) => this.uploads.abort(request),
    'list-parts': (request) => this.uploads.listParts(request),
    'list-uploads': (request) => this.uploads.list(request),
    list: () => xmlAnswer('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'),
    unknown: () => errorAnswer(405, 'MethodNotAllowed'),
  };

  #put(request: ReceivedRequest): TargetAnswer {
    const { key, body } = request;
    const etag = createHash('md5').update(body).digest('hex');
    this.objects.set(key, { body, etag, ...readMetadata(request) });
    return { status: 200, headers: { etag: `"${etag}"` } };
  }

  #show(key: string, withBody: boolean): TargetAnswer {
    const object = this.objects.get(key);
    if (object === undefined) return errorAnswer(404, 'NoSuchKey');
    const { body, etag, headers, metadata, tags } = object;
    const tagCount = Object.keys(tags).length;
    const meta = Object.entries(metadata).map(([name, value]) => [META_PREFIX + name, value]);
    return {
      status: 200,
      headers: {
        etag: `"${etag}"`,
        'content-length': String(body.length),
        ...headers,
        ...(Object.fromEntries(meta) as Record<string, string>),
        ...(tagCount === 0 ? {} : { 'x-amz-tagging-count': String(tagCount) }),
      },
      ...(withBody ? { body } : {}),
    };
  }

  #tag(key: string, tags: Readonly<Record<string, string>>): TargetAnswer {
    const object = this.objects.get(key);
    if (object === undefined) return errorAnswer(404, 'NoSuchKey');
    this.objects.set(key, { ...object, tags });
    return { status: 200 };
  }

  #showTags(key: string): TargetAnswer {
    const object = this.objects.get(key);
    if (object === undefined) return errorAnswer(404, 'NoSuchKey');
    const tags = Object.entries(object.tags).map(
      ([name, value]) => `<Tag><Key>${name}</Key><Value>${value}</Value></Tag>`,
    );
    return xmlAnswer(`<Tagging><TagSet>${tags.join('')}</TagSet></Tagging>`);
  }
}

function readMetadata({ headers }: ReceivedRequest): FarMetadata {
  const kept = KEPT_HEADERS.flatMap((name) => {
    const value = headers.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const metadata = [...headers]
    .filter(([name]) => name.startsWith(META_PREFIX))
    .map(([name, value]) => [name.slice(META_PREFIX.length), value] as const);
  return {
    headers: Object.fromEntries(kept),
    metadata: Object.fromEntries(metadata),
    tags: Object.fromEntries(new URLSearchParams(headers.get('x-amz-tagging') ?? '')),
  };
}

function readTagSet(xml: string): Readonly<Record<string, string>> {
  const tags = xml.matchAll(/<Tag>\s*<Key>([^<]*)<\/Key>\s*<Value>([^<]*)<\/Value>\s*<\/Tag>/g);
  return Object.fromEntries([...tags].map(([, key = '', value = '']) => [key, value]));
}
