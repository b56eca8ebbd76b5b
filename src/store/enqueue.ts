/** From an event to rows: matching, the limits that drop events, and the new rows themselves. */
import type { AnnouncedWrite, CommittedWrite } from '../host.ts';
import { LINGER_MS } from '../model/delivery.ts';
import { laterDoubt, presentDoubt } from '../model/doubt.ts';
import {
  droppedBy,
  isCovered,
  isSynchronous,
  matchEvent,
  type MatchedEvent,
} from '../model/match.ts';
import type { QueuedRow } from '../model/queue.ts';
import { ORDER_LAST, type LaneRef } from '../model/row.ts';
import { chainOf, type ChainRef, type Chains } from './chains.ts';
import type { ConfigurationCache } from './configuration-cache.ts';
import { noteGap } from './gaps.ts';
import type { LaneNumbers } from './lanes.ts';
import { keyNameOf } from './outbox-keys.ts';
import { answerRow, type Entry } from './queue-rows.ts';
import type { RowCounts } from './row-counts.ts';
import type { Tables } from './tables.ts';

/**
 * Rows are counted once for many: after a count, a process adds at most a sixteenth of the room that
 * was left, so that sixteen processes together stay below the limit, and at most 1,024 rows.
 */
const SHARES = 16;
const UNCOUNTED_MAX = 1_024;
const BUCKETS_MAX = 10_000;

export interface EnqueueOptions {
  readonly tables: Tables;
  readonly chains: Chains;
  readonly lanes: LaneNumbers;
  readonly counts: RowCounts;
  readonly configurations: ConfigurationCache;
  readonly now: () => number;
  readonly isDiskLow: () => boolean;
  /** Rows a bucket. */
  readonly backlogMax: number;
  /** Which start of the operating system this is. */
  readonly boot: number;
  /** Since then. */
  readonly bootedForMs: () => number;
}

/** What a row delivers; without a version, whatever is current then. */
export interface Delivery {
  readonly key: string;
  readonly operation: 'put' | 'delete';
  readonly version: Pick<CommittedWrite, 'versionId' | 'order'> | null;
}

export class Enqueuer {
  readonly #tables: Tables;
  readonly #chains: Chains;
  readonly #configurations: ConfigurationCache;
  readonly #options: EnqueueOptions;
  /** By bucket id: rows that may be added before the next count. */
  readonly #uncounted = new Map<string, number>();

  constructor(options: EnqueueOptions) {
    this.#tables = options.tables;
    this.#chains = options.chains;
    this.#configurations = options.configurations;
    this.#options = options;
  }

