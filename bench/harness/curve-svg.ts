/**
 * Draws a curve as SVG text, for docs/: axes, grid, one line with dots per series, a legend.
 *
 * Hand-written, because a diagram of a few lines does not deserve a dependency, and because the text
 * must be the same for the same numbers, so that a new run shows up as a small difference.
 */
import type { Curve, Series } from './results.ts';
import { formatNumber } from './table.ts';

const WIDTH = 720;
const HEIGHT = 400;
const LEFT = 76;
const RIGHT = 24;
const TOP = 44;
const BOTTOM = 92;
const Y_STEPS = 5;
const LEGEND_COLUMNS = 2;
/** Okabe and Ito's colours, which colour-blind readers can tell apart. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

type Scale = (value: number) => number;

/** @throws RangeError where the curve has no point, or a logarithmic axis one at or below zero */
export function drawCurve(curve: Curve): string {
  const points = curve.series.flatMap((series) => series.points);
  if (points.length === 0) throw new RangeError(`${curve.file} has no points.`);
  const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b);
  if (curve.xScale === 'log' && xs[0]! <= 0) throw new RangeError('log of nothing');
  const yTop = niceCeiling(Math.max(...points.map(([, y]) => y)));
  const x = xScale(curve.xScale, xs[0]!, xs.at(-1)!);
  const y: Scale = (value) => HEIGHT - BOTTOM - (value / yTop) * (HEIGHT - TOP - BOTTOM);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<title>${escapeXml(curve.title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 22, curve.title, 'font-size="15" font-weight="bold"'),
    ...yAxis(curve.yLabel, yTop, y),
    ...xAxis(curve.xLabel, xs, x),
    ...curve.series.flatMap((series, index) => line(series, colour(index), x, y)),
    ...curve.series.map((series, index) => legend(series.name, index)),
    '</svg>',
    '',
  ].join('\n');
}

function xScale(kind: Curve['xScale'], low: number, high: number): Scale {
  const of = (value: number): number => (kind === 'log' ? Math.log(value) : value);
  const span = of(high) - of(low) || 1;
  return (value) => LEFT + ((of(value) - of(low)) / span) * (WIDTH - LEFT - RIGHT);
}

function yAxis(label: string, top: number, y: Scale): string[] {
  const steps = Array.from({ length: Y_STEPS + 1 }, (_, step) => (top / Y_STEPS) * step);
  return [
    ...steps.flatMap((value) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(y(value))}" y2="${fixed(y(value))}" stroke="#ddd"/>`,
      text(LEFT - 8, y(value) + 4, formatNumber(value), 'text-anchor="end"'),
    ]),
    text(LEFT, TOP - 8, label, 'fill="#555"'),
  ];
}

function xAxis(label: string, values: readonly number[], x: Scale): string[] {
  const bottom = HEIGHT - BOTTOM;
  return [
    `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${bottom}" y2="${bottom}" stroke="#222"/>`,
    ...values.flatMap((value) => [
      `<line x1="${fixed(x(value))}" x2="${fixed(x(value))}" y1="${bottom}" y2="${bottom + 4}" stroke="#222"/>`,
      text(x(value), bottom + 18, formatNumber(value), 'text-anchor="middle"'),
    ]),
    text((LEFT + WIDTH - RIGHT) / 2, bottom + 36, label, 'text-anchor="middle" fill="#555"'),
  ];
}

function line({ points }: Series, stroke: string, x: Scale, y: Scale): string[] {
  const places = points.map(([px, py]) => [fixed(x(px)), fixed(y(py))] as const);
  return [
    `<polyline fill="none" stroke="${stroke}" stroke-width="2" points="${places.map((place) => place.join(',')).join(' ')}"/>`,
    ...places.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="3" fill="${stroke}"/>`),
  ];
}

function legend(name: string, index: number): string {
  const column = index % LEGEND_COLUMNS;
  const x = LEFT + (column * (WIDTH - LEFT - RIGHT)) / LEGEND_COLUMNS;
  const y = HEIGHT - 34 + Math.floor(index / LEGEND_COLUMNS) * 18;
  return `<rect x="${x}" y="${y - 9}" width="14" height="4" fill="${colour(index)}"/>${text(x + 20, y - 2, name)}`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length]!;
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value)!;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${attributes}>${escapeXml(content)}</text>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
