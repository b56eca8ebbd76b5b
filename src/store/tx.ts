/**
 * What the operations of the store are functions of: the tables and what belongs to them, the time, and
 * whose store it is. It is made once for each store, and valid inside of a transaction alone:
 * transactions.ts hands it to the work, which keeps nothing of it for later.
 *
 * Whatever is remembered beyond a transaction is named here. `counters`, `counts` and `lease` hold what
 * one transaction has read or changed.
 */
import { randomUUID } from 'node:crypto';
import type { Configuration, SecretBoxes } from '../model/configuration.ts';
import type { StoredConfiguration } from '../model/generated/stored-configuration.ts';
import { LEASE_MS } from '../model/lease.ts';
import type { TargetAccess } from '../model/queue.ts';
import type { Keyring } from '../sealing/keyring.ts';
import { bootNumberOf, timeSinceBoot } from './boot.ts';
import type { Counters } from './counters.ts';
import { Memo } from './memo.ts';
import { OldestPending } from './oldest-pending.ts';
import { LeaseRecord } from './ownership.ts';
import { createIdentity, mayBeAlive, type ProcessIdentity } from './process-identity.ts';
import { RowCounts } from './row-counts.ts';
import { createSecretBoxes } from './secret-boxes.ts';
import type { SweepPlace } from './sweep.ts';
import type { LaneOwner, Tables } from './tables.ts';

const BACKLOG_MAX = 1_000_000;
/** Lanes that are known by number, some hundred bytes each. */
const LANES_MAX = 10_000;

export interface TxOptions {
  readonly tables: Tables;
  readonly keyring: Keyring;
  /** Below half of the limit at which puts are refused: events are dropped then, with a gap; by default never. */
  readonly isDiskLow?: () => boolean;
  /** Milliseconds since the epoch; by default the system's clock. */
  readonly now?: () => number;
  /** Since the server started, by a clock that does not jump; by default since the store was made. */
  readonly uptimeMs?: () => number;
  /** Since the operating system started; by default as it says itself. */
  readonly bootedForMs?: () => number;
  /** Rows a bucket, 1,000,000 by default. */
  readonly backlogMax?: number;
  readonly leaseMs?: number;
  /** Who this process is, and whether another may still be alive; by default as /proc says. */
  readonly identity?: ProcessIdentity;
  readonly mayBeAlive?: (process: ProcessIdentity) => boolean;
  /** Eight random hex digits; by default the system's. */
  readonly newNonce?: () => string;
}

export interface Tx extends Required<Omit<TxOptions, 'keyring'>> {
  readonly counters: Counters;
  readonly counts: RowCounts;
  readonly lease: LeaseRecord;
  readonly boxes: SecretBoxes;
  /** Which key seals. */
  readonly newestKeyId: string;
  /** Which start of the operating system this is. */
  readonly boot: number;
  /** By bucket name. */
  readonly configurations: Memo<string, StoredConfiguration>;
  /** What they say without their secrets, by bucket name. */
  readonly shown: Memo<string, ShownConfiguration>;
  /** By bucket id and target id. */
  readonly accesses: Memo<string, TargetAccess>;
  readonly laneOwners: Memo<number, LaneOwner>;
  /** By bucket id and target id. */
  readonly laneNumbers: Memo<string, number>;
  /** By bucket id: rows that may be added before the next count. */
  readonly uncounted: Map<string, number>;
  readonly oldestPending: OldestPending;
  readonly sweepPlace: SweepPlace;
}

export interface ShownConfiguration {
  readonly bucketId: string;
  readonly configuration: Configuration;
}

export function createTx({ tables, keyring, ...options }: TxOptions): Tx {
  const { counters } = tables;
  const started = performance.now();
  const identity = options.identity ?? createIdentity();
  return {
    tables,
    counters,
    counts: new RowCounts(tables),
    lease: new LeaseRecord(tables),
    boxes: createSecretBoxes(keyring),
    newestKeyId: keyring.newestKeyId,
    isDiskLow: options.isDiskLow ?? (() => false),
    now: options.now ?? Date.now,
    uptimeMs: options.uptimeMs ?? (() => performance.now() - started),
    bootedForMs: options.bootedForMs ?? timeSinceBoot(),
    boot: bootNumberOf(identity.bootId),
    backlogMax: options.backlogMax ?? BACKLOG_MAX,
    leaseMs: options.leaseMs ?? LEASE_MS,
    identity,
    mayBeAlive: options.mayBeAlive ?? mayBeAlive,
    // A UUID's first eight digits are random, and cost a tenth of bytes that are asked for by themselves.
    newNonce: options.newNonce ?? (() => randomUUID().slice(0, 8)),
    configurations: new Memo(counters),
    shown: new Memo(counters),
    accesses: new Memo(counters),
    laneOwners: new Memo(counters, LANES_MAX),
    laneNumbers: new Memo(counters, LANES_MAX),
    uncounted: new Map(),
    oldestPending: new OldestPending(tables),
    sweepPlace: { lane: 0, parkedAfter: null, parkedSeen: new Map() },
  };
}
