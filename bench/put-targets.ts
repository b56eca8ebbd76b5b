/**
 * PUT /targets from 64 clients, each answer after its flush, against the same Koa stack that only
 * parses the body and sends it back.
 *
 * Estimate: the peer spends about 75 µs of CPU on a request (node's HTTP 25, Koa and router 15,
 * koa-body 25, answer 10). Ours adds four middlewares (5 µs), ajv (2), one AES-GCM box (4), an audit
 * line (3) and one LMDB child transaction (15, half of it on the writer thread). Flushes do not show:
 * 64 clients share each. That is 100 µs against 75: a ratio of 0.75. The bench takes two minutes.
 */
import { runIfMain, type Bench } from './harness/bench.ts';
import { HttpLoad } from './harness/http-comparison.ts';
import { comparePairs } from './harness/pairs.ts';
import { rowOf } from './harness/results.ts';
import { BUCKETS, CLIENTS, putRequests } from './harness/targets-requests.ts';

export const putTargets: Bench = {
  name: 'put-targets',
  async run(context) {
    const requests = putRequests();
    const parameters = { dataDirectory: context.directory(), buckets: BUCKETS };
    const ours = {
      name: 'PUT /targets',
      server: await context.start('admin-api', parameters),
      requests,
    };
    const peer = { name: 'Koa echo', server: await context.start('echo-api', null), requests };
    const load = await HttpLoad.start(context);
    const durationMs = context.pick(3000, 100);
    const comparison = await comparePairs(
      load.side(ours, CLIENTS, durationMs),
      load.side(peer, CLIENTS, durationMs),
      context.pairs(),
    );
    const budget = { kind: 'ratioAtLeast', limit: 0.7 } as const;
    return {
      rows: [rowOf(`PUT /targets, durable, ${CLIENTS} clients`, 'op/s', comparison, budget)],
      curves: [
        {
          file: 'put-targets-clients',
          title: 'PUT /targets, durable',
          xLabel: 'clients',
          yLabel: 'requests per second',
          xScale: 'log',
          series: await load.curve([ours, peer], context),
        },
      ],
    };
  },
};

await runIfMain(import.meta.url, putTargets);
