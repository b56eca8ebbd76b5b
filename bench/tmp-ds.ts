/**
 * Delivery of 1 KiB objects out of a full queue, against the same loop with the AWS SDK and against
 * undici with a signature and nothing else; then against the target's latency, alone and beside a
 * target that accepts connections and never answers.
 *
 * Estimate: reading a small file through a stream costs 70 µs, signing 15, the two hashes 5, undici
 * 50: bare undici needs 140 µs, 7,000 objects per second. The engine adds a claim and an outcome,
 * two transactions that a batch of 16 shares, about 60 µs an object: 5,000 per second, a ratio of
 * 0.7. The SDK needs 900 µs, which makes 6 times the SDK's rate.
 */
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import { LANE_WIDTH, ReplicatingHost, Sink, engineSide, loopSide } from './harness/delivery.ts';
import { comparePairs } from './harness/pairs.ts';
import { rowOf, type Curve, type Series } from './harness/results.ts';
import { medianOf } from './harness/statistics.ts';
import { writeObjects, type ObjectSet } from './subjects/object-set.ts';

const OBJECT_BYTES = 1024;

export const deliverSmall: Bench = {
  name: 'tmp-ds',
  async run(context) {
    const count = context.pick(5000, 50);
    const objects = { directory: context.directory(), count, bytes: OBJECT_BYTES };
    await writeObjects(objects);
    const sink = await Sink.start(context);
    const parameters = { dataDirectory: context.directory(), buckets: 2, objects };
    const host = await ReplicatingHost.start(context, parameters);
    const engine = engineSide(host, sink, count);
    const peer = async (kind: 'sdk' | 'undici'): ReturnType<BenchContext['start']> =>
      context.start('bare-delivery', {
        kind,
        endpoint: sink.endpoint,
        workers: LANE_WIDTH,
        objects,
      });
    const sdk = loopSide('AWS SDK loop', await peer('sdk'), sink, count);
    const undici = loopSide('undici + signing', await peer('undici'), sink, count);
    const what = 'delivery of 1 KiB objects';
    const againstSdk = await comparePairs(engine, sdk, context.pairs({pairs:3}));
    const againstUndici = await comparePairs(engine, undici, context.pairs({pairs:3}));
    return {
      rows: [
        rowOf(what, 'obj/s', againstSdk, { kind: 'ratioAtLeast', limit: 5 }),
        rowOf(what, 'obj/s', againstUndici, { kind: 'ratioAtLeast', limit: 0.6 }),
      ],
      
    };
  },
};

await runIfMain(import.meta.url, deliverSmall);

