/**
 * All benches, one after the other: `npm run bench`. With `--smoke` it only shows that they still
 * run. Afterwards `node --import tsx bench/write-table.ts` puts the results into README.md.
 */
import { activate } from './activate.ts';
import { announceCommit } from './announce-commit.ts';
import { backlog } from './backlog.ts';
import { deliverLarge } from './deliver-large.ts';
import { deliverSmall } from './deliver-small.ts';
import { getTargets } from './get-targets.ts';
import { readArguments, runBenches } from './harness/bench.ts';
import { putTargets } from './put-targets.ts';
import { writePathHint } from './write-path-hint.ts';

const benches = [
  putTargets,
  getTargets,
  writePathHint,
  announceCommit,
  deliverSmall,
  deliverLarge,
  backlog,
  activate,
];

await runBenches(benches, readArguments());
