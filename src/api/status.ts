/** `GET /status`: per rule and per target, how replication is doing. */

import type { BucketRef } from '../host.ts';
import type { Configuration } from '../model/configuration.ts';
import type { QueueStatus } from '../model/ports.ts';
import type { RowCount } from '../model/row.ts';
import type { Rule } from '../model/rule.ts';
import type { Target } from '../model/target.ts';
import { formatTime } from '../model/task.ts';
import { requestState } from './request.ts';
import type { AdminApiDependencies, Handler, LaneControl } from './router.ts';

export function createStatusHandler({ store, outbox, lanes, now }: AdminApiDependencies): Handler {
  return async function getStatus(ctx) {
    const { bucket } = requestState(ctx);
    const configuration = await store.read(bucket);
    const queue = await outbox.queueStatus(bucket);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      rules: configuration.rules.map((rule) => describeRule(rule, configuration, queue)),
      targets: configuration.targets.map((target) =>
        describeTarget(target, bucket, queue, lanes, now()),
      ),
    };
  };
}

function describeRule(rule: Rule, configuration: Configuration, queue: QueueStatus): object {
  const gap = queue.gaps.find(({ incarnation }) => incarnation === rule.incarnation);
  const counts = queue.counts.filter(({ ruleset }) => ruleset.includes(rule.incarnation));
  return {
    ruleId: rule.id,
    targetId: rule.targetId,
    enabled: rule.enabled,
    ...sum(counts, new Set(configuration.targets.map(({ id }) => id))),
    gapSince: gap === undefined ? null : formatTime(gap.gapSince),
  };
}

function describeTarget(
  target: Target,
  bucket: BucketRef,
  queue: QueueStatus,
  lanes: LaneControl,
  now: number,
): object {
  const lane = lanes.laneStatus({ bucket, targetId: target.id });
  const oldest = queue.oldest.find(({ targetId }) => targetId === target.id);
  const counts = queue.counts.filter(({ targetId }) => targetId === target.id);
  return {
    targetId: target.id,
    endpoint: target.endpoint,
    enabled: target.enabled,
    ...sum(counts, new Set([target.id])),
    oldestAgeSeconds:
      oldest === undefined ? null : Math.max(0, Math.round((now - oldest.createdAt) / 1000)),
    state: target.enabled ? lane.state : 'paused',
    retryAt: lane.retryAt === null ? null : formatTime(lane.retryAt),
    lastError: lane.lastError?.reason ?? null,
    degraded: lane.degraded,
  };
}

/** Rows of a removed target count as failed, as the list of tasks shows them. */
function sum(
  counts: readonly RowCount[],
  targetIds: ReadonlySet<string>,
): { queued: number; failed: number } {
  let queued = 0;
  let failed = 0;
  for (const count of counts) {
    if (targetIds.has(count.targetId)) queued += count.pending;
    else failed += count.pending;
    failed += count.failed;
  }
  return { queued, failed };
}
