/** The few numbers that a bench reports of its samples. */

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Median, smallest and largest of at least one value. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { median: quantile(sorted, 0.5), low: sorted[0]!, high: sorted.at(-1)! };
}

export function medianOf(values: readonly number[]): number {
  return spreadOf(values).median;
}

/**
 * The value below which that share of a sorted list lies, interpolated between neighbours.
 *
 * @throws RangeError where the list is empty
 */
export function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) throw new RangeError('There is no quantile of nothing.');
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)]!;
  const above = sorted[Math.ceil(position)]!;
  return below + (above - below) * (position - Math.floor(position));
}
