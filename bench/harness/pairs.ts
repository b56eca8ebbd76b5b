/**
 * Ours and the peer in turns, A B A B …, after a warm-up of both.
 *
 * A machine's speed drifts (heat, neighbours, a disk's cache), so two runs one after the other are
 * not comparable; two neighbouring samples nearly are. The ratio is taken pair by pair, and its
 * median and whole range are reported.
 */
import { medianOf, spreadOf, type Spread } from './statistics.ts';
import type { SubjectProcess } from './subject-process.ts';

/** What a driven subject did. */
export interface Work {
  readonly operations: number;
  readonly elapsedMs: number;
}

/** One sample of one side. */
export interface Sample {
  /** In the unit of the comparison. */
  readonly value: number;
  readonly cpuMicrosPerOperation: number;
  readonly peakBytes: number;
}

export interface Side {
  readonly name: string;
  sample(): Promise<Sample>;
}

export interface SideSummary {
  readonly name: string;
  /** Median, in the unit of the comparison. */
  readonly value: number;
  readonly cpuMicrosPerOperation: number;
  readonly peakBytes: number;
}

export interface Comparison {
  readonly ours: SideSummary;
  readonly peer: SideSummary;
  /** Ours divided by the peer's, pair by pair. */
  readonly ratio: Spread;
  readonly pairs: number;
}

export interface PairOptions {
  readonly pairs: number;
  readonly warmUps: number;
}

export async function comparePairs(
  ours: Side,
  peer: Side,
  { pairs, warmUps }: PairOptions,
): Promise<Comparison> {
  for (let n = 0; n < warmUps; n += 1) {
    await ours.sample();
    await peer.sample();
  }
  const samples: { ours: Sample; peer: Sample }[] = [];
  for (let n = 0; n < pairs; n += 1) {
    const first = await ours.sample();
    samples.push({ ours: first, peer: await peer.sample() });
  }
  return {
    ours: summarise(
      ours.name,
      samples.map((pair) => pair.ours),
    ),
    peer: summarise(
      peer.name,
      samples.map((pair) => pair.peer),
    ),
    ratio: spreadOf(samples.map((pair) => pair.ours.value / pair.peer.value)),
    pairs,
  };
}

/** Lets `drive` work a subject, and reads what that cost the subject's process. */
export async function sampleThroughput(
  subject: SubjectProcess,
  drive: () => Promise<Work>,
): Promise<Sample> {
  const before = await subject.usage();
  const { operations, elapsedMs } = await drive();
  const after = await subject.usage();
  return {
    value: (operations / elapsedMs) * 1000,
    cpuMicrosPerOperation: (after.cpuMicros - before.cpuMicros) / operations,
    peakBytes: after.peakBytes,
  };
}

function summarise(name: string, samples: readonly Sample[]): SideSummary {
  return {
    name,
    value: medianOf(samples.map(({ value }) => value)),
    cpuMicrosPerOperation: medianOf(samples.map((sample) => sample.cpuMicrosPerOperation)),
    peakBytes: Math.max(...samples.map(({ peakBytes }) => peakBytes)),
  };
}
