/**
 * `activate` on an empty data directory, in a fresh process each time, without process start and
 * module loading; against opening the same databases with raw LMDB.
 *
 * Estimate: LMDB makes its files and each database in a transaction of its own (1 ms each with its
 * flush), the sealing key is a file with an fsync (1 ms), ajv compiles the options schema (8 ms on a
 * cold JIT), and the router is built (3 ms). With 17 databases about 30 ms, half of it raw LMDB's.
 * The bench takes 15 seconds.
 */
import { runIfMain, type Bench } from './harness/bench.ts';
import { comparePairs, type Side } from './harness/pairs.ts';
import { rowOf } from './harness/results.ts';
import { medianOf } from './harness/statistics.ts';
import type { Activation } from './subjects/activation.ts';

/** As many as docs/key-layout.md has. */
const DATABASES = 19;

export const activate: Bench = {
  name: 'activate',
  async run(context) {
    const imports: number[] = [];
    const side = (name: string, kind: 'ours' | 'raw'): Side => ({
      name,
      async sample() {
        const dataDirectory = context.directory();
        const parameters = { side: kind, dataDirectory, databases: DATABASES };
        const subject = await context.start('activation', parameters);
        const before = await subject.usage();
        const { activateMs, importMs } = await subject.run<Activation>(null);
        const after = await subject.usage();
        if (kind === 'ours') imports.push(importMs);
        await subject.close();
        return {
          value: activateMs,
          cpuMicrosPerOperation: after.cpuMicros - before.cpuMicros,
          peakBytes: after.peakBytes,
        };
      },
    });
    const comparison = await comparePairs(
      side('activate', 'ours'),
      side('raw LMDB open', 'raw'),
      context.pairs({ pairs: 9 }),
    );
    return {
      rows: [
        rowOf('activate, empty data directory', 'ms', comparison, { kind: 'oursBelow', limit: 50 }),
      ],
      notes: [`Loading the plugin’s modules took ${medianOf(imports).toFixed(0)} ms before that.`],
    };
  },
};

await runIfMain(import.meta.url, activate);
