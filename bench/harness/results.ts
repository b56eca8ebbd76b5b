/**
 * What benches found: rows (one comparison each) and curves, kept in one JSON file with the facts
 * about the machine. A bench that runs again replaces its own part and leaves the others.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MachineFacts } from './machine.ts';
import { UNKNOWN_COST, type Comparison, type Cost, type SideSummary } from './pairs.ts';
import type { Spread } from './statistics.ts';

/** What the median must be. `ours…` budgets are in the row's unit, the others about the ratio. */
export interface Budget {
  readonly kind: 'ratioAtLeast' | 'ratioAtMost' | 'ratioAbove' | 'oursBelow';
  readonly limit: number;
}

export interface Row {
  /** What was done, for instance `PUT /targets, 64 clients`. */
  readonly what: string;
  /** Of both values: `op/s`, `µs`, `ms`, `MiB`. */
  readonly unit: string;
  readonly ours: SideSummary;
  readonly peer: SideSummary | null;
  readonly ratio: Spread | null;
  readonly pairs: number;
  readonly budget: Budget | null;
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** One diagram, written to `docs/<file>.svg`. */
export interface Curve {
  readonly file: string;
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xScale: 'linear' | 'log';
  readonly series: readonly Series[];
}

export interface Findings {
  readonly rows: readonly Row[];
  readonly curves?: readonly Curve[];
  /** Sentences for the reader of the table: what was left out, what a number is made of. */
  readonly notes?: readonly string[];
}

/** Findings of one bench as they are kept. */
export interface KeptFindings extends Findings {
  /** ISO 8601. */
  readonly measuredAt: string;
  readonly command: string;
  readonly machine: MachineFacts;
}

/** By the bench's name. */
export type Results = Readonly<Record<string, KeptFindings>>;

export function rowOf(
  what: string,
  unit: string,
  comparison: Comparison,
  budget: Budget | null,
): Row {
  return { what, unit, ...comparison, budget };
}

/** A value of ours that has no peer; where it is no cost of an operation, it has no cost either. */
export function rowOfOurs(
  what: string,
  unit: string,
  { value, samples, cost = UNKNOWN_COST }: { value: number; samples: number; cost?: Cost },
  budget: Budget | null,
): Row {
  const { cpuMicrosPerOperation, peakBytes } = cost;
  const ours = { name: what, value, cpuMicrosPerOperation, peakBytes };
  return { what, unit, ours, peer: null, ratio: null, pairs: samples, budget };
}

/** Null where the row has no budget. */
export function isMet({ ours, ratio, budget }: Row): boolean | null {
  if (budget === null) return null;
  switch (budget.kind) {
    case 'ratioAtLeast':
      return ratio !== null && ratio.median >= budget.limit;
    case 'ratioAtMost':
      return ratio !== null && ratio.median <= budget.limit;
    case 'ratioAbove':
      return ratio !== null && ratio.median > budget.limit;
    case 'oursBelow':
      return ours.value < budget.limit;
  }
}

/** An absent file holds no results. @throws SyntaxError where the file is not JSON */
export function readResults(path: string): Results {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Results;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}

export function keepFindings(path: string, name: string, findings: KeptFindings): void {
  const results = { ...readResults(path), [name]: findings };
  const sorted = Object.fromEntries(Object.entries(results).sort(([a], [b]) => (a < b ? -1 : 1)));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(sorted, rounded, 2)}\n`);
}

/** Six significant digits are more than any of these numbers deserves. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(6))
    : value;
}
