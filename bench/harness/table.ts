/**
 * The results as Markdown, printed after a run and kept between two markers in docs/benchmarks.md: for
 * each bench its command, its rows, its footnotes and its curves; then one line about each machine.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { format, resolveConfig } from 'prettier';
import type { MachineFacts } from './machine.ts';
import {
  isMet,
  type Budget,
  type Curve,
  type KeptFindings,
  type Results,
  type Row,
} from './results.ts';
import { spreadOf } from './statistics.ts';

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';
const MIB = 2 ** 20;
const NOTHING = '–';

const HEADER = [
  '| what | ours | peer | ratio (range) | CPU per operation | peak memory | budget |',
  '| --- | ---: | ---: | ---: | ---: | ---: | --- |',
];

/** @param docs where the curves are, relative to the file that the report is for */
export function formatReport(results: Results, docs: string): string {
  const benches = Object.entries(results).map(([name, kept]) => formatBench(name, kept, docs));
  const machines = describeMachines(Object.values(results).map(({ machine }) => machine));
  return [...benches, machines].join('\n\n');
}

/**
 * Puts the report between the markers of a Markdown file, and leaves the file as Prettier wants it.
 *
 * @throws Error where the file has no markers
 */
export async function writeReport(path: string, results: Results, docs: string): Promise<void> {
  const text = readFileSync(path, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`${path} needs the lines ${BEGIN} and ${END}.`);
  const head = text.slice(0, begin + BEGIN.length);
  const whole = `${head}\n\n${formatReport(results, docs)}\n\n${text.slice(end)}`;
  const options = await resolveConfig(path);
  writeFileSync(path, await format(whole, { ...options, filepath: path }));
}

function formatBench(name: string, kept: KeptFindings, docs: string): string {
  const { command, rows, notes = [], curves = [] } = kept;
  const parts = [
    `**${name}**: \`${command}\``,
    rows.length === 0 ? '' : [...HEADER, ...rows.map(formatRow)].join('\n'),
    notes.map((note) => `- ${note}`).join('\n'),
    curves.map((curve) => formatLink(curve, docs)).join('\n'),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function formatLink({ file, title, xLabel }: Curve, docs: string): string {
  return `Curve: [${title}, over ${xLabel}](${posix.join(docs, `${file}.svg`)})`;
}

function formatRow(row: Row): string {
  const { ours, peer, ratio, unit } = row;
  const both = (format: (side: Row['ours']) => string): string => {
    const values = peer === null ? [format(ours)] : [format(ours), format(peer)];
    return values.every((value) => value === NOTHING) ? NOTHING : values.join(' / ');
  };
  const cells = [
    row.what,
    `${formatNumber(ours.value)} ${unit}`,
    peer === null ? NOTHING : `${formatNumber(peer.value)} ${unit} (${peer.name})`,
    ratio === null
      ? NOTHING
      : `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)})`,
    both(({ cpuMicrosPerOperation: micros }) =>
      micros === null ? NOTHING : `${formatNumber(micros)} µs`,
    ),
    both(({ peakBytes }) => (peakBytes === null ? NOTHING : `${Math.round(peakBytes / MIB)} MiB`)),
    formatBudget(row),
  ];
  return `| ${cells.join(' | ')} |`;
}

function formatBudget(row: Row): string {
  if (row.budget === null) return '';
  const verdict = isMet(row) === true ? 'met' : '**missed**';
  return `${describeBudget(row.budget, row.unit)}: ${verdict}`;
}

function describeBudget({ kind, limit }: Budget, unit: string): string {
  switch (kind) {
    case 'ratioAtLeast':
      return `≥ ${limit}`;
    case 'ratioAtMost':
      return `≤ ${limit}`;
    case 'ratioAbove':
      return `> ${limit}`;
    case 'oursBelow':
      return `< ${limit} ${unit}`;
  }
}

/** Three significant digits; thousands grouped. */
export function formatNumber(value: number): string {
  const rounded = value === 0 ? 0 : Number(value.toPrecision(3));
  return rounded.toLocaleString('en-US', { maximumFractionDigits: 4 });
}

/** Benches of one machine measured its disk at different times: that differs, and is told as a range. */
function describeMachines(machines: readonly MachineFacts[]): string {
  const flushes = new Map<string, number[]>();
  for (const machine of machines) {
    const known = flushes.get(describeMachine(machine)) ?? [];
    flushes.set(describeMachine(machine), [...known, machine.disk.flushMicros]);
  }
  return Array.from(flushes, ([text, micros]) => `${text} ${describeFlushes(micros)} µs.`).join(
    '\n',
  );
}

function describeMachine({ cpu, cores, memoryGiB, system, node, disk }: MachineFacts): string {
  return (
    `Measured on ${cores} cores of ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}; ` +
    `${disk.fileSystem}, where a flush of 4 KiB takes`
  );
}

function describeFlushes(micros: readonly number[]): string {
  const { low, high } = spreadOf(micros);
  return low === high ? String(low) : `${low} to ${high}`;
}
