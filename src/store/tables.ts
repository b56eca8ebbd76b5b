/** The tables of the store, whatever keeps them; docs/key-layout.md has their keys. */
import { join } from 'node:path';
import { openEnvironment, type Environment, type EnvironmentOptions } from '../lmdb/environment.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import type { StoredIntent } from '../model/generated/stored-intent.ts';
import type { StoredLaneReport } from '../model/generated/stored-lane-report.ts';
import type { StoredResync } from '../model/generated/stored-resync.ts';
import type { StoredRow } from '../model/generated/stored-row.ts';
import type { StoredStray } from '../model/generated/stored-stray.ts';
import type { StoredProcess } from '../model/generated/stored-intent.ts';
import { Counters } from './counters.ts';
import { LmdbStorage } from './lmdb-storage.ts';
import type { Table, TableLayout, TableStorage } from './table.ts';

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

export interface Tables {
  readonly storage: TableStorage;
  readonly meta: Table<number, string>;
  /** The numbers in `meta` that transactions count up. */
  readonly counters: Counters;
  readonly configurations: Table<StoredConfiguration, string>;
  readonly hints: Table<true, string>;
  readonly lanes: Table<number, [bucketId: string, targetId: string]>;
  readonly laneOwners: Table<LaneOwner, number>;
  readonly laneReports: Table<StoredLaneReport, [bucketId: string, targetId: string]>;
  readonly rows: Table<StoredRow, Buffer>;
  readonly chains: Table<Buffer, Buffer>;
  readonly due: Table<Buffer, Buffer>;
  readonly queue: Table<Buffer, Buffer>;
  readonly counts: Table<Buffer, Buffer>;
  readonly expiries: Table<Buffer, Buffer>;
  readonly claims: Table<Buffer, Buffer>;
  readonly strays: Table<StoredStray, Buffer>;
  readonly intents: Table<StoredIntent, Buffer>;
  readonly gaps: Table<StoredGap, [bucketId: string, incarnation: number]>;
  readonly resyncs: Table<StoredResync, [bucketId: string, ruleId: string]>;
  /** Resyncs that run: an index into `resyncs`. */
  readonly running: Table<true, [bucketId: string, ruleId: string]>;
  readonly lease: Table<StoredLease, string>;
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

/** The tables in LMDB, and what only LMDB has. */
export interface LmdbTables extends Tables, Pick<Environment, 'root' | 'commits' | 'close'> {}

/** @throws UnsupportedFormatError where a newer version wrote the environment; nothing is touched */
export async function openTables(
  dataDirectory: string,
  options: Pick<EnvironmentOptions, 'readOnly' | 'onFailure' | 'onCompaction'> = {},
): Promise<LmdbTables> {
  const { root, commits, close } = await openEnvironment({
    directory: storeDirectory(dataDirectory),
    format: STORE_FORMAT,
    ...options,
  });
  return { ...tablesIn(new LmdbStorage({ root, commits, close })), root, commits, close };
}

/** As one process has them: what transactions count is kept by process. */
export function tablesIn(storage: TableStorage): Tables {
  const meta = storage.table<number, string>(records('meta', 'words'));
  return {
    storage,
    meta,
    counters: new Counters(meta),
    configurations: storage.table(records('configurations', 'words')),
    hints: storage.table(records('hints', 'words')),
    lanes: storage.table(records('lanes', 'words')),
    laneOwners: storage.table(records('lane-owners', 'words')),
    laneReports: storage.table(records('lane-reports', 'words')),
    rows: storage.table({ ...records('rows', 'bytes'), structures: ROW_STRUCTURES }),
    chains: storage.table(index('chains')),
    due: storage.table(index('due')),
    queue: storage.table(index('queue')),
    counts: storage.table(index('counts')),
    expiries: storage.table(index('expiries')),
    claims: storage.table(index('claims')),
    strays: storage.table(records('strays', 'bytes')),
    intents: storage.table({ ...records('intents', 'bytes'), structures: INTENT_STRUCTURES }),
    gaps: storage.table(records('gaps', 'words')),
    resyncs: storage.table(records('resyncs', 'words')),
    running: storage.table(records('running', 'words')),
    lease: storage.table(records('lease', 'words')),
  };
}

function records(name: string, keys: TableLayout['keys']): TableLayout {
  return { name, keys, values: 'records' };
}

function index(name: string): TableLayout {
  return { name, keys: 'bytes', values: 'bytes' };
}
