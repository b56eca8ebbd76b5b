/**
 * What one transaction does to the versions of a bucket: S3's rules for versioning, and the report of
 * what became current.
 *
 * Lives within a single transaction and writes as it goes; whoever runs it rolls back by throwing.
 * Invariants: the version with the highest sequence of a key is the newest; `current` names it
 * exactly where it is an object; a key has at most one null version, named by `nulls`; `order` grows
 * with every event of a key and is what `headCurrent` shows after it.
 */
import type { BucketRef, CommittedWrite } from '../../host.ts';
import type { BucketRecord } from '../buckets.ts';
import { ObjectError } from './object-error.ts';
import { NULL_VERSION_ID, objectKey, serialId, versionKey } from './object-keys.ts';
import type { BodyRef, Tables, VersionRecord } from './tables.ts';
import type { DeleteEntry, DeleteResult, Tags, WriteConditions } from './types.ts';
import { findVersion, newestVersion, type StoredVersion } from './version-lookup.ts';

const COUNTER = 'order';

export type NewVersion = Omit<
  VersionRecord,
  'versionId' | 'order' | 'lastModified' | 'deleteMarker' | 'replicates'
>;

interface Touched {
  readonly key: string;
  readonly object: Buffer;
  /** The sequence of what was current, if anything was. */
  readonly before: number | undefined;
  /** The current version changed in place. */
  changed: boolean;
}

export interface ChangeOptions {
  readonly tables: Tables;
  readonly bucket: BucketRef;
  /** Whether the request comes from another server's replication. */
  readonly replica: boolean;
  /** Whether a rule replicates the objects that the change makes. */
  readonly replicates: boolean;
  readonly now: number;
  readonly randomBytes: (size: number) => Buffer;
}

export class Change {
  readonly #tables: Tables;
  readonly #options: ChangeOptions;
  readonly #bucket: BucketRecord;
  readonly #firstOrder: number;
  #order: number;
  readonly #touched = new Map<string, Touched>();
  readonly #doomed: BodyRef[] = [];

  /** @throws ObjectError NoSuchBucket where the bucket, by its id, is gone */
  constructor(options: ChangeOptions) {
    this.#options = options;
    this.#tables = options.tables;
    this.#bucket = existingBucket(options.tables, options.bucket);
    this.#order = options.tables.counters.get(COUNTER) ?? 0;
    this.#firstOrder = this.#order;
  }

