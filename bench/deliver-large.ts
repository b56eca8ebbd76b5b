/**
 * One object of 1 GiB in parts, against a bare loop that reads the same file and sends the same parts;
 * and how much the engine's memory grows meanwhile.
 *
 * Estimate: SHA-256 and MD5 of a byte cost 0.6 + 1.5 ns on one core (with SHA extensions), the socket
 * about 0.4 ns, reading from the page cache 0.3: 1 GiB takes the bare loop 3 s, and the engine the
 * same, as a part is read once and hashed once. Four parts of 8 MiB in flight, each once in memory
 * and once in undici's hands, bound the growth to 32 MiB and some slack of the collector.
 */
import { runIfMain, type Bench } from './harness/bench.ts';
import { ReplicatingHost, Sink, engineSide } from './harness/delivery.ts';
import { comparePairs, sampleThroughput, type Sample, type Side } from './harness/pairs.ts';
import { rowOf, type Row } from './harness/results.ts';
import { writeObjects } from './subjects/object-set.ts';

const MIB = 2 ** 20;
const GROWTH_LIMIT_MIB = 64;
/** The bare loop's parts: as large and as many at a time as the engine's. */
const PART_BYTES = 8 * MIB;
const PARTS_IN_FLIGHT = 4;

export const deliverLarge: Bench = {
  name: 'deliver-large',
  async run(context) {
    const bytes = context.pick(1024, 24) * MIB;
    const objects = { directory: context.directory(), count: 1, bytes };
    await writeObjects(objects);
    const sink = await Sink.start(context);
    const parameters = { dataDirectory: context.directory(), buckets: 1, objects };
    const host = await ReplicatingHost.start(context, parameters, ['--expose-gc']);
    const loop = await context.start('bare-multipart', {
      endpoint: sink.endpoint,
      partBytes: PART_BYTES,
      partsInFlight: PARTS_IN_FLIGHT,
      objects,
    });
    const growths: number[] = [];
    const engine = engineSide(host, sink, 1);
    const ours: Side = {
      name: engine.name,
      async sample() {
        await host.run({ kind: 'collect' });
        const before = await host.subject.usage();
        const sample = await engine.sample();
        growths.push(sample.peakBytes - before.residentBytes);
        return inMebibytes(sample, bytes);
      },
    };
    const peer: Side = {
      name: 'bare multipart loop',
      async sample() {
        const sample = await sampleThroughput(loop, async () => {
          const arrived = sink.expect(1);
          await loop.run(null);
          return arrived;
        });
        return inMebibytes(sample, bytes);
      },
    };
    const comparison = await comparePairs(ours, peer, context.pairs());
    const what = `one object of ${bytes / MIB} MiB`;
    const growth: Row = {
      what: `${what}, growth of resident memory`,
      unit: 'MiB',
      ours: { ...comparison.ours, value: Math.max(...growths) / MIB },
      peer: null,
      ratio: null,
      pairs: comparison.pairs,
      budget: { kind: 'oursBelow', limit: GROWTH_LIMIT_MIB },
    };
    return {
      rows: [rowOf(what, 'MiB/s', comparison, { kind: 'ratioAtLeast', limit: 0.8 }), growth],
    };
  },
};

/** One operation is one MiB then. */
function inMebibytes(sample: Sample, bytes: number): Sample {
  const mebibytes = bytes / MIB;
  return {
    value: sample.value * mebibytes,
    cpuMicrosPerOperation: sample.cpuMicrosPerOperation / mebibytes,
    peakBytes: sample.peakBytes,
  };
}

await runIfMain(import.meta.url, deliverLarge);
