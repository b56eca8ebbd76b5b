/** `POST`, `GET` and `DELETE /rules/:ruleId/resync`: copy what exists already. */
import type { Context } from 'koa';
import { requestId } from '../json-api/answers.ts';
import { replicationError } from '../model/errors.ts';
import type { StoreClock } from '../model/ports.ts';
import type { ResyncJob } from '../model/queue.ts';
import type { Rule } from '../model/rule.ts';
import { formatTime } from '../model/task.ts';
import { requestState } from './request.ts';
import type { AdminApiDependencies, Resource } from './router.ts';

export function createResyncHandlers({
  host,
  store,
  outbox,
  clock,
}: AdminApiDependencies): Resource {
  /** @throws ApiError NoSuchRule */
  async function requestedRule(ctx: Context): Promise<Rule> {
    const { rules } = await store.read(requestState(ctx).bucket);
    const ruleId = (ctx.params as { ruleId: string }).ruleId.toLowerCase();
    const rule = rules.find(({ id }) => id === ruleId);
    if (rule === undefined) throw replicationError('NoSuchRule');
    return rule;
  }

  function audit(ctx: Context, rule: Rule, what: 'resync-started' | 'resync-cancelled'): void {
    const { principal, bucket } = requestState(ctx);
    host.logger.info(
      {
        audit: what,
        requestId: requestId(ctx),
        userId: principal.userId,
        bucket: bucket.name,
        bucketId: bucket.id,
        ruleId: rule.id,
      },
      what === 'resync-started' ? 'resync started' : 'resync cancelled',
    );
  }

  return {
    async POST(ctx) {
      const { bucket } = requestState(ctx);
      const rule = await requestedRule(ctx);
      if (!rule.enabled) throw replicationError('RuleNotEnabled');
      const job = await outbox.startResync(bucket, rule.id, clock.nowMs());
      if (job === null) throw replicationError('ResyncInProgress');
      audit(ctx, rule, 'resync-started');
      // Koa turns a null body into 204: the status comes after it.
      ctx.body = null;
      ctx.status = 202;
    },

    async GET(ctx) {
      const rule = await requestedRule(ctx);
      const job = await outbox.readResync(requestState(ctx).bucket, rule.id);
      if (job === null) throw replicationError('NoSuchResync');
      ctx.set('Cache-Control', 'no-store');
      ctx.body = answerResync(job, clock);
    },

    async DELETE(ctx) {
      const { bucket } = requestState(ctx);
      const rule = await requestedRule(ctx);
      if ((await outbox.readResync(bucket, rule.id)) === null)
        throw replicationError('NoSuchResync');
      if (await outbox.cancelResync(bucket, rule.id, clock.nowMs()))
        audit(ctx, rule, 'resync-cancelled');
      ctx.status = 204;
    },
  };
}

function answerResync(job: ResyncJob, clock: StoreClock): object {
  return {
    state: job.state,
    scanned: job.scanned,
    enqueued: job.enqueued,
    startedAt: formatTime(clock.wallOf(job.startedAt)),
    finishedAt: job.finishedAt === null ? null : formatTime(clock.wallOf(job.finishedAt)),
  };
}