  isCovered(write: AnnouncedWrite): boolean {
    return isCovered(this.#configurations.of(write.bucket), { ...write, replica: false });
  }

  /** One row for each target whose rules match; rules that miss the event get a gap. */
  enqueueMatching(
    event: MatchedEvent & Pick<CommittedWrite, 'bucket'>,
    version: Delivery['version'],
  ): QueuedRow[] {
    const { bucket, key, operation } = event;
    const configuration = this.#configurations.of(bucket);
    const { enqueue, dropped } = matchEvent(configuration, event);
    const now = this.#options.now();
    for (const drop of dropped) noteGap(this.#tables, bucket, drop, now);
    const queued: QueuedRow[] = [];
    for (const match of enqueue) {
      const lane = { bucket: { id: bucket.id, name: bucket.name }, targetId: match.targetId };
      const entry = this.enqueue(lane, match.ruleset, { key, operation, version });
      if (entry === null) continue;
      const row = answerRow(entry, lane);
      queued.push({ ...row, isSynchronous: isSynchronous(configuration, match) });
    }
    return queued;
  }

  /** Null where a limit drops the event; its rules have a gap then. */
  enqueue(lane: LaneRef, ruleset: readonly number[], delivery: Delivery): Entry | null {
    const number = this.#options.lanes.findOrAdd(lane);
    if (this.#options.isDiskLow() || !this.#hasRoom(number, lane, delivery)) {
      const match = { targetId: lane.targetId, ruleset };
      for (const drop of droppedBy(match, delivery.operation)) {
        noteGap(this.#tables, lane.bucket, drop, this.#options.now());
      }
      return null;
    }
    return this.add(number, ruleset, delivery, null);
  }

  /**
   * Adds a row, or lets the chain's unclaimed `resolve` row stand for it too.
   *
   * @param doubtUntil of a row that only verifies: when the doubt that it is for is over
   */
  add(
    lane: number,
    ruleset: readonly number[],
    { key, operation, version }: Delivery,
    doubtUntil: number | null,
  ): Entry {
    const now = this.#options.now();
    const keyName = keyNameOf(key);
    const added: Entry['row'] = {
      lane,
      ruleset: [...ruleset],
      key,
      operation: version === null ? 'resolve' : operation,
      versionId: version?.versionId ?? null,
      order: version?.order ?? ORDER_LAST,
      state: doubtUntil === null ? 'pending' : 'verifying',
      attempts: 0,
      nextAttemptAt: doubtUntil ?? now,
      lastError: null,
      createdAt: now,
      failedAt: null,
      doubtUntil,
      refused: false,
      upload: null,
      boot: this.#options.boot,
    };
    const row = doubtUntil === null ? this.#overtakeRefused({ lane, keyName }, added) : added;
    const other = version === null ? this.#chains.findResolve({ lane, keyName }, -1) : undefined;
    if (other === undefined) {
      return this.#chains.insert({ sequence: this.#tables.counters.nextSequence(), keyName, row });
    }
    const earliest = Math.min(other.row.nextAttemptAt, row.nextAttemptAt);
    return this.#chains.update(other, this.#chains.absorb(other.row, row, earliest));
  }

  /** A pending or failed row that returns to the chain takes in the unclaimed `resolve` row there. */
  takeIn(entry: Entry, row: Entry['row']): Entry['row'] {
    if (row.operation !== 'resolve') return row;
    const other = this.#chains.findResolve(chainOf(entry), entry.sequence);
    if (other === undefined) return row;
    const merged = this.#chains.absorb(row, other.row, row.nextAttemptAt);
    this.#chains.remove([other]);
    return merged;
  }

  /**
   * Until when an earlier request of the row's chain may be applied, or null. Where the operating
   * system went down, a row that was queued and sent shortly before may be lost with its claim, while
   * its request lingers: whatever its key has soon afterwards is in doubt.
   */
  doubtOf({ row }: Entry): number | null {
    const { boot, bootedForMs, now } = this.#options;
    const upMs = bootedForMs();
    const known = presentDoubt(row.doubtUntil, now());
    if (row.boot === boot && upMs >= LINGER_MS) return known;
    return laterDoubt(known, Math.round(now() - upMs) + LINGER_MS);
  }

  /** Has the key looked at once requests that were sent by now can no longer be applied. */
  addVerification(lane: number, ruleset: readonly number[], key: string, doubtUntil: number): void {
    const delivery = { key, operation: 'put', version: null } as const;
    this.add(lane, ruleset, delivery, doubtUntil);
  }

  /** A head that the target refuses goes where a newer event of its key is queued: that stands for both. */
  #overtakeRefused(chain: ChainRef, row: Entry['row']): Entry['row'] {
    const head = this.#chains.headOf(chain);
    if (head === null || head.isClaimed) return row;
    const entry = this.#chains.rows.expect(head.sequence);
    const { refused, order, state } = entry.row;
    if (!refused || order >= row.order || state !== 'pending') return row;
    const doubtUntil = this.doubtOf(entry);
    this.#chains.remove([entry]);
    const both = this.#chains.adoptRules(row, entry.row);
    if (doubtUntil !== null && doubtUntil > this.#options.now()) {
      this.addVerification(chain.lane, both.ruleset, row.key, doubtUntil);
    }
    return both;
  }

  /** All that is left of a row that is not in flight is such a look; one that was taken in is gone. */
  becomeVerification(sequence: number): void {
    const entry = this.#chains.rows.read(sequence);
    if (entry === undefined) return;
    const doubtUntil = this.doubtOf(entry) ?? this.#options.now();
    const row: Entry['row'] = {
      ...entry.row,
      operation: 'resolve',
      versionId: null,
      order: ORDER_LAST,
      state: 'verifying',
      attempts: 0,
      nextAttemptAt: doubtUntil,
      lastError: null,
      failedAt: null,
      doubtUntil,
      refused: false,
      upload: null,
      boot: this.#options.boot,
    };
    this.#chains.remove([entry]);
    this.#chains.insert({ ...entry, row: this.takeIn(entry, row) });
  }

  #hasRoom(lane: number, { bucket }: LaneRef, { key, version }: Delivery): boolean {
    const uncounted = this.#uncounted.get(bucket.id) ?? 0;
    if (uncounted > 0) {
      this.#uncounted.set(bucket.id, uncounted - 1);
      return true;
    }
    const room = this.#options.backlogMax - this.#countRows(bucket);
    if (room > 0) {
      const [oldest] = this.#uncounted.keys();
      if (this.#uncounted.size >= BUCKETS_MAX && oldest !== undefined) {
        this.#uncounted.delete(oldest);
      }
      this.#uncounted.set(bucket.id, Math.min(Math.floor(room / SHARES), UNCOUNTED_MAX));
      return true;
    }
    if (version !== null) return false;
    return this.#chains.findResolve({ lane, keyName: keyNameOf(key) }, -1) !== undefined;
  }

  #countRows(bucket: LaneRef['bucket']): number {
    const { lanes, counts } = this.#options;
    let rows = 0;
    for (const { lane } of lanes.of(bucket)) {
      for (const { pending, verifying, failed } of counts.of(lane))
        rows += pending + verifying + failed;
    }
    return rows;
  }
}
