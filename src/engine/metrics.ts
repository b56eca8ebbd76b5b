/**
 * Metrics of replication for Prometheus and what reads its format. No label names a bucket, a user or
 * an endpoint: their number is not bounded, and they are nobody else's business.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import type { QueueTotals } from '../model/queue.ts';
import type { EngineCounters } from './engine-types.ts';

export interface MetricSources {
  readonly counters: () => EngineCounters;
  readonly totals: () => Promise<QueueTotals>;
  /** In bytes. */
  readonly storeSize: () => number;
  /** In bytes. */
  readonly diskFree: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Returns the way to read all metrics now, in the Prometheus text format 0.0.4. */
export function createMetrics(sources: MetricSources): () => Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `alarik_replication_${name}`, help, registers });
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `alarik_replication_${name}`, help, registers });

  const pending = gauge('pending_tasks', 'Tasks that are queued');
  const failed = gauge('failed_tasks', 'Tasks that were given up and are kept for seven days');
  const oldest = gauge('oldest_pending_seconds', 'Age of the oldest queued task; 0 without one');
  const open = gauge('open_breakers', 'Targets that fail and are only probed');
  const inFlight = gauge('deliveries_in_flight', 'Deliveries that are under way');
  const bodyBytes = gauge('body_bytes', 'Memory that is taken for bodies of deliveries');
  const storeSize = gauge('store_bytes', 'Size of the database file');
  const diskFree = gauge('disk_free_bytes', 'Free space on the disk of the database');
  const deliveries = counter('deliveries_total', 'Tasks that were delivered by this process');
  const bytes = counter('delivered_bytes_total', 'Bytes of objects delivered by this process');
  const verifying = gauge('verifying_tasks', 'Tasks that only look for requests that came late');
  const uploadsLeft = counter(
    'lost_uploads_total',
    'Multipart uploads that may be left at targets, as answers to their creation were lost',
  );
  const failures = counter('failures_total', 'Tries of this process that failed');

  return async () => {
    const totals = await sources.totals();
    pending.set(totals.pending);
    verifying.set(totals.verifying);
    failed.set(totals.failed);
    oldest.set(ageInSeconds(totals.oldestPendingAt, sources.now()));
    const counters = sources.counters();
    open.set(counters.openBreakers);
    inFlight.set(counters.inFlight);
    bodyBytes.set(counters.bodyBytes);
    storeSize.set(sources.storeSize());
    diskFree.set(sources.diskFree());
    setCounter(deliveries, counters.deliveries);
    setCounter(bytes, counters.deliveredBytes);
    setCounter(failures, counters.failures);
    setCounter(uploadsLeft, counters.uploadsLeft);
    return registry.metrics();
  };
}

/** The engine counts; prom-client's counters can only be added to. */
function setCounter(counter: Counter, value: number): void {
  counter.reset();
  counter.inc(value);
}

function ageInSeconds(since: number | null, now: number): number {
  return since === null ? 0 : Math.max(0, (now - since) / 1000);
}
