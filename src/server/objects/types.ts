/**
 * What goes into and comes out of the object store: the words that the S3 operations and the store
 * share. Types only; nothing here knows HTTP, so ETags are without quotes and digests are as S3's
 * headers write them.
 */
import type { Readable } from 'node:stream';
import type { ByteRange, ObjectHead, SystemHeaders } from '../../host.ts';

/** As in `x-amz-checksum-<name>`. */
export type ChecksumAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme' | 'sha1' | 'sha256';

/** Base64, as in S3's headers. */
export type Checksums = Readonly<Partial<Record<ChecksumAlgorithm, string>>>;

/** What the sender said about a body before sending it; each one given is checked. */
export interface ExpectedBody {
  /** Bytes after decoding. @throws IncompleteBody */
  readonly contentLength?: number;
  /** Base64, as in Content-MD5. @throws BadDigest */
  readonly md5?: string;
  /** Lower-case hex, as in x-amz-content-sha256. @throws XAmzContentSHA256Mismatch */
  readonly sha256?: string;
  /** @throws BadDigest */
  readonly checksums?: Checksums;
}

/** Checksums that follow the body, as in an aws-chunked trailer. */
export interface BodyTrailer {
  readonly algorithms: readonly ChecksumAlgorithm[];
  /** Called once, after `body` has ended; an algorithm that is missing here was not sent: BadDigest. */
  read(): Checksums;
}

/**
 * The bytes of an object or a part. An error that `body` throws ends the operation, passes on as it
 * is, and leaves nothing behind.
 */
export interface BodyInput {
  readonly body: AsyncIterable<Uint8Array>;
  readonly expected?: ExpectedBody;
  readonly trailer?: BodyTrailer;
}

export interface Metadata {
  readonly systemHeaders: SystemHeaders;
  /** By lower-case name, without the `x-amz-meta-` prefix. */
  readonly userMetadata: Readonly<Record<string, string>>;
}

export type Tags = Readonly<Record<string, string>>;

/** Preconditions (RFC 9110 section 13) on what is current, evaluated in the transaction that commits. */
export interface WriteConditions {
  /** ETags without quotes, or `*`. No current object: NoSuchKey; none matches: PreconditionFailed. */
  readonly ifMatch?: readonly string[];
  /** ETags without quotes, or `*`. One matches: PreconditionFailed. */
  readonly ifNoneMatch?: readonly string[];
}

/** An {@link ObjectHead} with what S3 clients see beyond the host contract. */
export interface StoredHead extends ObjectHead {
  /** Whether a rule replicated it when it was written. */
  readonly replicates: boolean;
  /** Those that were sent with the object and verified; empty for multipart objects and delete markers. */
  readonly checksums: Checksums;
}

export interface PutInput extends Metadata, BodyInput {
  readonly tags: Tags;
  /** Whether it comes from another server's replication. */
  readonly replica: boolean;
  readonly conditions?: WriteConditions;
}

/** The version that a put, copy or completed upload made. */
export type PutResult = StoredHead;

/** Which object a copy reads; the current one where `versionId` is absent. */
export interface CopySource {
  readonly bucket: { readonly id: string; readonly name: string };
  readonly key: string;
  readonly versionId?: string;
}

export interface CopyInput {
  readonly source: CopySource;
  /** Replaces the source's headers and metadata; absent: they are copied. */
  readonly metadata?: Metadata;
  /** Replaces the source's tags; absent: they are copied. */
  readonly tags?: Tags;
  readonly replica: boolean;
  readonly conditions?: WriteConditions;
  /** Called with the source before anything is written; what it throws ends the copy (x-amz-copy-source-if-*). */
  readonly checkSource?: (source: StoredHead) => void;
}

export interface CopyResult {
  readonly head: StoredHead;
  readonly sourceVersionId: string;
}

export interface OpenOptions {
  /** The current version where it is absent. */
  readonly versionId?: string;
  /**
   * Called with the head before the body is opened; what it throws ends the operation (preconditions),
   * what it returns is read. Bytes past the end are left out. A start past the end: InvalidRange.
   */
  readonly select?: (head: StoredHead) => ByteRange | undefined;
}

