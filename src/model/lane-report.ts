/**
 * What a lane shows: whether its target takes requests, and what it last complained of. The process
 * that delivers says it, the store keeps it, and every process shows it.
 */
import type { LastError } from './row.ts';

export type Degradation = 'tags' | 'deletes';

export interface LaneReport {
  /** model/breaker.ts */
  readonly breaker: 'closed' | 'open' | 'probing';
  /** When the next probe is due, milliseconds since the epoch; null unless the breaker is open. */
  readonly retryAt: number | null;
  /** Requests wait for a first connection, and have for a while. */
  readonly connecting: boolean;
  /** Of the last failed request; null since the last success. */
  readonly lastError: LastError | null;
  /** What the target refuses: `tags` that objects are delivered without, `deletes` that are only probed. */
  readonly degraded: readonly Degradation[];
}

/** Of a lane that has nothing to complain of, or never said anything. */
export const HEALTHY: LaneReport = {
  breaker: 'closed',
  retryAt: null,
  connecting: false,
  lastError: null,
  degraded: [],
};

/** Whether two reports say the same; the target's id of a request is not news. */
export function isSameReport(a: LaneReport, b: LaneReport): boolean {
  return (
    a.breaker === b.breaker &&
    a.retryAt === b.retryAt &&
    a.connecting === b.connecting &&
    a.degraded.join() === b.degraded.join() &&
    a.lastError?.reason === b.lastError?.reason &&
    a.lastError?.status === b.lastError?.status &&
    a.lastError?.code === b.lastError?.code
  );
}
