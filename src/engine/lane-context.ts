/** What lanes share, for as long as this process holds the lease. */
import type { Row } from '../model/row.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import type { Tenure } from '../model/ports.ts';
import type { LaneRef } from '../model/row.ts';
import type { OwnerMemory } from './body-memory.ts';
import type { LaneSlots } from './connection-slots.ts';
import type { EngineOptions } from './engine-types.ts';
import type { WakeTimes } from './wake-times.ts';

/** What a lane has of what all lanes share, by the owner of its bucket. */
export interface LaneShares {
  readonly slots: LaneSlots;
  readonly memory: OwnerMemory;
}

/** Of all lanes; each keeps its own part of it up to date. */
export interface LaneTally {
  openBreakers: number;
  inFlight: number;
}

export interface LaneContext extends Pick<
  EngineOptions,
  'outbox' | 'connectTarget' | 'clock' | 'random' | 'host'
> {
  readonly tenure: Tenure;
  readonly wakeTimes: WakeTimes;
  readonly tally: LaneTally;
  readonly logger: EngineOptions['host']['logger'];
  /** Null where the bucket is gone. */
  joinShares(lane: LaneRef, onFree: () => void): Promise<LaneShares | null>;
  /** The outcome is committed; `bytes` is what was delivered. */
  onOutcome(row: Row, outcome: ClaimOutcome, bytes: number): void;
  /** A multipart upload may be left at a target, with an id that nobody knows. */
  onUploadLeft(): void;
  /** Another process leads now. */
  onLeaseLost(): void;
}
