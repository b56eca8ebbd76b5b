/**
 * One destination bucket, without any faults: what it holds, and what S3 answers to a request that
 * has arrived. An upload is gone once it was completed or aborted; whoever names it then is told so.
 */
import type { RemoteHead } from '../../src/egress/target-client.ts';
import type { ListedPart, UploadRef } from '../../src/egress/target-multipart.ts';
import type { ObjectMetadata } from '../../src/egress/object-headers.ts';
import type { ObjectHead } from '../../src/host.ts';
import type { RequestResult } from '../../src/model/delivery.ts';
import { predictMultipartEtag } from '../../src/model/transfer-plan.ts';
import { failure } from './faults.ts';

/** "Part sizes: 5 MiB to 5 GiB. There is no minimum size limit on the last part." */
const PART_BYTES_MIN = 5 * 1024 * 1024;

export type StoredObject = Pick<ObjectHead, 'size' | 'etag' | 'userMetadata' | 'tags'>;

interface StoredPart {
  readonly md5: Buffer;
  readonly size: number;
}

/** An upload that was neither completed nor aborted. */
export interface Upload {
  readonly key: string;
  readonly metadata: Pick<ObjectMetadata, 'userMetadata' | 'tags'>;
  readonly parts: Map<number, StoredPart>;
  readonly initiatedAtMs: number;
}

export class Place {
  readonly objects = new Map<string, StoredObject>();
  /** By id. */
  readonly uploads = new Map<string, Upload>();

  head(key: string): RemoteHead {
    const object = this.objects.get(key);
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

  uploadPart({ uploadId }: UploadRef, partNumber: number, part: StoredPart): RequestResult<null> {
    const upload = this.uploads.get(uploadId);
    if (upload === undefined) return noSuchUpload();
    upload.parts.set(partNumber, part);
    return { ok: true, value: null };
  }

  /** One part a page, so that there are several. */
  listParts(
    { uploadId }: UploadRef,
    after: number,
  ): RequestResult<{ parts: ListedPart[]; next: number | null }> {
    const upload = this.uploads.get(uploadId);
    if (upload === undefined) return noSuchUpload();
    const left = [...upload.parts]
      .filter(([partNumber]) => partNumber > after)
      .sort(([a], [b]) => a - b);
    const parts = left.slice(0, 1).map(([partNumber, { md5, size }]) => ({
      partNumber,
      etag: md5.toString('hex'),
      size,
    }));
    return { ok: true, value: { parts, next: left.length > 1 ? parts[0]!.partNumber : null } };
  }

  /** All or nothing; with it the upload is over. */
  complete(
    { key, uploadId }: UploadRef,
    named: readonly { readonly partNumber: number; readonly etag: string }[],
  ): RequestResult<{ etag: string }> {
    const upload = this.uploads.get(uploadId);
    if (upload === undefined) return noSuchUpload();
    const parts: StoredPart[] = [];
    for (const [index, { partNumber, etag }] of named.entries()) {
      const part = upload.parts.get(partNumber);
      const isLast = index === named.length - 1;
      if (partNumber <= (named[index - 1]?.partNumber ?? 0)) return refused('InvalidPartOrder');
      if (part?.md5.toString('hex') !== etag) return refused('InvalidPart');
      if (part.size < PART_BYTES_MIN && !isLast) return refused('EntityTooSmall');
      parts.push(part);
    }
    const etag = predictMultipartEtag(parts.map(({ md5 }) => md5));
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    this.objects.set(key, { ...upload.metadata, size, etag });
    this.uploads.delete(uploadId);
    return { ok: true, value: { etag } };
  }
}

function noSuchUpload<T>(): RequestResult<T> {
  return failure({ stage: 'answer', status: 404, code: 'NoSuchUpload', ambiguous: false });
}

function refused<T>(code: string): RequestResult<T> {
  return failure({ stage: 'answer', status: 400, code, ambiguous: false });
}
