/** What the outbox is made of, wired together; outbox.ts says which transaction each operation is. */
import type { Keyring } from '../sealing/keyring.ts';
import { Chains } from './chains.ts';
import { Claims } from './claims.ts';
import { ConfigurationCache } from './configuration-cache.ts';
import { Enqueuer } from './enqueue.ts';
import { LaneNumbers } from './lanes.ts';
import { QueueRows } from './queue-rows.ts';
import { QueueView } from './queue-view.ts';
import { ResyncProgress } from './resync-progress.ts';
import { Retries } from './retries.ts';
import { RowCounts } from './row-counts.ts';
import { ScheduleClamp } from './schedule-clamp.ts';
import { Strays } from './strays.ts';
import { Sweep } from './sweep.ts';
import type { Tables } from './tables.ts';
import { TargetAccesses } from './target-access.ts';

export interface OutboxPartsOptions {
  readonly tables: Tables;
  readonly keyring: Keyring;
  readonly now: () => number;
  readonly isDiskLow: () => boolean;
  /** Rows a bucket. */
  readonly backlogMax: number;
  /** Which start of the operating system this is. */
  readonly boot: number;
  /** Since then. */
  readonly bootedForMs: () => number;
}

export interface OutboxParts {
  readonly counts: RowCounts;
  readonly chains: Chains;
  readonly enqueuer: Enqueuer;
  readonly claims: Claims;
  readonly accesses: TargetAccesses;
  readonly view: QueueView;
  readonly retries: Retries;
  readonly resyncs: ResyncProgress;
  readonly clamp: ScheduleClamp;
  readonly strays: Strays;
  readonly sweep: Sweep;
}

export function createParts(options: OutboxPartsOptions): OutboxParts {
  const { tables, keyring, now, boot } = options;
  const counts = new RowCounts(tables);
  const lanes = new LaneNumbers(tables);
  const configurations = new ConfigurationCache(tables);
  const strays = new Strays(tables, lanes, configurations);
  const rows = new QueueRows(tables, counts, strays);
  const shared = { tables, rows, lanes, counts, configurations, strays, now };
  const chains = new Chains(shared);
  const enqueuer = new Enqueuer({ ...options, ...shared, chains });
  const accesses = new TargetAccesses(tables, configurations, keyring);
  const view = new QueueView({ ...shared, accesses });
  return {
    counts,
    chains,
    enqueuer,
    claims: new Claims({ ...shared, chains, enqueuer, boot }),
    accesses,
    view,
    retries: new Retries({ tables, chains, enqueuer, view }),
    resyncs: new ResyncProgress(tables, configurations, enqueuer),
    clamp: new ScheduleClamp(tables, chains, counts),
    strays,
    sweep: new Sweep({ ...shared, chains, enqueuer }),
  };
}
