/**
 * What it costs others when a rule goes that owns a large queue: the answer to its removal, and the
 * writes of another bucket, during the removal and beside the sweep that follows.
 *
 * The sweep cannot be had and not had in turns, so that the samples without it are taken first, in a
 * process as new as that of the samples beside it. It runs once a minute at most, and when a process
 * begins to lead: the bench starts one rather than wait, and sees in the number of rows that it runs.
 */
import type { WriteTimes } from '../subjects/host-driver.ts';
import type { BacklogQueue } from './backlog-queue.ts';
import type { BenchContext } from './bench.ts';
import { compareSamples, UNKNOWN_COST, type Comparison } from './pairs.ts';
import { spreadOf } from './statistics.ts';
import type { WriterLoad } from './writers.ts';

const WRITERS = 16;

export interface RuleRemoval {
  /** Milliseconds until the removal was answered. */
  readonly removalMs: number;
  /** Of the other bucket's writes that ran meanwhile. */
  readonly during: WriteTimes;
  /** Milliseconds of the other bucket's writes beside the sweep and without it. */
  readonly p99: Comparison;
  readonly beside: readonly WriteTimes[];
  readonly without: readonly WriteTimes[];
  readonly sweptPerSecond: number;
}

/** @throws Error where the sweep does not run */
export async function measureRuleRemoval(
  context: BenchContext,
  queue: BacklogQueue,
): Promise<RuleRemoval> {
  const { pairs, warmUps } = context.pairs();
  const load: WriterLoad = { writers: WRITERS, durationMs: context.pick(2000, 100) };
  await queue.restart();
  for (let n = 0; n < warmUps; n += 1) await queue.timeOtherWrites(load);
  const without: WriteTimes[] = [];
  for (let n = 0; n < pairs; n += 1) without.push(await queue.timeOtherWrites(load));

  const writes = queue.timeOtherWrites(load);
  const removalMs = await queue.removeRule();
  const during = await writes;

  await queue.restart();
  const beside: WriteTimes[] = [];
  const swept: number[] = [];
  for (let n = 0; n < warmUps + pairs; n += 1) {
    const before = await queue.countRows();
    const times = await queue.timeOtherWrites(load);
    const gone = before + times.operations - (await queue.countRows());
    if (!(gone > 0)) throw new Error('The sweep of the removed rule does not run.');
    if (n < warmUps) continue;
    beside.push(times);
    swept.push(gone);
  }
  return {
    removalMs,
    during,
    p99: compareSamples(
      { name: 'beside the sweep', samples: beside.map(p99Of) },
      { name: 'without', samples: without.map(p99Of) },
    ),
    beside,
    without,
    sweptPerSecond: (spreadOf(swept).median / load.durationMs) * 1000,
  };
}

/** Median, 99th percentile and maximum over all samples, as a sentence's part. */
export function describeTimes(times: readonly WriteTimes[]): string {
  const median = spreadOf(times.map((sample) => sample.median)).median;
  const p99 = spreadOf(times.map((sample) => sample.p99)).median;
  const { high } = spreadOf(times.map(({ max }) => max));
  return `${median.toFixed(1)} ms (median), ${p99.toFixed(1)} (p99), ${high.toFixed(1)} (maximum)`;
}

function p99Of({ p99 }: WriteTimes): { value: number } & typeof UNKNOWN_COST {
  return { value: p99, ...UNKNOWN_COST };
}
