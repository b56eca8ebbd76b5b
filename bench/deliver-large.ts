/**
 * One object of 1 GiB in parts, against a bare loop that reads the same file and sends the same parts;
 * how much the engine's memory grows meanwhile; and one of 256 MiB to a second reference server.
 *
 * Estimate: SHA-256 and MD5 of a byte cost 0.6 + 1.5 ns on one core (with SHA extensions), the socket
 * about 0.4 ns, reading from the page cache 0.3: 1 GiB takes the bare loop 3 s, and the engine the
 * same, as a part is read once and hashed once. Four parts of 8 MiB in flight, each once in memory
 * and once in undici's hands, bound the growth to 32 MiB and some slack of the collector. The server
 * hashes what it receives once more, writes and flushes it: it is the slower side, and the ratio is
 * near 1. The bench takes two minutes and a half.
 */
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import {
  engineSide,
  engineToServerSide,
  inMebibytes,
  loopToServerSide,
  MIB,
  ReplicatingHost,
  Sink,
} from './harness/delivery.ts';
import { comparePairs, sampleThroughput, type Side } from './harness/pairs.ts';
import { ReferenceServer } from './harness/reference-server.ts';
import { rowOf, rowOfOurs, type Row } from './harness/results.ts';
import type { SubjectProcess } from './harness/subject-process.ts';
import { writeObjects, type ObjectSet } from './subjects/object-set.ts';

const GROWTH_LIMIT_MIB = 64;
/** The bare loop's parts: as large and as many at a time as the engine's. */
const PART_BYTES = 8 * MIB;
const PARTS_IN_FLIGHT = 4;

export const deliverLarge: Bench = {
  name: 'deliver-large',
  run: async (context) => ({
    rows: [...(await toSink(context)), await toServer(context)],
  }),
};

async function toSink(context: BenchContext): Promise<Row[]> {
  const objects = await writeOne(context, context.pick(1024, 24));
  const sink = await Sink.start(context);
  const host = await startHost(context, objects);
  const loop = await startLoop(context, sink.endpoint, objects);
  const growths: number[] = [];
  const engine = engineSide(host, sink, 1);
  const ours: Side = {
    name: engine.name,
    async sample() {
      await host.run({ kind: 'collect' });
      const before = await host.subject.usage();
      const sample = await engine.sample();
      if (sample.peakBytes !== null) growths.push(sample.peakBytes - before.residentBytes);
      return sample;
    },
  };
  const peer: Side = {
    name: 'bare loop',
    sample: () =>
      sampleThroughput(loop, async () => {
        const arrived = sink.expect(1);
        await loop.run(null);
        return arrived;
      }),
  };
  const comparison = await comparePairs(
    inMebibytes(ours, objects.bytes),
    inMebibytes(peer, objects.bytes),
    context.pairs(),
  );
  await host.subject.close();
  const growth = { value: Math.max(...growths) / MIB, samples: growths.length };
  return [
    rowOf(`one object of ${objects.bytes / MIB} MiB`, 'MiB/s', comparison, {
      kind: 'ratioAtLeast',
      limit: 0.8,
    }),
    rowOfOurs('growth of resident memory meanwhile', 'MiB', growth, {
      kind: 'oursBelow',
      limit: GROWTH_LIMIT_MIB,
    }),
  ];
}

async function toServer(context: BenchContext): Promise<Row> {
  const objects = await writeOne(context, context.pick(256, 24));
  const { endpoint } = await ReferenceServer.start(context, { versioning: false });
  const host = await startHost(context, objects);
  const loop = await startLoop(context, endpoint, objects);
  const comparison = await comparePairs(
    inMebibytes(engineToServerSide(host, endpoint, 1), objects.bytes),
    inMebibytes(loopToServerSide('bare loop', loop, 1), objects.bytes),
    context.pairs(),
  );
  const what = `one object of ${objects.bytes / MIB} MiB, to a second server`;
  return rowOf(what, 'MiB/s', comparison, null);
}

async function writeOne(context: BenchContext, mebibytes: number): Promise<ObjectSet> {
  const objects = { directory: context.directory(), count: 1, bytes: mebibytes * MIB };
  await writeObjects(objects);
  return objects;
}

function startHost(context: BenchContext, objects: ObjectSet): Promise<ReplicatingHost> {
  const parameters = { dataDirectory: context.directory(), buckets: 1, objects };
  return ReplicatingHost.start(context, parameters, ['--expose-gc']);
}

function startLoop(
  context: BenchContext,
  endpoint: string,
  objects: ObjectSet,
): Promise<SubjectProcess> {
  const parts = { partBytes: PART_BYTES, partsInFlight: PARTS_IN_FLIGHT };
  return context.start('bare-multipart', { endpoint, ...parts, objects });
}

await runIfMain(import.meta.url, deliverLarge);
