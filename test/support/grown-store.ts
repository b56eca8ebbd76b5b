/**
 * Grows an environment as a reader that was killed inside a snapshot makes it grow, in steps that a test
 * may kill. Arguments: `reader` or `writer`, the directory, and for the writer the size in bytes.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { openEnvironment } from '../../src/lmdb/environment.ts';

const [role = '', directory = '', bytes = '0'] = process.argv.slice(2);
const environment = await openEnvironment({ directory, format: 1, readOnly: role === 'reader' });
const { root, meta, commits, close } = environment;
if (role === 'reader') {
  const transaction = root.useReadTransaction();
  meta.get('format', { transaction });
  console.log('reading');
  // A transaction that nobody refers to is collected, and its snapshot with it.
  setInterval(() => meta.get('format', { transaction }), 1_000);
} else {
  const size = (): number => statSync(join(directory, 'data.mdb')).size;
  for (let n = 0; size() < Number(bytes); n += 1) {
    // The same hundred records again and again: little is in use.
    await commits.run(() => {
      for (let at = 0; at < 20; at += 1) {
        meta.putSync(`record-${(n * 20 + at) % 100}`, 'x'.repeat(20_000) as never);
      }
    });
  }
  await close();
  console.log('written');
}
