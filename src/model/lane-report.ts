/**
 * What a lane shows: whether its target takes requests, and what it last complained of. The process
 * that delivers says it, the store keeps it, and every process shows it.
 */
import type { LastError } from './row.ts';

export interface LaneReport {
  /** model/breaker.ts */
  readonly breaker: 'closed' | 'open' | 'probing';
  /** When the next probe is due, milliseconds since the epoch; null unless the breaker is open. */
  readonly retryAt: number | null;
  /** Of the last failed request; null since the last success. */
  readonly lastError: LastError | null;
  /** What the target refuses and objects are delivered without. */
  readonly degraded: readonly 'tags'[];
}

/** Of a lane that has nothing to complain of, or never said anything. */
export const HEALTHY: LaneReport = {
  breaker: 'closed',
  retryAt: null,
  lastError: null,
  degraded: [],
};

/** Whether two reports say the same; the target's id of a request is not news. */
export function isSameReport(a: LaneReport, b: LaneReport): boolean {
  return (
    a.breaker === b.breaker &&
    a.retryAt === b.retryAt &&
    a.degraded.length === b.degraded.length &&
    a.lastError?.reason === b.lastError?.reason &&
    a.lastError?.status === b.lastError?.status &&
    a.lastError?.code === b.lastError?.code
  );
}
