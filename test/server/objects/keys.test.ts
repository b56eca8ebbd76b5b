import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { lowered, objectKey, raisedBytes } from '../../../src/server/objects/object-keys.ts';
import { bodyOf, readText, rejectsWith, storedFiles, withStore } from './object-fixture.ts';
import { byBytes } from './versioning-model.ts';
import { assertProperty } from '../../support/seed.ts';

const AWKWARD: Readonly<Record<string, string>> = {
  NUL: '\u0000',
  'NUL at the end': 'a\u0000',
  '1,024 NULs': '\u0000'.repeat(1024),
  'line breaks': 'a\r\nb\nc',
  'dot dot': '..',
  traversal: '../../../../etc/passwd',
  'dot segments': './a/../b/.',
  slash: '/',
  'leading slash': '/etc/passwd',
  'double slashes': 'a//b///c',
  'back slashes': '..\\..\\windows',
  emoji: '\u{1f600}/\u{1f468}\u200d\u{1f469}\u200d\u{1f467}',
  'beyond the basic plane': '\u{10ffff}',
  'before surrogates in UTF-16, before emoji in UTF-8': '\uff5e',
  'combining characters': 'e\u0301',
  composed: '\u00e9',
  '1,024 bytes': 'x'.repeat(1024),
  '1,024 bytes of emoji': '\u{1f600}'.repeat(256),
  space: ' ',
  __proto__: '__proto__',
  DEL: '\u007f',
  'byte order mark': '\ufeffa',
};

describe('awkward keys', () => {
  it('hold objects like any others, in the order of their bytes', () =>
    withStore({ versioningEnabled: true }, async ({ store, bucket, directory }) => {
      const keys = Object.values(AWKWARD);
      for (const key of keys) await store.put(bucket, key, bodyOf(`content of ${key}`));
      for (const [name, key] of Object.entries(AWKWARD)) {
        const opened = await store.open(bucket, key);
        assert.equal(await readText(opened?.body), `content of ${key}`, name);
        assert.equal(opened?.head.key, key, name);
      }
      const listed = await store.list(bucket, {});
      assert.deepEqual(
        listed.objects.map((head) => head.key),
        keys.toSorted(byBytes),
      );
      const versions = await store.listVersions(bucket, {});
      assert.deepEqual(
        versions.versions.map((head) => head.key),
        keys.toSorted(byBytes),
      );
      const names = await storedFiles(directory);
      assert(names.every((name) => /^[0-9a-f]{32}$/.test(name)));
      assert.equal(names.length, keys.length);
      assert.deepEqual((await readdir(directory)).sort(), ['objects', 'server', 'server.state']);
      assert(!existsSync(`${dirname(directory)}/etc`));
      await store.deleteMany(
        bucket,
        versions.versions.map(({ key, versionId }) => ({ key, versionId })),
        { replica: false },
      );
      assert(store.isEmpty(bucket));
    }));

  for (const [name, key, code] of [
    ['1,025 bytes', 'x'.repeat(1025), 'KeyTooLongError'],
    ['1,026 bytes in 513 characters', 'é'.repeat(513), 'KeyTooLongError'],
    ['empty', '', 'InvalidArgument'],
    ['a lone surrogate', 'a\ud800b', 'InvalidArgument'],
  ] as const) {
    it(`are refused where they cannot be kept: ${name}`, () =>
      withStore({}, async ({ store, bucket }) => {
        // What the first 1,024 bytes name must not answer for the longer key.
        await store.put(bucket, 'x'.repeat(1024), bodyOf(''));
        await rejectsWith(code, store.put(bucket, key, bodyOf('')));
        await rejectsWith(code, store.delete(bucket, { key }, { replica: false }));
        assert.equal(await store.head(bucket, key), null);
        assert.equal(await store.open(bucket, key), null);
        await rejectsWith('NoSuchKey', store.getTags(bucket, key));
      }));
  }

  it('are found by prefixes and markers of any length', () =>
    withStore({}, async ({ store, bucket }) => {
      const longest = 'x'.repeat(1024);
      await store.put(bucket, longest, bodyOf(''));
      await store.put(bucket, 'y', bodyOf(''));
      const keysOf = async (input: object) =>
        (await store.list(bucket, input)).objects.map((head) => head.key);
      assert.deepEqual(await keysOf({ prefix: longest }), [longest]);
      assert.deepEqual(await keysOf({ prefix: `${longest}x` }), []);
      assert.deepEqual(await keysOf({ after: `${longest}x` }), ['y']);
      assert.deepEqual(await keysOf({ after: `${'x'.repeat(1023)}\u0000\u0000` }), [longest, 'y']);
      assert.deepEqual(await keysOf({ after: 'z'.repeat(5000) }), []);
    }));
});

describe('keys in LMDB', () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 });

  it('come back as they were', () => {
    assertProperty(fc.property(text, (key) => assert.equal(lowered(raisedBytes(key)), key)));
  });

  it('sort as their UTF-8 bytes do, also where one begins the other', () => {
    const id = '00000000-0000-4000-8000-000000000000';
    const pair = fc.tuple(text, text).map(([a, b]) => [`x${a}`, `x${a}${b}`, `x${b}`] as const);
    assertProperty(
      fc.property(pair, ([a, ab, b]) => {
        for (const [one, two] of [
          [a, ab],
          [a, b],
          [ab, b],
        ] as const) {
          const order = Math.sign(Buffer.compare(objectKey(id, one), objectKey(id, two)));
          assert.equal(order, Math.sign(byBytes(one, two)));
        }
      }),
    );
  });
});
