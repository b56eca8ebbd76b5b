/**
 * A corpus of damaged stores against the real server: each start refuses with one sentence and exit
 * code 1, or serves with everything intact; never a signal, never an empty "ok".
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { findDamage } from '../../src/lmdb/page-walk.ts';
import { openEnvironment } from '../../src/lmdb/environment.ts';
import { runProgram } from '../support/child-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const PAGE = 4096;
const RECORDS = 500;

type Harm = (file: string) => void;

function overwrite(file: string, from: number, to: number, byte: (n: number) => number): void {
  const bytes = readFileSync(file);
  for (let n = from; n < Math.min(to, bytes.length); n += 1) bytes[n] = byte(n);
  writeFileSync(file, bytes);
}

/** A linear congruential generator: the same pages and bytes at every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32);
}

function damagePages(seed: number): Harm {
  return (file) => {
    const next = randomFrom(seed);
    const pages = readFileSync(file).length / PAGE;
    for (let n = 0; n < 3; n += 1) {
      const page = 2 + (next() % (pages - 2));
      overwrite(file, page * PAGE, (page + 1) * PAGE, () => next() >>> 24);
    }
  };
}

const HARMS: Record<string, Harm> = {
  deleted: (file) => rmSync(file),
  'of zero length': (file) => truncateSync(file, 0),
  'cut in half': (file) => truncateSync(file, readFileSync(file).length >> 1),
  'with a damaged header': (file) => overwrite(file, 0, 512, (n) => n % 251),
  'with two damaged headers': (file) => overwrite(file, 0, 2 * PAGE, (n) => n % 251),
  'with a zeroed tail': (file) =>
    overwrite(file, readFileSync(file).length >> 1, Infinity, () => 0),
  'of garbage': (file) => overwrite(file, 0, Infinity, (n) => (n * 7) % 256),
};
for (let seed = 1; seed <= 8; seed += 1) {
  HARMS[`with random pages, seed ${seed}`] = damagePages(seed);
}

describe('damaged stores', () => {
  const whole = mkdtempSync(join(tmpdir(), 'damaged-'));
  after(() => rmSync(whole, { recursive: true }));
  before(async () => {
    const directory = join(whole, 'store');
    const { meta, commits, close } = await openEnvironment({ directory, format: 1 });
    for (let batch = 0; batch < 5; batch += 1) {
      await commits.run(() => {
        for (let n = 0; n < RECORDS / 5; n += 1) {
          meta.putSync(`record-${batch}-${n}`, n);
        }
      });
    }
    await commits.run(() => meta.putSync('large', 'x'.repeat(3 * PAGE) as never));
    await close();
    assert.equal(findDamage(join(directory, 'data.mdb')), null);
  });

  for (const [name, harm] of Object.entries(HARMS)) {
    it(`a store ${name}`, async (t) => {
      const copy = temporaryDirectory(t);
      cpSync(whole, copy, { recursive: true });
      harm(join(copy, 'store', 'data.mdb'));
      // A process of its own: what this is about would end it by a signal.
      const ended = await runProgram('open-store.ts', [join(copy, 'store')]);
      assert.equal(ended.signal, null, ended.stderr);
      if (ended.code === 0) assert.equal(ended.stdout, String(RECORDS + 2), 'all is intact');
      else assert.match(ended.stdout, /^DamagedStore The store in \S+data\.mdb .*backup.*\.$/);
      if (!name.startsWith('with random')) assert.equal(ended.code, 1);
    });
  }

  it('a store that nobody harmed is opened', async () => {
    const ended = await runProgram('open-store.ts', [join(whole, 'store')]);
    assert.deepEqual([ended.code, ended.stdout], [0, String(RECORDS + 2)], ended.stderr);
  });
});
