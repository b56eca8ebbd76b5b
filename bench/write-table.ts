/**
 * Writes bench/results/results.json as tables between the markers of docs/benchmarks.md, or of the file
 * that is named: `node --import tsx bench/write-table.ts [file] [results.json]`.
 */
import { dirname, join, relative, resolve } from 'node:path';
import { CHECKOUT } from './harness/compiled-tree.ts';
import { readResults } from './harness/results.ts';
import { writeReport } from './harness/table.ts';

const [
  file = join(CHECKOUT, 'docs/benchmarks.md'),
  results = join(CHECKOUT, 'bench/results/results.json'),
] = process.argv.slice(2);

await writeReport(
  file,
  readResults(results),
  relative(dirname(resolve(file)), join(CHECKOUT, 'docs')),
);
