/**
 * The reference server that replicates what it holds, against `rclone copy` from the same server to
 * the same sink: 5,000 objects of 1 KiB, and one of 1 GiB. Both begin with what is to be copied at
 * hand: ours with a queue that a resync filled, rclone with its listing; the clock runs from the first
 * request that reaches the sink. What the server spends on being read by rclone counts for nobody.
 *
 * Estimate: the engine reads a small object from a file (150 µs) and delivers it (200 µs): 2,500 per
 * second. rclone sends two requests for what we need one for, and reads the object over HTTP, which
 * costs the server a millisecond: fewer than 1,000 per second. For the large object both hash each
 * byte twice, SHA-256 and MD5; rclone carries it over one socket more, but on all cores, where our
 * hashes share one: a ratio near 1. The bench takes three minutes, half a minute to fill the servers.
 */
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import { inMebibytes, LANE_WIDTH, MIB, Sink } from './harness/delivery.ts';
import { comparePairs, sampleThroughput, type Comparison, type Side } from './harness/pairs.ts';
import { isRcloneInstalled, rcloneSide } from './harness/rclone.ts';
import { ReferenceServer } from './harness/reference-server.ts';
import { rowOf, type Budget } from './harness/results.ts';
import { writeObjects, type ObjectSet } from './subjects/object-set.ts';

const SMALL_BYTES = 1024;
const AHEAD: Budget = { kind: 'ratioAbove', limit: 1 };

export const rcloneCopy: Bench = {
  name: 'rclone-copy',
  async run(context) {
    if (!isRcloneInstalled()) {
      const note =
        'rclone is not installed here, and so there is no comparison: it is Debian’s package `rclone`.';
      return { rows: [], notes: [note] };
    }
    const count = context.pick(5000, 50);
    const mebibytes = context.pick(1024, 24);
    const small = await compare(context, { count, bytes: SMALL_BYTES }, (side) => side);
    const bytes = mebibytes * MIB;
    const large = await compare(context, { count: 1, bytes }, (side) => inMebibytes(side, bytes));
    return {
      rows: [
        rowOf(`${count.toLocaleString('en-US')} objects of 1 KiB`, 'obj/s', small, AHEAD),
        rowOf(`one object of ${mebibytes} MiB`, 'MiB/s', large, null),
      ],
      notes: [
        'CPU and memory: of our whole server, and of rclone alone; the server that rclone reads from works too.',
      ],
    };
  },
};

/** A server of its own for each set, as a bucket is copied whole. */
async function compare(
  context: BenchContext,
  size: Omit<ObjectSet, 'directory'>,
  inUnits: (side: Side) => Side,
): Promise<Comparison> {
  const objects = { ...size, directory: context.directory() };
  const sink = await Sink.start(context);
  const server = await ReferenceServer.start(context, { versioning: true });
  await fill(context, server, objects);
  await server.replicateTo(sink.endpoint, false);
  await server.saveRule();
  const comparison = await comparePairs(
    inUnits(replicationSide(server, sink, objects.count)),
    inUnits(rcloneSide(context, server.endpoint, sink, objects.count)),
    context.pairs(),
  );
  await server.close();
  await sink.close();
  return comparison;
}

/** Before there is a rule, so that nothing is queued by it. */
async function fill(
  context: BenchContext,
  { endpoint }: ReferenceServer,
  objects: ObjectSet,
): Promise<void> {
  await writeObjects(objects);
  const loop =
    objects.count > 1
      ? await context.start('bare-delivery', {
          kind: 'undici',
          endpoint,
          workers: LANE_WIDTH,
          objects,
        })
      : await context.start('bare-multipart', {
          endpoint,
          partBytes: 8 * MIB,
          partsInFlight: 4,
          objects,
        });
  await loop.run({ count: objects.count });
  await loop.close();
}

function replicationSide(server: ReferenceServer, sink: Sink, objects: number): Side {
  return {
    name: 'replication',
    async sample() {
      await server.replicateTo(sink.endpoint, false);
      await server.queueAll(objects);
      const sample = await sampleThroughput(server, async () => {
        const arrived = sink.expect(objects);
        await server.replicateTo(sink.endpoint, true);
        return arrived;
      });
      await server.drained();
      return sample;
    },
  };
}

await runIfMain(import.meta.url, rcloneCopy);
