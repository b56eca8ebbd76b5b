/**
 * The object store's LMDB tables, opened in the server's environment, and the records in them.
 *
 * Headers' and tags' names come from users, so they are kept as pairs: as property names,
 * `__proto__` would be lost and every new set of names would be a new record structure.
 */
import type { Database } from 'lmdb';
import type { SystemHeaders } from '../../host.ts';
import type { Environment } from '../../lmdb/environment.ts';
import type { BucketRecord } from '../buckets.ts';
import type { Checksums } from './types.ts';

export type Pairs = readonly (readonly [string, string])[];

/** One file of a body: its id, which is its name, and its size in bytes. */
export type Segment = readonly [file: string, size: number];

/** A body on disk; `id` is the file's, or, where `segmented`, that of a row of `bodies`. */
export interface BodyRef {
  readonly id: string;
  readonly segmented: boolean;
}

export interface VersionRecord {
  readonly versionId: string;
  /** Grows whenever the version becomes current or changes while it is; its place (sequence) stays. */
  readonly order: number;
  readonly deleteMarker: boolean;
  readonly replica: boolean;
  /** Whether a rule replicated it when it was written. */
  readonly replicates: boolean;
  readonly size: number;
  readonly etag: string;
  readonly lastModified: number;
  readonly systemHeaders: SystemHeaders;
  readonly userMetadata: Pairs;
  readonly tags: Pairs;
  readonly checksums: Checksums;
  /** Null where there are no bytes. */
  readonly body: BodyRef | null;
}

export interface UploadRecord {
  readonly initiated: number;
  readonly systemHeaders: SystemHeaders;
  readonly userMetadata: Pairs;
  readonly tags: Pairs;
  readonly replica: boolean;
}

export interface PartRecord {
  /** Null where the part has no bytes. */
  readonly file: string | null;
  readonly size: number;
  /** MD5 as hex. */
  readonly etag: string;
  readonly lastModified: number;
  readonly checksums: Checksums;
}

export interface Tables extends Pick<Environment, 'commits'> {
  /** By bucket name; owned by {@link Buckets}. */
  readonly buckets: Database<BucketRecord, string>;
  /** All versions and delete markers, the newest of a key first. */
  readonly versions: Database<VersionRecord, Buffer>;
  /** The sequence of the newest version of each key where that is an object. */
  readonly current: Database<number, Buffer>;
  /** The sequence of each key's null version. */
  readonly nulls: Database<number, Buffer>;
  readonly uploads: Database<UploadRecord, Buffer>;
  readonly parts: Database<PartRecord, Buffer>;
  /** The files of segmented bodies, in order. */
  readonly bodies: Database<readonly Segment[], string>;
  /** By id: bodies that may exist on disk and that no record names (see body-files.ts). */
  readonly unreferenced: Database<{ segmented: boolean }, string>;
  readonly counters: Database<number, string>;
}

export function openTables(
  { root, commits }: Pick<Environment, 'root' | 'commits'>,
  buckets: Database<BucketRecord, string>,
): Tables {
  const keyEncoding = 'binary';
  return {
    commits,
    buckets,
    versions: root.openDB({ name: 'object-versions', keyEncoding }),
    current: root.openDB({ name: 'current-objects', keyEncoding }),
    nulls: root.openDB({ name: 'null-versions', keyEncoding }),
    uploads: root.openDB({ name: 'uploads', keyEncoding }),
    parts: root.openDB({ name: 'upload-parts', keyEncoding }),
    bodies: root.openDB({ name: 'bodies' }),
    unreferenced: root.openDB({ name: 'unreferenced-bodies' }),
    counters: root.openDB({ name: 'object-counters' }),
  };
}
