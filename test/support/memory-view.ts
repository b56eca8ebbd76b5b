/** What the in-memory outbox shows of its queue. */
import type { BucketRef, ObjectRef } from '../../src/host.ts';
import type { QueueStatus, QueueTotals } from '../../src/model/ports.ts';
import type { Row, RowCount } from '../../src/model/row.ts';
import type { Rule } from '../../src/model/rule.ts';
import type { MemoryRow } from './memory-queue.ts';
import type { MemoryRows } from './memory-rows.ts';

export function statusOf(
  all: MemoryRows,
  bucket: BucketRef,
  rules: readonly Rule[],
): Omit<QueueStatus, 'lanes'> {
  const counts = new Map<string, RowCount>();
  const oldest = new Map<string, MemoryRow>();
  for (const row of all.visible(bucket, {}).sort((a, b) => a.sequence - b.sequence)) {
    const { targetId } = row.lane;
    const name = JSON.stringify([targetId, row.ruleset]);
    const before = counts.get(name) ?? { pending: 0, verifying: 0, failed: 0 };
    counts.set(name, {
      targetId,
      ruleset: row.ruleset,
      pending: before.pending + (row.state === 'pending' ? 1 : 0),
      verifying: before.verifying + (row.state === 'verifying' ? 1 : 0),
      failed: before.failed + (row.state === 'failed' ? 1 : 0),
    });
    if (row.state === 'pending' && !oldest.has(targetId)) oldest.set(targetId, row);
  }
  return {
    counts: [...counts.values()],
    gaps: all.gapsAndJobs.gapsOf(bucket, rules),
    oldest: Array.from(oldest, ([targetId, { createdAt }]) => ({ targetId, createdAt })),
  };
}

export function totalsOf(all: MemoryRows): QueueTotals {
  const rows = [...all.queue.rows.values()];
  const pending = rows.filter(({ state }) => state === 'pending');
  const [oldest] = pending.sort((a, b) => a.sequence - b.sequence);
  return {
    pending: pending.length,
    verifying: rows.filter(({ state }) => state === 'verifying').length,
    failed: rows.filter(({ state }) => state === 'failed').length,
    oldestPendingAt: oldest?.createdAt ?? null,
  };
}

export function stateOf(
  all: MemoryRows,
  { bucket, key, versionId }: ObjectRef,
): Row['state'] | null {
  const states = all
    .visible(bucket, {})
    .filter((row) => row.key === key)
    .filter((row) => row.versionId === versionId || row.operation === 'resolve')
    .map((row) => row.state);
  if (states.length === 0) return null;
  return states.some((state) => state !== 'failed') ? 'pending' : 'failed';
}
