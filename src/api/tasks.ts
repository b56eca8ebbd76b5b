/** `GET /tasks`, `POST /tasks/:taskId/retry` and `POST /tasks/retry`: the bucket's queue. */

import { requestId } from '../json-api/answers.ts';
import { replicationError } from '../model/errors.ts';
import type { RowFilter } from '../model/queue.ts';
import { answerTask } from '../model/task.ts';
import { integerParameter, parseSequence, ruleParameter, stateParameter } from './query.ts';
import { requestState } from './request.ts';
import type { AdminApiDependencies, Handler } from './router.ts';

const PAGE_MAX = 100;
const SEQUENCE_MAX = 10 ** 15 - 1;

export function createTaskHandlers({
  host,
  store,
  outbox,
  clock,
}: AdminApiDependencies): Record<'list' | 'retryOne' | 'retryMany', Handler> {
  return {
    async list(ctx) {
      const { bucket } = requestState(ctx);
      const state = stateParameter(ctx);
      const after = integerParameter(ctx, 'after', { min: 1, max: SEQUENCE_MAX }) ?? null;
      const limit = integerParameter(ctx, 'limit', { min: 1, max: PAGE_MAX }) ?? PAGE_MAX;
      const filter: RowFilter = state === undefined ? {} : { state };
      // One more than asked for tells whether there is a next page.
      const rows = await outbox.pageRows(bucket, filter, after, limit + 1);
      const configuration = await store.read(bucket);
      const page = rows.slice(0, limit);
      const last = rows.length > limit ? page.at(-1) : undefined;
      ctx.set('Cache-Control', 'no-store');
      ctx.body = {
        tasks: page.flatMap((row) => answerTask(row, configuration, clock) ?? []),
        ...(last === undefined ? {} : { next: String(last.sequence) }),
      };
    },

    async retryOne(ctx) {
      const { bucket } = requestState(ctx);
      const sequence = parseSequence((ctx.params as { taskId: string }).taskId);
      const row = sequence === null ? null : await outbox.retryRow(bucket, sequence, clock.nowMs());
      const task = row === null ? null : answerTask(row, await store.read(bucket), clock);
      if (row === null || task === null) throw replicationError('NoSuchTask');
      ctx.body = task;
    },

    async retryMany(ctx) {
      const { principal, bucket } = requestState(ctx);
      const configuration = await store.read(bucket);
      const state = stateParameter(ctx) ?? 'failed';
      const ruleIncarnation = ruleParameter(ctx, configuration);
      const filter = { state, ...(ruleIncarnation === undefined ? {} : { ruleIncarnation }) };
      const retried = await outbox.retryRows(bucket, filter, clock.nowMs());
      host.logger.info(
        {
          audit: 'tasks-retried',
          requestId: requestId(ctx),
          userId: principal.userId,
          bucket: bucket.name,
          bucketId: bucket.id,
          retried,
        },
        'replication tasks are due again',
      );
      ctx.body = { retried };
    },
  };
}
