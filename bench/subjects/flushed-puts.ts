/**
 * Peer of announce and commit: writers that each put one record and wait until it is on disk.
 *
 * `transaction` puts it in a transaction of its own, a callback that runs while LMDB holds its write
 * lock, which is what anything needs that reads before it writes; `put` hands LMDB a write that it
 * carries out by itself, which is the least that there is.
 */
import { open } from 'lmdb';
import { serveSubject } from '../harness/subject.ts';
import { runWriters, type WriterLoad } from '../harness/writers.ts';

interface Parameters {
  readonly dataDirectory: string;
  readonly kind: 'transaction' | 'put';
}

await serveSubject(async ({ dataDirectory, kind }: Parameters) => {
  const root = open({ path: dataDirectory, noSubdir: false, maxDbs: 4 });
  const table = root.openDB<object, number>({ name: 'records' });
  let sequence = 0;
  const write = async (): Promise<void> => {
    const n = ++sequence;
    const record = { bucket: 'bucket-0', key: `folder/object-${n}`, operation: 'put' };
    if (kind === 'put') await table.put(n, record);
    else await root.childTransaction(() => table.putSync(n, record));
    await table.flushed;
  };
  return {
    ready: null,
    run: (parameters) => runWriters(parameters as WriterLoad, write),
    close: () => root.close(),
  };
});
