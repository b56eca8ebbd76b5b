/** What the engine is given, and what it tells about itself. */
import type { TargetClient } from '../egress/target-client.ts';
import type { Host } from '../host.ts';
import type { ConfigurationStore, Outbox } from '../model/ports.ts';
import type { TargetAccess } from '../model/queue.ts';
import type { LaneRef } from '../model/row.ts';
import type { DiskState } from '../disk/disk-space.ts';
import type { EngineClock } from './clock.ts';

export type { DiskState };

export type UsableTarget = Extract<TargetAccess, { kind: 'usable' }>;

export interface EngineOptions {
  readonly host: Pick<Host, 'findBucket' | 'openObject' | 'headCurrent' | 'listCurrent' | 'logger'>;
  readonly outbox: Outbox;
  readonly configurations: Pick<ConfigurationStore, 'read' | 'mayReplicate' | 'mayReplicateNow'>;
  /** Makes the connections of one lane; nothing is connected before the first request. */
  readonly connectTarget: (access: UsableTarget, lane: LaneRef) => TargetClient;
  readonly clock: EngineClock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly diskState: () => DiskState;
  /** Memory for bodies of all deliveries together; 256 MiB by default. */
  readonly bodyBytesMax?: number;
}

/** Since the process started; plain numbers for metrics. */
export interface EngineCounters {
  readonly deliveries: number;
  /** Bytes of bodies delivered. */
  readonly deliveredBytes: number;
  readonly failures: number;
  /** Multipart uploads that may be left at targets, as the answers to their creation were lost. */
  readonly uploadsLeft: number;
  /** Lanes whose breaker is open or probing now. */
  readonly openBreakers: number;
  readonly inFlight: number;
  /** Memory that is taken for bodies now. */
  readonly bodyBytes: number;
}
