/**
 * The routes of the admin API, and the checks that each of them passes first.
 */
import Router from '@koa/router';
import type { Context, Middleware } from 'koa';
import type { Host } from '../host.ts';
import { answerWith, methodNotAllowed } from '../json-api/answers.ts';
import { readJsonBody } from '../json-api/body.ts';
import type { ConfigurationStore, QueueView, Resyncs, StoreClock } from '../model/ports.ts';
import { checkCaller } from './request.ts';
import { createResyncHandlers } from './resyncs.ts';
import { createRuleHandlers } from './rules.ts';
import { createStatusHandler } from './status.ts';
import { createTargetHandlers, type JudgeEndpoint } from './targets.ts';
import { createTaskHandlers } from './tasks.ts';

export interface AdminApiDependencies {
  readonly host: Pick<Host, 'logger' | 'authenticate' | 'findBucket' | 'withBucketLock'>;
  readonly store: ConfigurationStore;
  readonly outbox: QueueView & Pick<Resyncs, 'startResync' | 'readResync' | 'cancelResync'>;
  readonly judgeEndpoint: JudgeEndpoint;
  /** Makes a random UUID. */
  readonly newId: () => string;
  readonly clock: StoreClock;
}

/** Answers one method of one path; the request's state is checked before. */
export type Handler = (ctx: Context) => Promise<void>;

/** What one path answers, by method. */
export type Resource = Partial<Record<'GET' | 'PUT' | 'POST' | 'DELETE', Handler>>;

const BASE = '/api/v1/buckets';

/**
 * Koa middleware that serves `/api/v1/buckets/:bucketName/replication` and passes other paths on.
 *
 * Each path is one layer of the router, and what is checked before a handler runs is called from
 * there: a layer for each check and method costs more than the checks.
 */
export function createAdminApi(dependencies: AdminApiDependencies): Middleware {
  const { host } = dependencies;
  const router = new Router({ sensitive: true });

  const addResource = (name: string, resource: Resource): void => {
    const handlers = new Map(Object.entries(resource));
    const get = handlers.get('GET');
    if (get !== undefined) handlers.set('HEAD', get);
    const refuseMethod = methodNotAllowed(allowedMethods(resource));

    const serve = async (ctx: Context): Promise<void> => {
      const handler = handlers.get(ctx.method);
      if (handler === undefined) return refuseMethod(ctx);
      await checkCaller(ctx, host);
      if (ctx.method === 'PUT') await readJsonBody(ctx);
      await handler(ctx);
    };
    // An empty bucket name matches too: it is an error of its own.
    router.all(`${BASE}/{:bucketName}/replication/${name}`, (ctx) =>
      answerWith(ctx, host.logger, () => serve(ctx)),
    );
  };

  const tasks = createTaskHandlers(dependencies);
  addResource('targets', createTargetHandlers(dependencies));
  addResource('rules', createRuleHandlers(dependencies));
  addResource('tasks', { GET: tasks.list });
  addResource('tasks/retry', { POST: tasks.retryMany });
  addResource('tasks/:taskId/retry', { POST: tasks.retryOne });
  addResource('rules/:ruleId/resync', createResyncHandlers(dependencies));
  addResource('status', { GET: createStatusHandler(dependencies) });
  return router.routes() as unknown as Middleware;
}

function allowedMethods(resource: Resource): string[] {
  return Object.keys(resource).flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
}
