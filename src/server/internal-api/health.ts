/**
 * `/livez`, `/readyz` and `/metrics`, for whoever supervises the process. They need no credentials
 * and say nothing that needs some.
 */
import type { Router } from '@koa/router';
import { methodNotAllowed } from '../../json-api/answers.ts';
import type { Health } from '../../host.ts';

const READ_ONLY = ['GET', 'HEAD'];

export interface HealthRoutesOptions {
  readonly isShuttingDown: () => boolean;
  /** In the Prometheus text format. */
  readonly metrics: () => Promise<string>;
  /** Each answers or throws; a thrown error counts as ill. */
  readonly checks: Readonly<Record<string, () => Health | Promise<Health>>>;
}

/**
 * `/livez`: the process answers. `/readyz`: it can also do its work, and is not about to stop.
 * `/metrics`: what the plugin counts.
 */
export function addHealthRoutes(router: Router, options: HealthRoutesOptions): void {
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.all('/livez', methodNotAllowed(READ_ONLY));

  router.get('/readyz', async (ctx) => {
    const checks = await runChecks(options.checks);
    const isReady = !options.isShuttingDown() && checks.every(({ healthy }) => healthy);
    ctx.status = isReady ? 200 : 503;
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      status: isReady ? 'ok' : options.isShuttingDown() ? 'shutting down' : 'ill',
      checks,
    };
  });
  router.all('/readyz', methodNotAllowed(READ_ONLY));

  router.get('/metrics', async (ctx) => {
    ctx.type = 'text/plain; version=0.0.4; charset=utf-8';
    ctx.body = await options.metrics();
  });
  router.all('/metrics', methodNotAllowed(READ_ONLY));
}

async function runChecks(
  checks: HealthRoutesOptions['checks'],
): Promise<(Health & { name: string })[]> {
  const run = Object.entries(checks).map(async ([name, check]) => {
    try {
      return { name, ...(await check()) };
    } catch {
      return { name, healthy: false, reason: 'The check itself failed.' };
    }
  });
  return await Promise.all(run);
}
