/**
 * The named databases of the plugin's LMDB environment; ARCHITECTURE.md has the key-layout table.
 *
 * Records of the outbox have fixed structures (`encoder`), so that property names are not stored
 * with each of them. lmdb could keep structures in the database instead, but writes them inside the
 * running transaction: where that is rolled back, records of a structure that was never saved would
 * be left behind unreadable.
 */
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { openEnvironment, type Environment, type EnvironmentOptions } from '../lmdb/environment.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import type { StoredIntent } from '../model/generated/stored-intent.ts';
import type { StoredLaneReport } from '../model/generated/stored-lane-report.ts';
import type { StoredResync } from '../model/generated/stored-resync.ts';
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { StoredStray } from '../model/generated/stored-stray.ts';
import type { StoredProcess } from '../model/generated/stored-intent.ts';
import { Counters } from './counters.ts';

/** Raised when an older program would misread what this one writes. */
export const STORE_FORMAT = 1;

/** Whose lane a number is. */
export interface LaneOwner {
  readonly bucketId: string;
  readonly bucketName: string;
  readonly targetId: string;
}

export interface StoredGap {
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly deleteLost: boolean;
  /** The environment's sequence when the last event was dropped. */
  readonly last: number;
}

/** `process` is null where the lease was given back; the epoch is never used again. */
export interface StoredLease {
  readonly process: StoredProcess | null;
  readonly epoch: number;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}

export interface Tables extends Pick<Environment, 'root' | 'meta' | 'commits' | 'close'> {
  /** The numbers in `meta` that transactions count up. */
  readonly counters: Counters;
  readonly configurations: Database<StoredConfiguration, string>;
  readonly hints: Database<true, string>;
  readonly lanes: Database<number, [bucketId: string, targetId: string]>;
  readonly laneOwners: Database<LaneOwner, number>;
  readonly laneReports: Database<StoredLaneReport, [bucketId: string, targetId: string]>;
  readonly rows: Database<StoredRow, Buffer>;
  readonly chains: Database<Buffer, Buffer>;
  readonly due: Database<Buffer, Buffer>;
  readonly queue: Database<Buffer, Buffer>;
  readonly counts: Database<Buffer, Buffer>;
  readonly expiries: Database<Buffer, Buffer>;
  readonly claims: Database<Buffer, Buffer>;
  readonly strays: Database<StoredStray, Buffer>;
  readonly intents: Database<StoredIntent, Buffer>;
  readonly gaps: Database<StoredGap, [bucketId: string, incarnation: number]>;
  readonly resyncs: Database<StoredResync, [bucketId: string, ruleId: string]>;
  /** Resyncs that run: an index into `resyncs`. */
  readonly running: Database<true, [bucketId: string, ruleId: string]>;
  readonly lease: Database<StoredLease, string>;
}

const ROW_STRUCTURES = [
  [
    'lane',
    'ruleset',
    'key',
    'operation',
    'versionId',
    'order',
    'state',
    'attempts',
    'nextAttemptAt',
    'lastError',
    'createdAt',
    'failedAt',
    'doubtUntil',
    'refused',
    'upload',
    'boot',
  ],
  ['uploadId', 'versionId', 'order', 'partBytes'],
];
const INTENT_STRUCTURES = [
  ['writes', 'process'],
  ['bucketId', 'bucketName', 'key', 'operation', 'versionId', 'order'],
  ['instance', 'pid', 'startTime', 'bootId'],
];

/** The environment's directory below the host's data directory. */
export function storeDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'replication');
}

/** @throws UnsupportedFormatError where a newer version wrote the environment; nothing is touched */
export async function openTables(
  dataDirectory: string,
  options: Pick<EnvironmentOptions, 'readOnly' | 'onFailure' | 'onCompaction'> = {},
): Promise<Tables> {
  const { root, meta, commits, close } = await openEnvironment({
    directory: storeDirectory(dataDirectory),
    format: STORE_FORMAT,
    ...options,
  });
  return {
    root,
    meta,
    commits,
    close,
    counters: new Counters(meta),
    configurations: root.openDB<StoredConfiguration, string>({ name: 'configurations' }),
    hints: root.openDB<true, string>({ name: 'hints' }),
    lanes: root.openDB({ name: 'lanes' }),
    laneOwners: root.openDB({ name: 'lane-owners' }),
    laneReports: root.openDB({ name: 'lane-reports' }),
    rows: root.openDB({ name: 'rows', keyEncoding: 'binary', ...structured(ROW_STRUCTURES) }),
    ...openIndexes(root),
    strays: root.openDB({ name: 'strays', keyEncoding: 'binary' }),
    intents: root.openDB({
      name: 'intents',
      keyEncoding: 'binary',
      ...structured(INTENT_STRUCTURES),
    }),
    gaps: root.openDB({ name: 'gaps' }),
    resyncs: root.openDB({ name: 'resyncs' }),
    running: root.openDB({ name: 'running' }),
    lease: root.openDB({ name: 'lease' }),
  };
}

type Indexes = Pick<Tables, 'chains' | 'due' | 'queue' | 'counts' | 'expiries' | 'claims'>;

function openIndexes(root: RootDatabase): Indexes {
  const openIndex = (name: string): Database<Buffer, Buffer> =>
    root.openDB({ name, keyEncoding: 'binary', encoding: 'binary' });
  return {
    chains: openIndex('chains'),
    due: openIndex('due'),
    queue: openIndex('queue'),
    counts: openIndex('counts'),
    expiries: openIndex('expiries'),
    claims: openIndex('claims'),
  };
}

/** The encoder adds structures that it meets to its list: each database has a list of its own. */
function structured(structures: readonly string[][]): object {
  return {
    encoder: {
      structures: structures.map((names) => [...names]),
      maxSharedStructures: structures.length,
    },
  };
}
