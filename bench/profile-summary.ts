/**
 * Where the time of a CPU profile went, by function and by file:
 * `node --import tsx bench/profile-summary.ts <file.cpuprofile> [lines]`.
 *
 * Idle time is left out, so that shares are of the work that was done.
 */
import { readFileSync } from 'node:fs';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { functionName: string; url: string; lineNumber: number };
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const IDLE = new Set(['(idle)', '(root)']);

const [file = '', lines = '25'] = process.argv.slice(2);
const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
const byFunction = new Map<string, number>();
const byFile = new Map<string, number>();
let total = 0;
for (const [index, id] of profile.samples.entries()) {
  const frame = frames.get(id);
  if (frame === undefined || IDLE.has(frame.functionName)) continue;
  const micros = profile.timeDeltas[index] ?? 0;
  const place = shorten(frame.url);
  total += micros;
  add(
    byFunction,
    `${frame.functionName || '(anonymous)'} ${place}:${frame.lineNumber + 1}`,
    micros,
  );
  add(byFile, place || frame.functionName, micros);
}
print('self time by function', byFunction);
print('self time by file', byFile);

function add(sums: Map<string, number>, key: string, micros: number): void {
  sums.set(key, (sums.get(key) ?? 0) + micros);
}

function shorten(url: string): string {
  return url.replace(/^.*\/node_modules\//, '').replace(/^.*\/((src|bench)\/)/, '$1');
}

function print(title: string, sums: ReadonlyMap<string, number>): void {
  const sorted = [...sums].sort(([, a], [, b]) => b - a).slice(0, Number(lines));
  process.stdout.write(`\n${title}, of ${(total / 1e6).toFixed(2)} s busy\n`);
  for (const [key, micros] of sorted) {
    process.stdout.write(`${((micros / total) * 100).toFixed(1).padStart(5)} %  ${key}\n`);
  }
}
