/** What lanes share, for as long as this process holds the lease. */
import type { Row } from '../model/row.ts';
import type { ClaimOutcome } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import type { LaneSlots } from './connection-slots.ts';
import type { EngineOptions } from './engine-types.ts';

export interface LaneContext extends Pick<
  EngineOptions,
  'outbox' | 'connectTarget' | 'clock' | 'random' | 'host'
> {
  readonly epoch: number;
  readonly logger: EngineOptions['host']['logger'];
  /** Null where the bucket is gone. */
  joinSlots(lane: LaneRef, onFree: () => void): Promise<LaneSlots | null>;
  /** The outcome is committed; `bytes` is what was delivered. */
  onOutcome(row: Row, outcome: ClaimOutcome, bytes: number): void;
  /** A multipart upload may be left at a target, with an id that nobody knows. */
  onUploadLeft(): void;
  /** Another process leads now. */
  onLeaseLost(): void;
}
