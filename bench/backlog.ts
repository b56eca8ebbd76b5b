/**
 * A queue of 1,000 to 1,000,000 rows: how long a process takes to start on it, how much memory it
 * holds, what one delivered row and one written row cost, and what removing the rule that owns all
 * of them does to others.
 *
 * Estimate: nothing that runs at start reads the queue, only counters and lanes: as long as on an
 * empty directory, 40 ms. Memory holds what is in flight, so it is node, the modules and the pages
 * of LMDB that were touched (mapped, so they count as resident): 120 MiB and some. A row costs a
 * dozen look-ups in trees that grow from two levels to four: 10 to 20 % more at 1,000,000, for
 * delivery; writing is look-ups mostly, and pays up to twice. Removing a rule is one small write, a
 * few milliseconds. The sweep takes 64 rows a transaction, 3 ms of the writer each 25: that is what
 * another write may wait, so that its p99 grows by as much. The bench takes
 * five minutes, two of them to fill the queue.
 */
import { BacklogQueue } from './harness/backlog-queue.ts';
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import { MIB, Sink } from './harness/delivery.ts';
import { comparePairs } from './harness/pairs.ts';
import { rowOf, rowOfOurs, type Findings, type Row } from './harness/results.ts';
import { describeTimes, measureRuleRemoval } from './harness/rule-removal.ts';
import { medianOf } from './harness/statistics.ts';

/** Rows delivered, and queued again, for one sample. */
const SAMPLE_ROWS = 1000;
/** Rows announced and committed, and delivered again, for one sample. */
const WRITTEN_ROWS = 5000;
const WRITERS = 256;
const CURVE_SAMPLES = 3;
const START_LIMIT_MS = 1000;
const RESIDENT_LIMIT_MIB = 300;
const REMOVAL_LIMIT_MS = 100;

export const backlog: Bench = {
  name: 'backlog',
  async run(context) {
    const sizes = context.pick([1000, 10_000, 100_000, 1_000_000], [100, 2000]);
    const [few, many] = [sizes[0]!, sizes.at(-1)!];
    const sink = await Sink.start(context);
    const small = await BacklogQueue.create(context, sink);
    await small.growTo(few);
    const large = await BacklogQueue.create(context, sink);
    const costs = await costCurve(context, large, sizes);
    const rows = [
      ...(await compareWithFew(context, { large, many }, { small, few })),
      await compareWrites(context, { large, many }, { small, few }),
    ];
    const removal = await removalFindings(context, large);
    return {
      rows: [...rows, ...removal.rows],
      notes: removal.notes ?? [],
      curves: [
        {
          file: 'backlog-cost',
          title: 'CPU per delivered row',
          xLabel: 'queued rows',
          yLabel: 'µs of CPU per row',
          xScale: 'log',
          series: [{ name: 'engine', points: costs }],
        },
      ],
    };
  },
};

interface Large {
  readonly large: BacklogQueue;
  readonly many: number;
}

interface Small {
  readonly small: BacklogQueue;
  readonly few: number;
}

async function costCurve(
  context: BenchContext,
  queue: BacklogQueue,
  sizes: readonly number[],
): Promise<[number, number][]> {
  const side = queue.deliverySide('engine', context.pick(SAMPLE_ROWS, 50));
  const costs: [number, number][] = [];
  for (const size of sizes) {
    await queue.growTo(size);
    await queue.restart();
    const samples: number[] = [];
    for (let n = 0; n < context.pick(CURVE_SAMPLES + 1, 1); n += 1) {
      samples.push((await side.sample()).value);
    }
    // The first one warms the new process up.
    costs.push([size, medianOf(samples.slice(-CURVE_SAMPLES))]);
  }
  return costs;
}

async function compareWithFew(
  context: BenchContext,
  { large, many }: Large,
  { small, few }: Small,
): Promise<Row[]> {
  const start = await large.restart();
  await small.restart();
  const sampleRows = context.pick(SAMPLE_ROWS, 50);
  const cost = await comparePairs(
    large.deliverySide(`of ${grouped(many)}`, sampleRows),
    small.deliverySide(`of ${grouped(few)}`, sampleRows),
    context.pairs({ warmUps: 2 }),
  );
  const rowOfLarge = (what: string, unit: string, value: number, limit: number): Row =>
    rowOfOurs(
      `${grouped(many)} queued rows, ${what}`,
      unit,
      { value, samples: 1 },
      {
        kind: 'oursBelow',
        limit,
      },
    );
  const residentMiB = start.residentBytes / MIB;
  const peakMiB = (cost.ours.peakBytes ?? NaN) / MIB;
  return [
    rowOfLarge('start', 'ms', start.activateMs, START_LIMIT_MS),
    rowOfLarge('resident after start', 'MiB', residentMiB, RESIDENT_LIMIT_MIB),
    rowOfLarge('peak while delivering', 'MiB', peakMiB, RESIDENT_LIMIT_MIB),
    rowOf('CPU per delivered row', 'µs', cost, { kind: 'ratioAtMost', limit: 1.5 }),
  ];
}

async function compareWrites(
  context: BenchContext,
  { large, many }: Large,
  { small, few }: Small,
): Promise<Row> {
  const rows = context.pick(WRITTEN_ROWS, 50);
  // A bucket's backlog ends at 1,000,000 rows: there must be room for what is written.
  await large.deliver(rows);
  const cost = await comparePairs(
    large.writeSide(`of ${grouped(many)}`, rows, WRITERS),
    small.writeSide(`of ${grouped(few)}`, rows, WRITERS),
    context.pairs(),
  );
  return rowOf('CPU per announced and committed row', 'µs', cost, null);
}

async function removalFindings(context: BenchContext, queue: BacklogQueue): Promise<Findings> {
  const removal = await measureRuleRemoval(context, queue);
  const { removalMs, during, beside, without, sweptPerSecond } = removal;
  return {
    rows: [
      rowOfOurs(
        'removing the rule that owns them',
        'ms',
        { value: removalMs, samples: 1 },
        {
          kind: 'oursBelow',
          limit: REMOVAL_LIMIT_MS,
        },
      ),
      rowOf('p99 of another bucket’s write beside the sweep', 'ms', removal.p99, null),
    ],
    notes: [
      `Another bucket’s writes, announcement and commit, by 16 writers: ${describeTimes(without)} without a sweep; ` +
        `${describeTimes([during])} while the rule was removed; ${describeTimes(beside)} beside the sweep, ` +
        `which removed ${grouped(Math.round(sweptPerSecond))} rows per second.`,
    ],
  };
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

await runIfMain(import.meta.url, backlog);
