/**
 * All benches, one after the other: `npm run bench`, 20 minutes on two cores, of which each file's
 * header tells its part. One that fails does not keep the others from running; the exit code is 1
 * then. With `--smoke` it only shows that they still run, in a minute. Afterwards
 * `node --import tsx bench/write-table.ts` puts the results into docs/benchmarks.md.
 */
import { activate } from './activate.ts';
import { announceCommit } from './announce-commit.ts';
import { backlog } from './backlog.ts';
import { deliverLarge } from './deliver-large.ts';
import { deliverSmall } from './deliver-small.ts';
import { getTargets } from './get-targets.ts';
import { readArguments, runBenches } from './harness/bench.ts';
import { putTargets } from './put-targets.ts';
import { rcloneCopy } from './rclone-copy.ts';
import { writePathHint } from './write-path-hint.ts';

const benches = [
  putTargets,
  getTargets,
  writePathHint,
  announceCommit,
  deliverSmall,
  deliverLarge,
  rcloneCopy,
  backlog,
  activate,
];

await runBenches(benches, readArguments());
