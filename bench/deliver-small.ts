/**
 * Delivery of 1 KiB objects out of a full queue, against the same loop with the AWS SDK and against
 * undici with a signature and nothing else; to a second reference server; then against the target's
 * latency, alone and beside a target that accepts connections and never answers.
 *
 * Estimate: reading a small file through a stream costs 70 µs, signing 15, the two hashes 5, undici
 * 50: bare undici needs 140 µs, 7,000 objects per second. The engine adds a claim and an outcome,
 * two transactions that a batch of 16 shares, about 60 µs an object: 5,000 per second, a ratio of
 * 0.7. The SDK needs 900 µs, which makes 6 times the SDK's rate. A server that flushes a file and a
 * transaction for each object is slower than both, and the ratio is near 1. The bench takes four
 * minutes, the curve half of them.
 */
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import {
  engineSide,
  engineToServerSide,
  LANE_WIDTH,
  loopSide,
  loopToServerSide,
  ReplicatingHost,
  Sink,
} from './harness/delivery.ts';
import { comparePairs } from './harness/pairs.ts';
import { ReferenceServer } from './harness/reference-server.ts';
import { rowOf, type Curve, type Row, type Series } from './harness/results.ts';
import { medianOf } from './harness/statistics.ts';
import type { SubjectProcess } from './harness/subject-process.ts';
import { writeObjects, type ObjectSet } from './subjects/object-set.ts';

const OBJECT_BYTES = 1024;
const LATENCIES_MS = [0, 5, 10, 20, 50, 100];
const CURVE_ROUNDS = 3;
/** Until the optimising compiler has done with the engine: some 40,000 objects. */
const WARM_UPS = 8;
/** The bucket whose target never answers. */
const NEIGHBOUR = 1;

export const deliverSmall: Bench = {
  name: 'deliver-small',
  async run(context) {
    const count = context.pick(5000, 50);
    const objects = { directory: context.directory(), count, bytes: OBJECT_BYTES };
    await writeObjects(objects);
    const sink = await Sink.start(context);
    const parameters = { dataDirectory: context.directory(), buckets: 2, objects };
    const host = await ReplicatingHost.start(context, parameters);
    const engine = engineSide(host, sink, count);
    const startLoop = (kind: 'sdk' | 'undici', { endpoint }: { endpoint: string }) =>
      context.start('bare-delivery', { kind, endpoint, workers: LANE_WIDTH, objects });
    const sdk = loopSide('AWS SDK', await startLoop('sdk', sink), sink, count);
    const undici = loopSide('bare loop', await startLoop('undici', sink), sink, count);
    const what = 'objects of 1 KiB';
    const againstUndici = await comparePairs(engine, undici, context.pairs({ warmUps: WARM_UPS }));
    const againstSdk = await comparePairs(engine, sdk, context.pairs());
    const server = await ReferenceServer.start(context, { versioning: false });
    const bareLoop = await startLoop('undici', server);
    return {
      rows: [
        rowOf(what, 'obj/s', againstSdk, { kind: 'ratioAtLeast', limit: 5 }),
        rowOf(what, 'obj/s', againstUndici, { kind: 'ratioAtLeast', limit: 0.6 }),
        await toServer(context, host, server, bareLoop),
      ],
      curves: [await latencyCurve(context, host, sink, objects)],
    };
  },
};

/** Fewer objects: each is flushed there. */
async function toServer(
  context: BenchContext,
  host: ReplicatingHost,
  { endpoint }: ReferenceServer,
  loop: SubjectProcess,
): Promise<Row> {
  const count = context.pick(1000, 50);
  const comparison = await comparePairs(
    engineToServerSide(host, endpoint, count),
    loopToServerSide('bare loop', loop, count),
    context.pairs(),
  );
  return rowOf('objects of 1 KiB, to a second server', 'obj/s', comparison, null);
}

async function latencyCurve(
  context: BenchContext,
  host: ReplicatingHost,
  sink: Sink,
  { count }: ObjectSet,
): Promise<Curve> {
  const latencies = context.pick(LATENCIES_MS, [0, 5]);
  const alone = await overLatency(context, host, sink, count, latencies);
  const silent = await Sink.start(context, { silent: true });
  await host.configure(NEIGHBOUR, silent.endpoint, false);
  await host.enqueue(NEIGHBOUR, count);
  await host.configure(NEIGHBOUR, silent.endpoint, true);
  const beside = await overLatency(context, host, sink, count, latencies);
  await host.configure(NEIGHBOUR, silent.endpoint, false);
  await silent.close();
  return {
    file: 'delivery-latency',
    title: 'Delivery of 1 KiB objects to one target',
    xLabel: 'latency of the target, ms',
    yLabel: 'objects per second',
    xScale: 'linear',
    series: [
      { name: 'alone', points: alone },
      { name: 'beside a target that never answers', points: beside },
    ],
  };
}

async function overLatency(
  context: BenchContext,
  host: ReplicatingHost,
  sink: Sink,
  count: number,
  latencies: readonly number[],
): Promise<Series['points']> {
  const points: [number, number][] = [];
  for (const latencyMs of latencies) {
    await sink.delay(latencyMs);
    // At 100 ms a lane of 16 delivers 160 objects per second: fewer are enough there.
    const fewer = Math.round(latencyMs === 0 ? count : Math.min(count, 24_000 / latencyMs));
    const side = engineSide(host, sink, fewer);
    const rates: number[] = [];
    for (let round = 0; round < context.pick(CURVE_ROUNDS, 1); round += 1) {
      rates.push((await side.sample()).value);
    }
    points.push([latencyMs, medianOf(rates)]);
  }
  await sink.delay(0);
  return points;
}

await runIfMain(import.meta.url, deliverSmall);
