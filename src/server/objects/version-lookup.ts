/**
 * Finds one version of a key, inside a transaction or outside of one.
 */
import type { ObjectHead } from '../../host.ts';
import {
  NULL_VERSION_ID,
  endOfKey,
  parseSerialId,
  sequenceOf,
  startOfKey,
  versionKey,
} from './object-keys.ts';
import type { Tables, VersionRecord } from './tables.ts';
import type { StoredHead } from './types.ts';

export interface StoredVersion {
  readonly sequence: number;
  readonly record: VersionRecord;
}

/** What a GET without a version id sees, delete markers included; null where the key has no version. */
export function newestVersion(tables: Tables, object: Buffer): StoredVersion | null {
  const range = { start: startOfKey(object), end: endOfKey(object), limit: 1 };
  for (const { key, value } of tables.versions.getRange(range)) {
    return { sequence: sequenceOf(key), record: value };
  }
  return null;
}

/** Null also for text that no version id can be. */
export function findVersion(
  tables: Tables,
  object: Buffer,
  versionId: string,
): StoredVersion | null {
  const sequence = sequenceOfVersion(tables, object, versionId);
  if (sequence === null) return null;
  const record = tables.versions.get(versionKey(object, sequence));
  return record?.versionId === versionId ? { sequence, record } : null;
}

/** Where the version is, or, for an id with a place of its own, was. */
export function sequenceOfVersion(
  tables: Tables,
  object: Buffer,
  versionId: string,
): number | null {
  if (versionId === NULL_VERSION_ID) return tables.nulls.get(object) ?? null;
  return parseSerialId(versionId)?.sequence ?? null;
}

export function headOf(key: string, record: VersionRecord): StoredHead {
  const head: ObjectHead = {
    key,
    versionId: record.versionId,
    order: record.order,
    deleteMarker: record.deleteMarker,
    replica: record.replica,
    size: record.size,
    etag: record.etag,
    lastModified: record.lastModified,
    systemHeaders: record.systemHeaders,
    userMetadata: Object.fromEntries(record.userMetadata),
    tags: Object.fromEntries(record.tags),
  };
  return { ...head, checksums: record.checksums, replicates: record.replicates };
}
