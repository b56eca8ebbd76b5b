/** The changes of one key that crash tests make, and what each must come to at the replica. */
import { createHash } from 'node:crypto';
import {
  DeleteObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { History } from '../support/replicas.ts';
import type { RuleFields } from '../support/replication-bodies.ts';
import { compositeEtag } from '../support/s3-sdk.ts';

/** As the engine cuts objects that are larger than that (model/transfer-plan.ts). */
const PART_BYTES = 8 * 1024 * 1024;
const [A, B, C] = ['first', 'second', 'third'].map((text) => Buffer.from(text)) as [
  Buffer,
  Buffer,
  Buffer,
];
const LARGE = Buffer.alloc(PART_BYTES + 1024, 'large');

export interface Place {
  readonly s3: S3Client;
  readonly bucket: string;
  readonly key: string;
  /** Resolves when the change is at the step where the process will be killed. */
  readonly reached: () => Promise<void>;
}

export interface Change {
  /** What the key is before, delivered. */
  readonly before: Buffer | null;
  readonly after: Buffer | null;
  /** Resolves when the server has acknowledged it. */
  make(place: Place): Promise<void>;
  /**
   * What comes to the replica's history: no delivery is repeated that has arrived. Undefined where
   * the requests that are sent depend on what else happens.
   */
  readonly history?: History;
  readonly rule?: Partial<RuleFields>;
  /** The bucket of the replica is made only after the first kill. */
  readonly replicaIsLate?: true;
}

export const changes = {
  put: { before: null, after: A, history: [etagOf(A)], make: (place) => put(place, A) },
  overwrite: { before: A, after: B, history: [etagOf(B)], make: (place) => put(place, B) },
  delete: {
    before: A,
    after: null,
    history: ['deleted'],
    async make({ s3, bucket, key }) {
      await s3.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
    },
  },
  'tags of an object': {
    before: A,
    after: A,
    async make({ s3, bucket, key }) {
      const Tagging = { TagSet: [{ Key: 'colour', Value: 'red' }] };
      await s3.send(new PutObjectTaggingCommand({ Bucket: bucket, Key: key, Tagging }));
    },
  },
  'three versions': {
    before: null,
    after: C,
    history: [A, B, C].map(etagOf),
    async make(place) {
      for (const body of [A, B, C]) await put(place, body);
    },
  },
  'put under a synchronous rule': {
    before: null,
    after: A,
    history: [etagOf(A)],
    rule: { synchronous: true },
    make: (place) => put(place, A),
  },
  'put that is refused': {
    before: A,
    after: A,
    history: [],
    async make(place) {
      await put(place, B, '*');
    },
  },
  'put to a bucket that comes later': {
    before: null,
    after: A,
    history: [etagOf(A)],
    replicaIsLate: true,
    make: (place) => put(place, A),
  },
  'large put': {
    before: null,
    after: LARGE,
    history: [compositeEtag(LARGE, PART_BYTES)],
    make: (place) => put(place, LARGE),
  },
  'large put, removed on its way': {
    before: null,
    after: null,
    async make({ s3, bucket, key, reached }) {
      const object = { Bucket: bucket, Key: key };
      const { VersionId } = await s3.send(new PutObjectCommand({ ...object, Body: LARGE }));
      await reached();
      await s3.send(new DeleteObjectCommand({ ...object, VersionId }));
    },
  },
} satisfies Record<string, Change>;

export type ChangeName = keyof typeof changes;

/** @param ifNoneMatch `*` lets it fail where the key has an object */
export async function put(
  { s3, bucket, key }: Pick<Place, 's3' | 'bucket' | 'key'>,
  body: Buffer,
  ifNoneMatch?: '*',
): Promise<void> {
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: body,
      ContentType: 'text/x-crash',
      CacheControl: 'max-age=60',
      Metadata: { length: String(body.length) },
      IfNoneMatch: ifNoneMatch,
    }),
  );
}

export function etagOf(body: Buffer): string {
  return createHash('md5').update(body).digest('hex');
}
