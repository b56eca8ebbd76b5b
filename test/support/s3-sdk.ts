/** The AWS SDK against any S3 service: faster to start than a command line for many small calls. */
import { createHash } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutBucketVersioningCommand,
  S3Client,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import type { AwsAccount } from './aws-cli.ts';
import { LIMIT_MS } from './until.ts';

const CONNECTIONS_MAX = 16;

export interface ReadObject {
  readonly body: Buffer;
  /** Without its quotes. */
  readonly etag: string;
  readonly contentType: string | undefined;
  readonly cacheControl: string | undefined;
  readonly contentDisposition: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly contentLanguage: string | undefined;
  readonly expires: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  readonly replicationStatus: string | undefined;
}

/** @param connectionsMax further requests wait for one that is free */
export function connectS3(
  { url, region, accessKeyId, secretAccessKey }: AwsAccount,
  connectionsMax = CONNECTIONS_MAX,
): S3Client {
  return new S3Client({
    endpoint: url,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    // A test says itself when it asks again. Not every service has the newer checksums.
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      requestTimeout: LIMIT_MS,
      httpAgent: { maxSockets: connectionsMax },
    },
  });
}

/** The object, or null where it or its bucket is missing. */
export async function readObject(
  s3: S3Client,
  bucket: string,
  key: string,
): Promise<ReadObject | null> {
  try {
    const got = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return {
      body: Buffer.from(await got.Body!.transformToByteArray()),
      etag: (got.ETag ?? '').replaceAll('"', ''),
      contentType: got.ContentType,
      cacheControl: got.CacheControl,
      contentDisposition: got.ContentDisposition,
      contentEncoding: got.ContentEncoding,
      contentLanguage: got.ContentLanguage,
      expires: got.ExpiresString,
      metadata: got.Metadata ?? {},
      replicationStatus: got.ReplicationStatus,
    };
  } catch (error) {
    if (['NoSuchKey', 'NoSuchBucket'].includes((error as Error).name)) return null;
    throw error;
  }
}

/** Runs `work` for every item, at most `CONNECTIONS_MAX` at a time; rejects with the first failure. */
export async function forEachAtOnce<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const take = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: CONNECTIONS_MAX }, take));
}

export async function createVersionedBucket(s3: S3Client, bucket: string): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  await s3.send(
    new PutBucketVersioningCommand({
      Bucket: bucket,
      VersioningConfiguration: { Status: 'Enabled' },
    }),
  );
}

export async function uploadInParts(
  s3: S3Client,
  bucket: string,
  key: string,
  body: Buffer,
  {
    partBytes,
    metadata,
  }: { readonly partBytes: number; readonly metadata: Record<string, string> },
): Promise<void> {
  const object = { Bucket: bucket, Key: key };
  const { UploadId } = await s3.send(
    new CreateMultipartUploadCommand({ ...object, Metadata: metadata }),
  );
  const parts: CompletedPart[] = [];
  for (const [index, Body] of cut(body, partBytes).entries()) {
    const part = { ...object, UploadId, PartNumber: index + 1, Body };
    const { ETag } = await s3.send(new UploadPartCommand(part));
    parts.push({ PartNumber: part.PartNumber, ETag });
  }
  await s3.send(
    new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts: parts } }),
  );
}

/** The ETag of an object that arrived in parts of `partBytes`. */
export function compositeEtag(body: Buffer, partBytes: number): string {
  const md5s = cut(body, partBytes).map((part) => createHash('md5').update(part).digest());
  return `${createHash('md5').update(Buffer.concat(md5s)).digest('hex')}-${md5s.length}`;
}

function cut(body: Buffer, partBytes: number): Buffer[] {
  const count = Math.ceil(body.length / partBytes);
  return Array.from({ length: count }, (_, n) => body.subarray(n * partBytes, (n + 1) * partBytes));
}
