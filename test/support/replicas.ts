/** What a bucket and its replica show, through the S3 API of each. */
import assert from 'node:assert/strict';
import {
  GetObjectTaggingCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { readObject } from './s3-sdk.ts';

/** Versions by their ETags, oldest first, and the word `deleted` for each delete marker after them. */
export type History = readonly string[];

export interface OpenUpload {
  readonly key: string;
  readonly parts: number;
}

/** Both have the same keys, and under each the same bytes, headers, metadata and tags. */
export async function assertReplica(
  source: S3Client,
  replica: S3Client,
  bucket: string,
): Promise<void> {
  const [own, theirs] = await Promise.all([listEtags(source, bucket), listEtags(replica, bucket)]);
  const keys = [...own.keys()];
  assert.deepEqual([...theirs.keys()], keys, 'the keys');
  for (const key of keys) {
    const [own, theirs] = await Promise.all([
      show(source, bucket, key),
      show(replica, bucket, key),
    ]);
    assert.equal(theirs.body.equals(own.body), true, `the bytes of ${key}`);
    assert.deepEqual({ ...theirs, body: null }, { ...own, body: null }, key);
  }
}

/** Of a bucket with one key; of one with more, as many entries as it has versions. */
export async function historyOf(s3: S3Client, bucket: string): Promise<History> {
  const { Versions = [], DeleteMarkers = [] } = await s3.send(
    new ListObjectVersionsCommand({ Bucket: bucket }),
  );
  const etags = Versions.map(({ ETag = '' }) => ETag.replaceAll('"', ''));
  return [...etags.reverse(), ...DeleteMarkers.map(() => 'deleted')];
}

export async function openUploads(s3: S3Client, bucket: string): Promise<readonly OpenUpload[]> {
  const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  return await Promise.all(
    Uploads.map(async ({ Key = '', UploadId }) => {
      const { Parts = [] } = await s3.send(new ListPartsCommand({ Bucket: bucket, Key, UploadId }));
      return { key: Key, parts: Parts.length };
    }),
  );
}

/** Keys with the ETags of their objects. */
export async function listEtags(
  s3: S3Client,
  bucket: string,
): Promise<ReadonlyMap<string, string>> {
  const { Contents = [], IsTruncated } = await s3.send(
    new ListObjectsV2Command({ Bucket: bucket }),
  );
  assert.equal(IsTruncated, false, 'one page');
  return new Map(Contents.map(({ Key = '', ETag = '' }) => [Key, ETag]));
}

async function show(s3: S3Client, bucket: string, key: string) {
  const [object, { TagSet }] = await Promise.all([
    readObject(s3, bucket, key),
    s3.send(new GetObjectTaggingCommand({ Bucket: bucket, Key: key })),
  ]);
  assert(object !== null, `${key} is gone`);
  // The ETag of a large object, and whose replica it is, differ.
  const { body, contentType, cacheControl, contentDisposition, metadata } = object;
  return { body, contentType, cacheControl, contentDisposition, metadata, TagSet };
}
