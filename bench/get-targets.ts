/**
 * GET /targets from 64 clients, against a bare Koa handler that sends a constant of the same size.
 *
 * Estimate: the peer spends about 27 µs of CPU on a request, more than half of it in the kernel's
 * socket. Ours adds the router and what Koa makes of a promise (6 µs), the checks of caller and bucket
 * (2), a request id (1), a read transaction and a lookup (2), and four headers more (3): 41 µs
 * against 27, a ratio of 0.65. The budget of 0.75 leaves 9 µs for all of it. The bench takes two minutes.
 */
import { runIfMain, type Bench } from './harness/bench.ts';
import { HttpLoad } from './harness/http-comparison.ts';
import { comparePairs } from './harness/pairs.ts';
import { rowOf } from './harness/results.ts';
import { BUCKETS, CLIENTS, getRequests, putRequests } from './harness/targets-requests.ts';
import { AUTHORIZATION, bucketName } from './subjects/bench-host.ts';

export const getTargets: Bench = {
  name: 'get-targets',
  async run(context) {
    const requests = getRequests();
    const parameters = { dataDirectory: context.directory(), buckets: BUCKETS };
    const ours = {
      name: 'GET /targets',
      server: await context.start('admin-api', parameters),
      requests,
      hasOneThread: true,
    };
    const load = await HttpLoad.start(context);
    // One round of PUTs gives every bucket its target.
    const fill = { ...ours, requests: putRequests(), hasOneThread: false };
    await load.run(fill, BUCKETS, 1);
    const body = await readAnswer(ours.server.ready<{ port: number }>().port);
    const peer = {
      name: 'Koa constant',
      server: await context.start('constant-answer', { body }),
      requests,
      hasOneThread: true,
    };
    const durationMs = context.pick(3000, 100);
    const comparison = await comparePairs(
      load.side(ours, CLIENTS, durationMs),
      load.side(peer, CLIENTS, durationMs),
      context.pairs(),
    );
    const budget = { kind: 'ratioAtLeast', limit: 0.75 } as const;
    return {
      rows: [rowOf(`GET /targets, ${CLIENTS} clients`, 'op/s', comparison, budget)],
      curves: [
        {
          file: 'get-targets-clients',
          title: 'GET /targets',
          xLabel: 'clients',
          yLabel: 'requests per second',
          xScale: 'log',
          series: await load.curve([ours, peer], context),
        },
      ],
    };
  },
};

/** @throws Error where the bucket has no target yet */
async function readAnswer(port: number): Promise<string> {
  const path = `/api/v1/buckets/${bucketName(0)}/replication/targets`;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    headers: { authorization: AUTHORIZATION },
  });
  const text = await response.text();
  if (response.status !== 200 || !text.includes('accessKeyId')) {
    throw new Error(`GET ${path} answered ${response.status}: ${text}`);
  }
  return text;
}

await runIfMain(import.meta.url, getTargets);
