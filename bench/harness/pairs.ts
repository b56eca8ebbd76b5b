/**
 * Ours and the peer in turns, A B A B …, after a warm-up of both.
 *
 * A machine's speed drifts (heat, neighbours, a disk's cache), so two runs one after the other are
 * not comparable; two neighbouring samples nearly are. The ratio is taken pair by pair, and its
 * median and whole range are reported.
 */
import { medianOf, spreadOf, type Spread } from './statistics.ts';

/** What a driven subject did. */
export interface Work {
  readonly operations: number;
  readonly elapsedMs: number;
}

/** What something cost its process; null where nobody can tell, or where it would mean nothing. */
export interface Cost {
  readonly cpuMicrosPerOperation: number | null;
  readonly peakBytes: number | null;
}

export const UNKNOWN_COST: Cost = { cpuMicrosPerOperation: null, peakBytes: null };

/** One sample of one side. */
export interface Sample extends Cost {
  /** In the unit of the comparison. */
  readonly value: number;
}

/** A subject, or a program that is looked at from outside. */
export interface MeasuredProcess {
  usage(): Promise<{ readonly cpuMicros: number | null; readonly peakBytes: number | null }>;
}

export interface Side {
  readonly name: string;
  sample(): Promise<Sample>;
}

/** The value and the CPU are medians, the peak is the highest. */
export interface SideSummary extends Sample {
  readonly name: string;
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
  return compareSamples(
    { name: ours.name, samples: samples.map((pair) => pair.ours) },
    { name: peer.name, samples: samples.map((pair) => pair.peer) },
  );
}

export interface Samples {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** The n-th of ours belongs to the n-th of the peer's. */
export function compareSamples(ours: Samples, peer: Samples): Comparison {
  const ratios = ours.samples.map(({ value }, n) => value / peer.samples[n]!.value);
  return {
    ours: summarise(ours),
    peer: summarise(peer),
    ratio: spreadOf(ratios),
    pairs: ratios.length,
  };
}

/** Lets `drive` work a process, and reads what that cost it. */
export async function sampleThroughput(
  process: MeasuredProcess,
  drive: () => Promise<Work>,
): Promise<Sample> {
  const before = await process.usage();
  const { operations, elapsedMs } = await drive();
  const after = await process.usage();
  const isKnown = before.cpuMicros !== null && after.cpuMicros !== null;
  return {
    value: (operations / elapsedMs) * 1000,
    cpuMicrosPerOperation: isKnown ? (after.cpuMicros - before.cpuMicros) / operations : null,
    peakBytes: after.peakBytes,
  };
}

/** Of at least one sample. What is unknown of one sample is unknown of all. */
function summarise({ name, samples }: Samples): SideSummary {
  const known = (read: (sample: Sample) => number | null): number[] | null => {
    const values = samples.flatMap((sample) => read(sample) ?? []);
    return values.length === samples.length ? values : null;
  };
  const cpu = known((sample) => sample.cpuMicrosPerOperation);
  const peaks = known(({ peakBytes }) => peakBytes);
  return {
    name,
    value: medianOf(samples.map(({ value }) => value)),
    cpuMicrosPerOperation: cpu === null ? null : medianOf(cpu),
    peakBytes: peaks === null ? null : Math.max(...peaks),
  };
}
