/**
 * Writes bench/results/results.json as a table between the markers of README.md, or of the file that
 * is named: `node --import tsx bench/write-table.ts [file] [results.json]`.
 */
import { join } from 'node:path';
import { CHECKOUT } from './harness/compiled-tree.ts';
import { readResults } from './harness/results.ts';
import { writeReport } from './harness/table.ts';

const [file = join(CHECKOUT, 'README.md'), results = join(CHECKOUT, 'bench/results/results.json')] =
  process.argv.slice(2);

writeReport(file, readResults(results));
