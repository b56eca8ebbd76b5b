/**
 * The question that every write of the server asks, "may this bucket replicate?", against a raw LMDB
 * lookup of the same name in the same turn pattern; then over 10 to 100,000 buckets.
 *
 * Estimate: the first lookup of an event turn begins a read transaction (0.6 µs) and finds the key
 * (0.5 µs in a tree of three levels, all in memory); ours adds a method call. Ratio 1.0; from 10 to
 * 100,000 buckets the tree grows from one level to three, which is two binary searches in cached
 * pages, less than 0.2 µs.
 */
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import { comparePairs, type Side } from './harness/pairs.ts';
import { rowOf, type Row, type Series } from './harness/results.ts';
import type { SubjectProcess } from './harness/subject-process.ts';
import type { HintResult, HintRun } from './subjects/hint.ts';

const BUCKET_COUNTS = [10, 100, 1000, 10_000, 100_000];
const ROW_BUCKETS = 10_000;

export const writePathHint: Bench = {
  name: 'write-path-hint',
  async run(context) {
    const rows: Row[] = [];
    const ours: [number, number][] = [];
    const raw: [number, number][] = [];
    for (const buckets of context.pick(BUCKET_COUNTS, [10, ROW_BUCKETS])) {
      const subject = await context.start('hint', { dataDirectory: context.directory(), buckets });
      const comparison = await compare(context, subject, 'doesExist', 1);
      ours.push([buckets, comparison.ours.value / 1000]);
      raw.push([buckets, comparison.peer.value / 1000]);
      if (buckets === ROW_BUCKETS) {
        const budget = { kind: 'ratioAtMost', limit: 1.3 } as const;
        const what = `hint, first lookup of its turn, ${buckets.toLocaleString('en-US')} buckets`;
        rows.push(rowOf(what, 'ns', comparison, budget));
        const many = await compare(context, subject, 'doesExist', 16);
        rows.push(rowOf('hint, 16 lookups a turn', 'ns', many, budget));
        const get = await compare(context, subject, 'get', 1);
        rows.push(rowOf('hint, against a raw get', 'ns', get, budget));
      }
      await subject.close();
    }
    const series: Series[] = [
      { name: 'hint', points: ours },
      { name: 'raw LMDB doesExist', points: raw },
    ];
    return {
      rows,
      notes: [
        `From ${ours[0]![0]} to ${ours.at(-1)![0]} buckets the hint goes from ${describe(ours[0]!)} to ${describe(ours.at(-1)!)}.`,
      ],
      curves: [
        {
          file: 'hint-buckets',
          title: 'The write path’s hint, first lookup of its turn',
          xLabel: 'buckets with rules',
          yLabel: 'µs per lookup',
          xScale: 'log',
          series,
        },
      ],
    };
  },
};

function describe([, micros]: readonly [number, number]): string {
  return `${micros.toFixed(2)} µs`;
}

async function compare(
  context: BenchContext,
  subject: SubjectProcess,
  peer: 'doesExist' | 'get',
  lookupsPerTurn: number,
): ReturnType<typeof comparePairs> {
  const turns = context.pick(200_000, 640) / lookupsPerTurn;
  const side = (name: HintRun['side']): Side => ({
    name: name === 'ours' ? 'mayReplicate' : `raw ${name}`,
    async sample() {
      const before = await subject.usage();
      const timed = await run(subject, name, { turns, lookupsPerTurn });
      const after = await subject.usage();
      // Few are enough for a constant, and the machine is the same as a moment ago.
      const empty = await run(subject, 'nothing', { turns: turns / 4, lookupsPerTurn });
      return {
        value: timed.nanosPerLookup - empty.nanosPerLookup,
        cpuMicrosPerOperation: (after.cpuMicros - before.cpuMicros) / (turns * lookupsPerTurn),
        peakBytes: after.peakBytes,
      };
    },
  });
  return comparePairs(side('ours'), side(peer), context.pairs({ pairs: 9, warmUps: 2 }));
}

/** @throws Error where the lookups did not find what is there: a fast wrong answer is no result */
async function run(
  subject: SubjectProcess,
  side: HintRun['side'],
  pattern: Omit<HintRun, 'side'>,
): Promise<HintResult> {
  const parameters: HintRun = { side, ...pattern };
  const result = await subject.run<HintResult>(parameters);
  const expected = side === 'nothing' ? 0 : (pattern.turns * pattern.lookupsPerTurn) / 2;
  if (Math.abs(result.found - expected) > 1) {
    throw new Error(`${side} found ${result.found} of ${expected}.`);
  }
  return result;
}

await runIfMain(import.meta.url, writePathHint);
