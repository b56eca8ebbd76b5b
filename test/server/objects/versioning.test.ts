/**
 * Random histories of a bucket, on the object store and on a model of S3 side by side: after each
 * step both hold the same versions, and replication was told exactly what became current.
 */
import { strict as assert } from 'node:assert';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { CommittedWrite } from '../../../src/host.ts';
import { bodyOf, recorder, withStore } from './object-fixture.ts';
import { History, KEYS, type Entry, type Listing, type Step } from './versioning-history.ts';
import { assertProperty } from '../../support/seed.ts';

const RUNS = 25;
/** Histories that once failed, by seed and number, with what they were about. */
const REGRESSIONS: readonly (readonly [seed: number, path: string, about: string])[] = [
  [2020837592, '6', 'a null version replaced by a copy of another key with the same content'],
  [260207221, '20', 'the same, by way of a third key'],
  [358669550, '12', 'the same, after a copy onto itself'],
];

/** Mostly the first few, so that keys get long histories. */
const key = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...KEYS.slice(0, 3)) },
  { weight: 1, arbitrary: fc.constantFrom(...KEYS) },
);
const pick = fc.nat(20);
const entry: fc.Arbitrary<Entry> = fc.record({ key, version: fc.option(pick, { nil: undefined }) });
const tags = fc.dictionary(fc.constantFrom('colour', 'size'), fc.constantFrom('1', '2'), {
  noNullPrototype: true,
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, tags }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('delete' as const), entry }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('deleteMany' as const),
      entries: fc.array(entry, { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('copy' as const), source: entry, key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tag' as const), entry, tags }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('version' as const),
      status: fc.constantFrom('Enabled' as const, 'Suspended' as const),
    }),
  },
);
const listing: fc.Arbitrary<Listing> = fc.record({
  prefix: fc.constantFrom('', 'a', 'a/', 'b', 'zzz', '\u0000', 'a/b/c/d'),
  delimiter: fc.constantFrom('', '/', '//', 'b', '\u0000'),
  after: fc.constantFrom('', 'a', 'a/', 'a/b', 'é', '~', 'a/b/', '\uffff'),
  max: fc.constantFrom(0, 1, 2, 3, 1000),
});

describe('a bucket, whatever is done to it', () => {
  it("is what S3's rules make of it", () => checkHistories({ numRuns: RUNS }));

  for (const [seed, path, about] of REGRESSIONS) {
    it(`seed ${seed}: ${about}`, () => checkHistories({ numRuns: 1, seed, path }));
  }

  it('has a new object after a copy of the same content from another key', () =>
    withStore({}, async (fixture) => {
      const { calls, announce } = recorder();
      fixture.store.replicateThrough({ announce });
      const history = new History(fixture, fixture.bucket, calls);
      await history.run({ do: 'put', key: 'a', tags: {} });
      const copy = { do: 'copy', source: { key: 'a', version: undefined }, key: 'b' } as const;
      for (const told of [1, 2, 3]) {
        await history.run(copy);
        assert.equal(calls.length, 1, `copy ${told} was told`);
        await history.checkVersions();
      }
    }));

  it('does not know a version by an id that only points to the same place', () =>
    withStore({ versioningEnabled: true }, async ({ store, bucket }) => {
      const { versionId } = await store.put(bucket, 'key', bodyOf('content'));
      const last = versionId.endsWith('A') ? 'Q' : 'A';
      for (const forged of [
        `${versionId.slice(0, -1)}${last}`,
        versionId.slice(1),
        '',
        'null',
        '..',
      ]) {
        assert.equal(await store.head(bucket, 'key', forged), null, forged);
        await store.delete(bucket, { key: 'key', versionId: forged }, { replica: false });
      }
      assert.notEqual(await store.head(bucket, 'key', versionId), null);
    }));

  it('tells replication of a replica and of what it uncovers', () =>
    withStore({ versioningEnabled: true }, async ({ store, bucket }) => {
      const { calls, announce } = recorder();
      store.replicateThrough({ announce });
      const own = await store.put(bucket, 'key', bodyOf('own'));
      const replica = await store.put(bucket, 'key', bodyOf('replica', { replica: true }));
      const remove = async (versionId: string) =>
        await store.delete(bucket, { key: 'key', versionId }, { replica: false });
      const newest = await store.put(bucket, 'key', bodyOf('newest'));
      await remove(newest.versionId);
      await remove(replica.versionId);
      await store.delete(bucket, { key: 'key' }, { replica: true });
      const told = calls.map(({ outcome }) => {
        assert(Array.isArray(outcome));
        const [write] = outcome as CommittedWrite[];
        return [write?.operation, write?.replica, write?.versionId === own.versionId];
      });
      assert.deepEqual(told, [
        ['put', false, true],
        ['put', true, false],
        ['put', false, false],
        ['put', true, false],
        ['put', false, true],
        ['delete', true, false],
      ]);
    }));
});

async function checkHistories(parameters: { numRuns: number; seed?: number; path?: string }) {
  await withStore({}, async (fixture) => {
    const { calls, announce } = recorder();
    fixture.store.replicateThrough({ announce });
    let serial = 0;
    const property = fc.asyncProperty(
      fc.boolean(),
      fc.array(step, { minLength: 5, maxLength: 60, size: 'max' }),
      fc.array(listing, { minLength: 8, maxLength: 8 }),
      async (versioningEnabled, steps, listings) => {
        serial += 1;
        const name = `bucket-${serial}`;
        const bucket = await fixture.buckets.create({
          name,
          ownerId: 'somebody',
          versioningEnabled,
        });
        const history = new History(fixture, bucket, calls);
        for (const next of steps) {
          await history.run(next);
          await history.checkVersions();
        }
        await history.checkContents();
        for (const options of listings) await history.checkListing(options);
      },
    );
    await assertProperty(property, parameters);
  });
}
