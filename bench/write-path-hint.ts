/**
 * The question that every write of the server asks, "may this bucket replicate?", against a raw LMDB
 * lookup of the same name in the same turn pattern; then over 10 to 100,000 buckets; and how soon it
 * sees the rule that another process saves.
 *
 * Estimate: the first lookup of an event turn begins a read transaction (0.6 µs) and finds the key
 * (0.5 µs in a tree of three levels, all in memory); ours adds a method call. Ratio 1.0; from 10 to
 * 100,000 buckets the tree grows from one level to three, which is two binary searches in cached
 * pages, less than 0.2 µs. A commit is there for the next read transaction of every process, which
 * LMDB begins a millisecond after the last, and it is acknowledged a flush and an HTTP answer later:
 * the time from the acknowledgement is negative, by 2 ms. The bench takes a minute and a half.
 */
import { join } from 'node:path';
import { runIfMain, type Bench, type BenchContext } from './harness/bench.ts';
import { ReplicatingHost } from './harness/delivery.ts';
import { comparePairs, type Side } from './harness/pairs.ts';
import { rowOf, rowOfOurs, type Row, type Series } from './harness/results.ts';
import { medianOf, spreadOf } from './harness/statistics.ts';
import type { SubjectProcess } from './harness/subject-process.ts';
import { bucketName } from './subjects/bench-host.ts';
import {
  OURS,
  type HintCommand,
  type HintResult,
  type HintRun,
  type HintWatch,
} from './subjects/hint-commands.ts';

const BUCKET_COUNTS = [10, 100, 1000, 10_000, 100_000];
const ROW_BUCKETS = 10_000;
/** Rules that another process saves. */
const SAVES = 20;
const WATCH_LIMIT_MS = 5000;
/** Of a target that is paused: nobody connects to it. */
const NOBODY = 'http://127.0.0.1:9';

export const writePathHint: Bench = {
  name: 'write-path-hint',
  async run(context) {
    const rows: Row[] = [];
    const notes: string[] = [];
    const ours: [number, number][] = [];
    const raw: [number, number][] = [];
    for (const buckets of context.pick(BUCKET_COUNTS, [10, ROW_BUCKETS])) {
      const dataDirectory = context.directory();
      const subject = await context.start('hint', { dataDirectory, buckets });
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
        const watched = await watchOtherProcess(context, subject, { dataDirectory, buckets });
        rows.push(watched.row);
        notes.push(watched.note);
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
        ...notes,
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

/**
 * Milliseconds from the acknowledgement of a rule that a second process saves to the first `true` of
 * a hint that is asked for meanwhile, turn after turn; negative where it was seen before.
 *
 * @throws Error where it never is
 */
async function watchOtherProcess(
  context: BenchContext,
  subject: SubjectProcess,
  { dataDirectory, buckets }: { dataDirectory: string; buckets: number },
): Promise<{ row: Row; note: string }> {
  const saves = context.pick(SAVES, 2);
  const other = await ReplicatingHost.start(context, {
    dataDirectory: join(dataDirectory, OURS),
    buckets: buckets + saves,
    objects: { directory: dataDirectory, count: 0, bytes: 0 },
  });
  const seen: number[] = [];
  const missed: number[] = [];
  for (let bucket = buckets; bucket < buckets + saves; bucket += 1) {
    const name = bucketName(bucket);
    const command: HintCommand = { kind: 'watch', bucket: name, limitMs: WATCH_LIMIT_MS };
    const watch = subject.run<HintWatch>(command);
    const acknowledgedAt = await other.configure(bucket, NOBODY, false);
    const { seenAt, missedAt } = await watch;
    if (seenAt === null) throw new Error(`${name} has a rule, which the hint never says.`);
    seen.push(Number(seenAt - acknowledgedAt) / 1e6);
    missed.push(Number(missedAt - acknowledgedAt) / 1e6);
  }
  await other.subject.close();
  const median = { value: medianOf(seen), samples: saves };
  return {
    row: rowOfOurs('another process’s rule, from answer to hint', 'ms', median, null),
    note:
      `Of ${saves} rules that another process saved, the slowest was seen ${describeLag(spreadOf(seen).high)}; ` +
      `the latest look that did not see its rule began ${describeLag(spreadOf(missed).high)}.`,
  };
}

function describeLag(ms: number): string {
  return ms > 0
    ? `${ms.toFixed(1)} ms after its answer`
    : `${(-ms).toFixed(1)} ms before its answer`;
}

function describe([, micros]: readonly [number, number]): string {
  return `${micros.toFixed(2)} µs`;
}

async function compare(
  context: BenchContext,
  subject: SubjectProcess,
  peer: 'doesExist' | 'get',
  lookupsPerTurn: number,
): ReturnType<typeof comparePairs> {
  const turns = context.pick(100_000, 640) / lookupsPerTurn;
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
  const parameters: HintCommand = { kind: 'time', side, ...pattern };
  const result = await subject.run<HintResult>(parameters);
  const expected = side === 'nothing' ? 0 : (pattern.turns * pattern.lookupsPerTurn) / 2;
  if (Math.abs(result.found - expected) > 1) {
    throw new Error(`${side} found ${result.found} of ${expected}.`);
  }
  return result;
}

await runIfMain(import.meta.url, writePathHint);
