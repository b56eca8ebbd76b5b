/**
 * 256 writers that announce a write, wait until that is on disk, and commit it, against 256 writers
 * that each put one record in a raw LMDB transaction of its own and wait for the flush; and, without
 * a budget, against raw puts that need no transaction of their own.
 *
 * Estimate: the peer's cost is a child transaction (8 µs), one put (4) and its share of a flush: 12
 * to 15 µs with 256 writers to a flush. Ours is two transactions: the intent (a counter and a put),
 * and the commit, which reads the configuration, removes the intent, and writes a row and its
 * entries in chains, heads, due, queue and counts: about twelve reads and twelve writes, each 1 to
 * 2 µs, 35 µs in all. Transactions that writers share save what beginning one costs: a ratio of 0.35
 * to 0.4. The bench takes a minute and a half.
 */
import { runIfMain, type Bench } from './harness/bench.ts';
import { comparePairs, sampleThroughput, type Side, type Work } from './harness/pairs.ts';
import { rowOf } from './harness/results.ts';
import type { SubjectProcess } from './harness/subject-process.ts';
import type { WriterLoad } from './harness/writers.ts';
import type { HostCommand } from './subjects/host-driver.ts';

const WRITERS = 256;

export const announceCommit: Bench = {
  name: 'announce-commit',
  async run(context) {
    const load: WriterLoad = { writers: WRITERS, durationMs: context.pick(3000, 200) };
    const objects = { directory: context.directory(), count: 0, bytes: 0 };
    const parameters = { dataDirectory: context.directory(), buckets: 1, objects };
    const ours = await context.start('replicating-host', parameters);
    // A pause: rows are queued, and nothing is delivered.
    const endpoint = 'http://127.0.0.1:9';
    const pause: HostCommand = { kind: 'configure', bucket: 0, endpoint, enabled: false };
    await ours.run(pause);
    const rawPeer = async (kind: 'transaction' | 'put'): Promise<SubjectProcess> =>
      context.start('flushed-puts', { dataDirectory: context.directory(), kind });
    const transactions = await rawPeer('transaction');
    const puts = await rawPeer('put');
    const side = (name: string, subject: SubjectProcess, command: object): Side => ({
      name,
      sample: () => sampleThroughput(subject, () => subject.run<Work>(command)),
    });
    const announced = side('announce + commit', ours, { kind: 'write', ...load });
    const againstTransactions = await comparePairs(
      announced,
      side('raw flushed transactions', transactions, load),
      context.pairs(),
    );
    const againstPuts = await comparePairs(
      announced,
      side('raw flushed puts', puts, load),
      context.pairs(),
    );
    const what = `durable announce and commit, ${WRITERS} writers`;
    const budget = { kind: 'ratioAtLeast', limit: 0.35 } as const;
    return {
      rows: [
        rowOf(what, 'op/s', againstTransactions, budget),
        rowOf(what, 'op/s', againstPuts, null),
      ],
    };
  },
};

await runIfMain(import.meta.url, announceCommit);
