/** `GET /status`: per rule and per target, how replication is doing. */

import type { Configuration } from '../model/configuration.ts';
import { HEALTHY } from '../model/lane-report.ts';
import { judgeRuleset } from '../model/match.ts';
import type { StoreClock } from '../model/ports.ts';
import type { LaneCondition, QueueStatus } from '../model/queue.ts';
import type { RowCount } from '../model/row.ts';
import type { Rule } from '../model/rule.ts';
import type { Target } from '../model/target.ts';
import { formatTime } from '../model/task.ts';
import { requestState } from './request.ts';
import type { AdminApiDependencies, Handler } from './router.ts';

const SEALED =
  'The secret of this target does not open: its key is not configured, or its record was changed outside of the server. Configure the key, or save the target with its secret.';

export function createStatusHandler({ store, outbox, clock }: AdminApiDependencies): Handler {
  return async function getStatus(ctx) {
    const { bucket } = requestState(ctx);
    const configuration = await store.read(bucket);
    const queue = await outbox.queueStatus(bucket);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      rules: configuration.rules.map((rule) => describeRule(rule, configuration, queue, clock)),
      targets: configuration.targets.map((target) =>
        describeTarget(target, configuration, queue, clock),
      ),
    };
  };
}

function describeRule(
  rule: Rule,
  configuration: Configuration,
  queue: QueueStatus,
  clock: StoreClock,
): object {
  const gap = queue.gaps.find(({ incarnation }) => incarnation === rule.incarnation);
  const counts = queue.counts.filter(({ ruleset }) => ruleset.includes(rule.incarnation));
  return {
    ruleId: rule.id,
    targetId: rule.targetId,
    enabled: rule.enabled,
    ...sum(counts, new Set(configuration.targets.map(({ id }) => id))),
    gapSince: gap === undefined ? null : formatTime(clock.wallOf(gap.gapSince)),
  };
}

function describeTarget(
  target: Target,
  configuration: Configuration,
  queue: QueueStatus,
  clock: StoreClock,
): object {
  const lane = queue.lanes.find(({ targetId }) => targetId === target.id) ?? unknownLane(target);
  const oldest = queue.oldest.find(({ targetId }) => targetId === target.id);
  const counts = queue.counts.filter(({ targetId }) => targetId === target.id);
  // What waits for a disabled rule is not on its way.
  const hasWork = counts.some(
    ({ pending, ruleset }) =>
      pending > 0 && judgeRuleset(configuration, target.id, ruleset) === 'active',
  );
  const { retryAt, lastError, degraded } = lane.report;
  const state = stateOf(target, lane, hasWork);
  return {
    targetId: target.id,
    endpoint: target.endpoint,
    enabled: target.enabled,
    ...sum(counts, new Set([target.id])),
    oldestAgeSeconds:
      oldest === undefined
        ? null
        : Math.max(0, Math.round((clock.nowMs() - oldest.createdAt) / 1000)),
    state,
    retryAt: state === 'open' && retryAt !== null ? formatTime(clock.wallOf(retryAt)) : null,
    lastError: lane.isSealed ? SEALED : (lastError?.reason ?? null),
    degraded,
  };
}

/** The target was saved after the queue was looked at, or before. */
function unknownLane({ id }: Target): LaneCondition {
  return { targetId: id, isSealed: false, report: HEALTHY };
}

type LaneState = 'paused' | 'open' | 'probing' | 'connecting' | 'delivering' | 'idle';

function stateOf(
  { enabled }: Target,
  { isSealed, report: { breaker, connecting } }: LaneCondition,
  hasWork: boolean,
): LaneState {
  if (!enabled || isSealed) return 'paused';
  if (breaker !== 'closed') return breaker;
  if (!hasWork) return 'idle';
  return connecting ? 'connecting' : 'delivering';
}

/** Rows of a removed target count as failed, as the list of tasks shows them. */
function sum(
  counts: readonly RowCount[],
  targetIds: ReadonlySet<string>,
): { queued: number; verifying: number; failed: number } {
  let queued = 0;
  let verifying = 0;
  let failed = 0;
  for (const count of counts) {
    if (targetIds.has(count.targetId)) {
      queued += count.pending;
      verifying += count.verifying;
    } else failed += count.pending + count.verifying;
    failed += count.failed;
  }
  return { queued, verifying, failed };
}
