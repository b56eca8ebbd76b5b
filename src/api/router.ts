/**
 * The routes of the admin API, and the checks that each of them passes first.
 */
import Router from '@koa/router';
import type { Middleware } from 'koa';
import type { Engine } from '../engine/engine.ts';
import type { Host } from '../host.ts';
import { answerErrors, methodNotAllowed } from '../json-api/answers.ts';
import { readJsonBody } from '../json-api/body.ts';
import type { ConfigurationStore, Outbox } from '../model/ports.ts';
import { refuseMissingBucketName, requireOwnBucket, requirePrincipal } from './request.ts';
import { createResyncHandlers } from './resyncs.ts';
import { createRuleHandlers } from './rules.ts';
import { createStatusHandler } from './status.ts';
import { createTargetHandlers, type JudgeEndpoint } from './targets.ts';
import { createTaskHandlers } from './tasks.ts';

/** What the API asks of the engine: how a lane is doing, and that it try again now. */
export type LaneControl = Pick<Engine, 'laneStatus' | 'retryLane'>;

export interface AdminApiDependencies {
  readonly host: Pick<Host, 'logger' | 'authenticate' | 'findBucket' | 'withBucketLock'>;
  readonly store: ConfigurationStore;
  readonly outbox: Outbox;
  readonly lanes: LaneControl;
  readonly judgeEndpoint: JudgeEndpoint;
  /** Makes a random UUID. */
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What one path answers, by method. */
export type Resource = Partial<Record<'GET' | 'PUT' | 'POST' | 'DELETE', Middleware>>;

const BASE = '/api/v1/buckets';

/** Koa middleware that serves `/api/v1/buckets/:bucketName/replication` and passes other paths on. */
export function createAdminApi(dependencies: AdminApiDependencies): Middleware {
  const { host } = dependencies;
  const router = new Router({ sensitive: true });
  const errors = answerErrors(host.logger);
  const principal = requirePrincipal(host);
  const bucket = requireOwnBucket(host);

  const addResource = (name: string, resource: Resource): void => {
    const path = `${BASE}/:bucketName/replication/${name}`;
    // The router does not match an empty bucket name.
    const nameless = `${BASE}//replication/${name}`;
    const methods: string[] = [];
    for (const [method, handler] of Object.entries(resource)) {
      methods.push(...(method === 'GET' ? ['GET', 'HEAD'] : [method]));
      const body = method === 'PUT' ? [readJsonBody] : [];
      router.register(path, [method], [errors, principal, bucket, ...body, handler]);
      router.register(nameless, [method], [errors, principal, refuseMissingBucketName]);
    }
    router.all([path, nameless], errors, methodNotAllowed(methods));
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