export interface OpenedVersion {
  readonly head: StoredHead;
  /** The bytes that `body` delivers; absent when it is the whole object. `end` is clipped to the size. */
  readonly range?: ByteRange;
  /** The caller reads it to the end or destroys it. Absent for a delete marker. */
  readonly body?: Readable;
}

export interface DeleteEntry {
  readonly key: string;
  readonly versionId?: string;
}

export interface DeleteResult {
  /** The version removed by its id, or the delete marker made; absent where the bucket keeps no versions. */
  readonly versionId?: string;
  /** Whether that version is (or was) a delete marker. */
  readonly deleteMarker: boolean;
}

export interface ListInput {
  readonly prefix?: string;
  readonly delimiter?: string;
  /** Only what sorts after it: a V1 marker, V2 start-after, or the `next` of the page before. */
  readonly after?: string;
  /** 0 to 1,000 objects and common prefixes together; default 1,000. */
  readonly maxKeys?: number;
}

export interface ListResult {
  readonly objects: readonly StoredHead[];
  readonly commonPrefixes: readonly string[];
  /** The last key or common prefix of this page, present where there is more. */
  readonly next?: string;
}

export interface ListVersionsInput {
  readonly prefix?: string;
  readonly delimiter?: string;
  readonly keyMarker?: string;
  /** Only with `keyMarker`. @throws InvalidArgument where it cannot be a version id */
  readonly versionIdMarker?: string;
  readonly maxKeys?: number;
}

export interface VersionEntry extends StoredHead {
  readonly isLatest: boolean;
}

export interface ListVersionsResult {
  /** Objects and delete markers; by key, the newest of a key first. */
  readonly versions: readonly VersionEntry[];
  readonly commonPrefixes: readonly string[];
  /** Present where there is more; `versionId` is absent after a common prefix. */
  readonly next?: { readonly key: string; readonly versionId?: string };
}

export interface CreateUploadInput extends Metadata {
  readonly tags: Tags;
  readonly replica: boolean;
}

export interface PartResult {
  readonly etag: string;
  readonly size: number;
  readonly lastModified: number;
  /** Those that were sent with the part and verified. */
  readonly checksums: Checksums;
}

export interface PartEntry extends PartResult {
  /** 1 to 10,000. */
  readonly partNumber: number;
}

export interface ListPartsInput {
  /** Only parts with a higher number. */
  readonly partNumberMarker?: number;
  readonly maxParts?: number;
}

export interface ListPartsResult {
  readonly parts: readonly PartEntry[];
  /** The last part number of this page, present where there is more. */
  readonly next?: number;
}

export interface UploadEntry {
  readonly key: string;
  readonly uploadId: string;
  /** Milliseconds since the epoch. */
  readonly initiated: number;
}

export interface ListUploadsInput {
  readonly prefix?: string;
  readonly delimiter?: string;
  readonly keyMarker?: string;
  /** Only with `keyMarker`. */
  readonly uploadIdMarker?: string;
  readonly maxUploads?: number;
}

export interface ListUploadsResult {
  /** By key, then by age. */
  readonly uploads: readonly UploadEntry[];
  readonly commonPrefixes: readonly string[];
  readonly next?: { readonly key: string; readonly uploadId?: string };
}

export interface UploadPartCopyInput {
  readonly source: CopySource;
  /** @throws InvalidRange when it does not lie within the source */
  readonly range?: ByteRange;
  readonly checkSource?: (source: StoredHead) => void;
}

/** One part as CompleteMultipartUpload names it. */
export interface CompletedPart {
  readonly partNumber: number;
  /** Without quotes. */
  readonly etag: string;
  /** Compared with what was verified at the upload. @throws InvalidPart */
  readonly checksums?: Checksums;
}

export interface CompleteUploadInput {
  readonly parts: readonly CompletedPart[];
  readonly conditions?: WriteConditions;
}
