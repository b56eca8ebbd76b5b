/** The results as a Markdown table, printed after a run and kept between two markers in README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { MachineFacts } from './machine.ts';
import { isMet, type Budget, type Results, type Row } from './results.ts';

const BEGIN = '<!-- bench:begin -->';
const END = '<!-- bench:end -->';
const MIB = 2 ** 20;

const HEADER = [
  '| what | ours | peer | ratio (range) | CPU per operation, ours / peer | peak memory, ours / peer | budget |',
  '| --- | ---: | ---: | ---: | ---: | ---: | --- |',
];

/** One line for each row of every bench. */
export function formatTable(results: Results): string {
  const rows = Object.values(results).flatMap(({ rows: list }) => list);
  return [...HEADER, ...rows.map(formatRow)].join('\n');
}

/** The table, then its footnotes and one line about each machine that took part. */
export function formatReport(results: Results): string {
  const notes = Object.entries(results).flatMap(([name, { notes: list = [] }]) =>
    list.map((note) => `- \`${name}\`: ${note}`),
  );
  const machines = new Set(Object.values(results).map(({ machine }) => describeMachine(machine)));
  return [formatTable(results), '', ...notes, ...(notes.length > 0 ? [''] : []), ...machines].join(
    '\n',
  );
}

/**
 * Puts the report between the markers of a Markdown file.
 *
 * @throws Error where the file has no markers
 */
export function writeReport(path: string, results: Results): void {
  const text = readFileSync(path, 'utf8');
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END, begin);
  if (begin < 0 || end < 0) throw new Error(`${path} needs the lines ${BEGIN} and ${END}.`);
  const head = text.slice(0, begin + BEGIN.length);
  writeFileSync(path, `${head}\n\n${formatReport(results)}\n\n${text.slice(end)}`);
}

function formatRow(row: Row): string {
  const { ours, peer, ratio, unit } = row;
  const both = (format: (side: Row['ours']) => string): string =>
    peer === null ? format(ours) : `${format(ours)} / ${format(peer)}`;
  const cells = [
    row.what,
    `${formatNumber(ours.value)} ${unit}`,
    peer === null ? '–' : `${formatNumber(peer.value)} ${unit} (${peer.name})`,
    ratio === null
      ? '–'
      : `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)})`,
    both(({ cpuMicrosPerOperation }) => `${formatNumber(cpuMicrosPerOperation)} µs`),
    both(({ peakBytes }) => `${Math.round(peakBytes / MIB)} MiB`),
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

function describeMachine({ cpu, cores, memoryGiB, system, node, disk }: MachineFacts): string {
  return (
    `Measured on ${cores} cores of ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}; ` +
    `${disk.fileSystem}, where a flush of 4 KiB takes ${disk.flushMicros} µs.`
  );
}
