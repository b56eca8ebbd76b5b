/** A host of many buckets of several owners, whose objects are zeros of any size. */
import { Readable } from 'node:stream';
import type {
  Bucket,
  BucketRef,
  ByteRange,
  Host,
  ObjectHead,
  ObjectRef,
  OpenedObject,
} from '../../src/host.ts';

const CHUNK = Buffer.alloc(64 * 1024);

export class ManyBucketsHost implements Pick<
  Host,
  'findBucket' | 'openObject' | 'headCurrent' | 'listCurrent'
> {
  readonly #buckets = new Map<string, Bucket>();
  readonly #heads = new Map<string, ObjectHead>();
  #order = 0;

  addBucket(name: string, ownerId: string): Bucket {
    const bucket: Bucket = { id: `id-of-${name}`, name, ownerId, versioning: 'Enabled' };
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** What is current from now on. */
  put({ id }: BucketRef, key: string, size: number): ObjectHead {
    this.#order += 1;
    const head: ObjectHead = {
      key,
      versionId: `v${this.#order}`,
      order: this.#order,
      deleteMarker: false,
      replica: false,
      size,
      etag: '0'.repeat(32),
      lastModified: 0,
      systemHeaders: {},
      userMetadata: {},
      tags: {},
    };
    this.#heads.set(`${id}/${key}`, head);
    return head;
  }

  readonly findBucket = async (name: string): Promise<Bucket | null> =>
    this.#buckets.get(name) ?? null;

  readonly headCurrent = async ({ id }: BucketRef, key: string): Promise<ObjectHead | null> =>
    this.#heads.get(`${id}/${key}`) ?? null;

  readonly openObject = async (
    { bucket, key }: ObjectRef,
    range?: ByteRange,
  ): Promise<OpenedObject | null> => {
    const head = this.#heads.get(`${bucket.id}/${key}`);
    if (head === undefined) return null;
    const size = range === undefined ? head.size : range.end + 1 - range.start;
    return { head, body: Readable.from(zeros(size)) };
  };

  readonly listCurrent: Host['listCurrent'] = async () => ({ objects: [] });
}

function* zeros(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, left);
}