  /** @throws ObjectError NoSuchKey, PreconditionFailed */
  checkConditions(key: string, conditions: WriteConditions | undefined): void {
    if (conditions === undefined) return;
    const newest = newestVersion(this.#tables, objectKey(this.#bucket.id, key));
    const etag = newest === null || newest.record.deleteMarker ? null : newest.record.etag;
    const { ifMatch, ifNoneMatch } = conditions;
    if (ifMatch !== undefined) {
      if (etag === null) throw new ObjectError('NoSuchKey');
      if (!matches(ifMatch, etag)) throw new ObjectError('PreconditionFailed');
    }
    if (ifNoneMatch !== undefined && etag !== null && matches(ifNoneMatch, etag)) {
      throw new ObjectError('PreconditionFailed');
    }
  }

  /** Makes an object the current version; its body, if any, is named by a record from here on. */
  insertObject(key: string, version: NewVersion): StoredVersion {
    if (version.body !== null) void this.#tables.unreferenced.remove(version.body.id);
    const { replicates } = this.#options;
    return this.#insert(key, { ...version, deleteMarker: false, replicates });
  }

  /** A delete as S3 does it for the bucket's versioning status and the entry. */
  delete(entry: DeleteEntry): DeleteResult {
    const { key, versionId } = entry;
    if (versionId !== undefined) {
      const removed = this.#remove(key, versionId);
      return { versionId, deleteMarker: removed?.deleteMarker ?? false };
    }
    if (this.#bucket.versioning === 'Disabled') {
      this.#remove(key, NULL_VERSION_ID);
      return { deleteMarker: false };
    }
    const marker = this.#insert(key, { ...emptyVersion, replica: this.#options.replica });
    return { versionId: marker.record.versionId, deleteMarker: true };
  }

  setTags(key: string, version: StoredVersion, tags: Tags): void {
    const touched = this.#touch(key);
    const current = touched.before === version.sequence;
    touched.changed ||= current;
    const record: VersionRecord = {
      ...version.record,
      tags: Object.entries(tags),
      order: current ? this.#nextOrder() : version.record.order,
    };
    void this.#tables.versions.put(versionKey(touched.object, version.sequence), record);
  }

  /** A number larger than every sequence and order so far, for an id. */
  nextSequence(): number {
    return this.#nextOrder();
  }

  /** The files of the body are removed once the transaction is on disk. */
  doom(body: BodyRef): void {
    void this.#tables.unreferenced.put(body.id, { segmented: body.segmented });
    this.#doomed.push(body);
  }

  /**
   * Ends the change. Returns what became current, per key in the order in which keys were first
   * touched, and the bodies to discard once this is on disk.
   */
  finish(): { events: CommittedWrite[]; doomed: readonly BodyRef[] } {
    const events = [...this.#touched.values()].flatMap((touched) => this.#eventOf(touched));
    if (this.#order > this.#firstOrder) void this.#tables.counters.put(COUNTER, this.#order);
    return { events, doomed: this.#doomed };
  }

  #insert(key: string, version: Omit<VersionRecord, 'versionId' | 'order' | 'lastModified'>) {
    const { current, nulls, versions } = this.#tables;
    const { object } = this.#touch(key);
    const sequence = this.#nextOrder();
    const keepsVersions = this.#bucket.versioning === 'Enabled';
    const versionId = keepsVersions
      ? serialId(sequence, this.#options.randomBytes(12)).toString('base64url')
      : NULL_VERSION_ID;
    if (!keepsVersions) {
      this.#removeRecord(object, findVersion(this.#tables, object, NULL_VERSION_ID));
      void nulls.put(object, sequence);
    }
    const record = { ...version, versionId, order: sequence, lastModified: this.#options.now };
    void versions.put(versionKey(object, sequence), record);
    if (record.deleteMarker) void current.remove(object);
    else void current.put(object, sequence);
    return { sequence, record };
  }

  #remove(key: string, versionId: string): VersionRecord | null {
    const { object } = this.#touch(key);
    const found = findVersion(this.#tables, object, versionId);
    if (found === null) return null;
    this.#removeRecord(object, found);
    const newest = newestVersion(this.#tables, object);
    if (newest === null || newest.record.deleteMarker) void this.#tables.current.remove(object);
    else void this.#tables.current.put(object, newest.sequence);
    return found.record;
  }

  /** Leaves `current` to the caller. */
  #removeRecord(object: Buffer, version: StoredVersion | null): void {
    if (version === null) return;
    const { nulls, versions } = this.#tables;
    void versions.remove(versionKey(object, version.sequence));
    if (version.record.versionId === NULL_VERSION_ID) void nulls.remove(object);
    if (version.record.body !== null) this.doom(version.record.body);
  }

  #touch(key: string): Touched {
    const known = this.#touched.get(key);
    if (known !== undefined) return known;
    const object = objectKey(this.#bucket.id, key);
    const touched = { key, object, before: this.#tables.current.get(object), changed: false };
    this.#touched.set(key, touched);
    return touched;
  }

  #eventOf(touched: Touched): CommittedWrite[] {
    const { key, object, before, changed } = touched;
    const after = this.#tables.current.get(object);
    if (before === after && !changed) return [];
    const newest = newestVersion(this.#tables, object);
    const order = newest === null ? this.#nextOrder() : this.#freshOrder(object, newest);
    return [
      {
        bucket: { id: this.#bucket.id, name: this.#bucket.name },
        key,
        operation: after === undefined ? 'delete' : 'put',
        versionId: newest?.record.versionId ?? null,
        order,
        replica: this.#options.replica || (after !== undefined && newest?.record.replica === true),
      },
    ];
  }

  /** A version that became current because a newer one went gets a new order; its place stays. */
  #freshOrder(object: Buffer, { record, sequence }: StoredVersion): number {
    if (record.order > this.#firstOrder) return record.order;
    const order = this.#nextOrder();
    void this.#tables.versions.put(versionKey(object, sequence), { ...record, order });
    return order;
  }

  #nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }
}

const emptyVersion = {
  deleteMarker: true,
  replicates: false,
  size: 0,
  etag: '',
  systemHeaders: {},
  userMetadata: [],
  tags: [],
  checksums: {},
  body: null,
} as const;

/** @throws ObjectError NoSuchBucket; also where another bucket has the name now */
export function existingBucket(tables: Tables, bucket: BucketRef): BucketRecord {
  const record = tables.buckets.get(bucket.name);
  if (record === undefined || record.id !== bucket.id) throw new ObjectError('NoSuchBucket');
  return record;
}

function matches(etags: readonly string[], etag: string): boolean {
  return etags.includes('*') || etags.includes(etag);
}
