/**
 * The table port (src/store/table.ts) on LMDB and in memory: equal answers to every sequence of
 * operations, and what the disk in memory alone can show.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { openEnvironment } from '../../src/lmdb/environment.ts';
import { LmdbStorage } from '../../src/store/lmdb-storage.ts';
import type { KeyRange, Table, TableLayout, TableStorage } from '../../src/store/table.ts';
import { MemoryDisk } from '../support/memory-tables.ts';
import { assertProperty } from '../support/seed.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const LAYOUTS = {
  bytes: { name: 'bytes', keys: 'bytes', values: 'bytes' },
  words: { name: 'words', keys: 'words', values: 'records' },
} as const satisfies Record<string, TableLayout>;

type AnyTable = Table<unknown, unknown>;

async function openLmdb(t: TestContext): Promise<TableStorage> {
  const storage = new LmdbStorage(
    await openEnvironment({ directory: temporaryDirectory(t), format: 1 }),
  );
  t.after(() => storage.close());
  return storage;
}

const oddByte = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff);
const bytesFrom = (minLength: number): fc.Arbitrary<Buffer> =>
  fc.array(oddByte, { minLength, maxLength: 4 }).map((list) => Buffer.from(list));
const text = fc.constantFrom('a', 'a\0', 'a\n', 'ab', '\x01', 'b', 'ä', '🔑', 'z'.repeat(60));
const count = fc.oneof(fc.nat(300_000), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 47));
/** What tables have as keys: names, numbers, an id with another or with a number; a list's beginning. */
const words = fc.oneof(text, count, fc.tuple(text, fc.oneof(text, count)), fc.tuple(text));
const record = fc.record({ n: fc.nat(), text: fc.string(), list: fc.array(fc.nat(9)) });

function operationsOn(
  keys: fc.Arbitrary<unknown>,
  values: fc.Arbitrary<unknown>,
): fc.Arbitrary<readonly Operation[]> {
  const change = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), key: keys, value: values }),
    fc.record({ kind: fc.constant('remove' as const), key: keys }),
  );
  const rangeTo = { end: keys, reverse: fc.boolean(), limit: fc.nat(5) };
  const rangeFrom = { ...rangeTo, start: keys, exclusiveStart: fc.boolean() };
  const range = fc.oneof(
    fc.record(rangeTo, { requiredKeys: [] }),
    fc.record(rangeFrom, { requiredKeys: ['start'] }),
  );
  const changes = fc.record({
    kind: fc.constant('change' as const),
    changes: fc.array(change, { minLength: 1, maxLength: 8 }),
    throws: fc.boolean(),
  });
  const look = fc.record({ kind: fc.constant('look' as const), key: keys, range });
  return fc.array(fc.oneof(changes, look), { maxLength: 20 });
}

type Change =
  | { readonly kind: 'put'; readonly key: unknown; readonly value: unknown }
  | { readonly kind: 'remove'; readonly key: unknown };
type Operation =
  | { readonly kind: 'change'; readonly changes: readonly Change[]; readonly throws: boolean }
  | { readonly kind: 'look'; readonly key: unknown; readonly range: KeyRange<unknown> };

/** What the operation answers, and what it sees in the middle of a transaction. */
async function answer(storage: TableStorage, table: AnyTable, one: Operation): Promise<unknown> {
  if (one.kind === 'look') {
    const { key, range } = one;
    // Keys first: what is asked of one may say nothing to the next.
    return [table.get(key), table.has(key), [...table.keys(range)], [...table.range(range)]];
  }
  const seen: unknown[] = [];
  const done = storage.transaction(() => {
    for (const change of one.changes) {
      if (change.kind === 'put') table.put(change.key, change.value);
      else table.remove(change.key);
      seen.push([...table.keys()]);
    }
    if (one.throws) throw new Error('rolled back');
  });
  const error = await done.then(
    () => null,
    (reason: Error) => reason.message,
  );
  return [seen, error, [...table.range()]];
}

describe('tables on LMDB and in memory', () => {
  for (const [name, keys, values] of [
    // Indexes say everything in their keys: their values are empty.
    ['bytes', bytesFrom(1), bytesFrom(0)],
    ['words', words, record],
  ] as const) {
    it(`answer alike: ${name}`, async (t) => {
      const lmdb = await openLmdb(t);
      const table = lmdb.table(LAYOUTS[name]);
      const property = fc.asyncProperty(operationsOn(keys, values), async (operations) => {
        await lmdb.transaction(() => [...table.keys()].forEach((key) => table.remove(key)));
        const memory = new MemoryDisk().connect();
        const other = memory.table(LAYOUTS[name]);
        for (const one of operations) {
          assert.deepEqual(await answer(memory, other, one), await answer(lmdb, table, one));
        }
      });
      await assertProperty(property, { numRuns: 100 });
    });
  }
});

describe('tables in memory', () => {
  const held: (() => void)[] = [];
  const open = () => {
    const disk = new MemoryDisk((flush) => void held.push(flush));
    const [one, other] = [disk.connect(), disk.connect()];
    return { disk, one, other, table: one.table<number, string>(LAYOUTS.words) };
  };
  const turn = (): Promise<void> => new Promise(setImmediate);

  it('tell nobody of a change before it is flushed, though others see it', async () => {
    const { disk, one, other, table } = open();
    let isTold = false;
    void one.transaction(() => table.put('a', 1)).then(() => (isTold = true));
    await turn();
    assert.equal(other.table<number, string>(LAYOUTS.words).get('a'), 1);
    assert.equal(isTold, false);
    disk.flush();
    await turn();
    assert.equal(isTold, true);
  });

  it('lose with the power what was not flushed, the last commits first', async () => {
    for (const survivors of [0, 1, 2]) {
      const { disk, one, table } = open();
      void one.transaction(() => table.put('a', 1));
      await turn();
      disk.flush();
      let told = 0;
      for (const n of [2, 3]) void one.transaction(() => table.put('a', n)).then(() => told++);
      await turn();
      disk.crash(survivors);
      disk.flush();
      await turn();
      assert.deepEqual([table.get('a'), told], [1 + survivors, 0]);
    }
  });

  it('take nothing from a process that was killed, and tell it nothing', async () => {
    const { disk, one, table } = open();
    let told = 0;
    void one.transaction(() => table.put('a', 1)).then(() => told++);
    await turn();
    void one.transaction(() => table.put('b', 1)).then(() => told++);
    one.kill();
    await turn();
    disk.flush();
    await turn();
    assert.deepEqual([[...table.keys()], told], [['a'], 0]);
  });

  it('are not walked over while they change: what LMDB shows then is not promised', async () => {
    const { one, table } = open();
    const walk = one.transaction(() => {
      for (const key of ['a', 'b']) table.put(key, 1);
      for (const key of table.keys()) table.remove(key);
    });
    await assert.rejects(walk, /changed while it was walked over/);
    assert.deepEqual([...table.keys()], []);
  });

  it('keep copies, which nobody can change', async () => {
    const { disk, one } = open();
    const records = one.table<{ list: number[] }, string>({ ...LAYOUTS.words, name: 'records' });
    const value = { list: [1] };
    void one.transaction(() => records.put('a', value));
    await turn();
    disk.flush();
    value.list.push(2);
    assert.deepEqual(records.get('a'), { list: [1] });
    assert.throws(() => records.get('a')?.list.push(2), TypeError);
  });
});
