/**
 * The routes of the admin API, and the checks that each of them passes first.
 */
import Router from '@koa/router';
import type { Middleware } from 'koa';
import type { Host } from '../host.ts';
import { answerErrors, methodNotAllowed } from '../json-api/answers.ts';
import { readJsonBody } from '../json-api/body.ts';
import type { ConfigurationStore } from '../model/ports.ts';
import { refuseMissingBucketName, requireOwnBucket, requirePrincipal } from './request.ts';
import { createRuleHandlers } from './rules.ts';
import { createTargetHandlers, type JudgeEndpoint } from './targets.ts';

export interface AdminApiDependencies {
  readonly host: Pick<Host, 'logger' | 'authenticate' | 'findBucket' | 'withBucketLock'>;
  readonly store: ConfigurationStore;
  readonly judgeEndpoint: JudgeEndpoint;
  /** Makes a random UUID. */
  readonly newId: () => string;
}

/** A resource that is read and replaced as a whole. */
export interface ReplaceableResource {
  readonly get: Middleware;
  readonly put: Middleware;
}

const BASE = '/api/v1/buckets';

/** Koa middleware that serves `/api/v1/buckets/:bucketName/replication` and passes other paths on. */
export function createAdminApi(dependencies: AdminApiDependencies): Middleware {
  const { host } = dependencies;
  const router = new Router({ sensitive: true });
  const errors = answerErrors(host.logger);
  const principal = requirePrincipal(host);
  const bucket = requireOwnBucket(host);
  const addResource = (name: string, { get, put }: ReplaceableResource): void => {
    const path = `${BASE}/:bucketName/replication/${name}`;
    const nameless = `${BASE}//replication/${name}`;
    router.get(path, errors, principal, bucket, get);
    router.put(path, errors, principal, bucket, readJsonBody, put);
    router.get(nameless, errors, principal, refuseMissingBucketName);
    router.put(nameless, errors, principal, refuseMissingBucketName);
    router.all([path, nameless], errors, methodNotAllowed(['GET', 'HEAD', 'PUT']));
  };
  addResource('targets', createTargetHandlers(dependencies));
  addResource('rules', createRuleHandlers(dependencies));
  return router.routes() as unknown as Middleware;
}
