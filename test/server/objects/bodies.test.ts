import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { BodyInput, Checksums } from '../../../src/server/objects/types.ts';
import type { ObjectErrorCode } from '../../../src/server/objects/object-error.ts';
import { until } from '../../support/until.ts';
import {
  bodyOf,
  openStore,
  read,
  readText,
  rejectsWith,
  storedFiles,
  stream,
  withDirectory,
  withStore,
} from './object-fixture.ts';

const NINE_DIGITS = '123456789';
/** Check values of the catalogue of parametrised CRC algorithms, and of the hashes, for "123456789". */
const CHECKSUMS: Checksums = {
  crc32: Buffer.from('cbf43926', 'hex').toString('base64'),
  crc32c: Buffer.from('e3069283', 'hex').toString('base64'),
  crc64nvme: Buffer.from('ae8b14860a799888', 'hex').toString('base64'),
  sha1: createHash('sha1').update(NINE_DIGITS).digest('base64'),
  sha256: createHash('sha256').update(NINE_DIGITS).digest('base64'),
};
const MD5 = createHash('md5').update(NINE_DIGITS);
const MD5_BASE64 = MD5.copy().digest('base64');
const SHA256_HEX = createHash('sha256').update(NINE_DIGITS).digest('hex');
const WRONG = 'AAAAAA==';

describe('the digests of a body', () => {
  const accepted: [string, Omit<BodyInput, 'body'>, Checksums][] = [
    ['nothing was said', {}, {}],
    ['length', { expected: { contentLength: 9 } }, {}],
    ['Content-MD5', { expected: { md5: MD5_BASE64 } }, {}],
    ['x-amz-content-sha256', { expected: { sha256: SHA256_HEX } }, {}],
    ['all checksums', { expected: { checksums: CHECKSUMS } }, CHECKSUMS],
    ...Object.entries(CHECKSUMS).map(([name, value]): (typeof accepted)[number] => [
      `a trailer with ${name}`,
      { trailer: { algorithms: [name as 'crc32'], read: () => ({ [name]: value }) } },
      { [name]: value },
    ]),
  ];
  for (const [name, input, checksums] of accepted) {
    it(`accepts and keeps what is right: ${name}`, () =>
      withStore({}, async ({ store, bucket }) => {
        // Odd pieces, so that state is carried from one to the next.
        const pieces = ['1', '', '2345', '6789'].map((piece) => Buffer.from(piece));
        const head = await store.put(bucket, 'key', { ...bodyOf(pieces), ...input });
        assert.equal(head.etag, MD5.copy().digest('hex'));
        assert.equal(head.size, 9);
        assert.deepEqual(head.checksums, checksums);
        assert.equal(await readText((await store.open(bucket, 'key'))?.body), NINE_DIGITS);
      }));
  }

  const refused: [string, Omit<BodyInput, 'body'>, ObjectErrorCode][] = [
    ['longer than announced', { expected: { contentLength: 8 } }, 'IncompleteBody'],
    ['shorter than announced', { expected: { contentLength: 10 } }, 'IncompleteBody'],
    ['Content-MD5', { expected: { md5: WRONG } }, 'BadDigest'],
    ['sha256', { expected: { sha256: '00'.repeat(32) } }, 'XAmzContentSHA256Mismatch'],
    ...Object.keys(CHECKSUMS).map((name): (typeof refused)[number] => [
      name,
      { expected: { checksums: { ...CHECKSUMS, [name]: WRONG } } },
      'BadDigest',
    ]),
    ['missing trailer', { trailer: { algorithms: ['crc32'], read: () => ({}) } }, 'BadDigest'],
    [
      'wrong trailer',
      { trailer: { algorithms: ['crc32'], read: () => ({ crc32: WRONG }) } },
      'BadDigest',
    ],
  ];
  for (const [name, input, code] of refused) {
    it(`refuses and forgets what is wrong: ${name}`, () =>
      withStore({}, async ({ store, bucket, directory }) => {
        await rejectsWith(code, store.put(bucket, 'key', { ...bodyOf(NINE_DIGITS), ...input }));
        assert.equal(await store.head(bucket, 'key'), null);
        assert.deepEqual(await storedFiles(directory), []);
      }));
  }

  it('passes an error of the body on and forgets the bytes before it', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      const broken = new Error('the connection broke');
      const body = (async function* () {
        yield Buffer.alloc(100_000);
        throw broken;
      })();
      const put = store.put(bucket, 'key', bodyOf('', { body }));
      await assert.rejects(put, (error) => error === broken);
      assert.deepEqual(await storedFiles(directory), []);
    }));
});

describe('the files of objects', () => {
  it('has none for an empty object', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      const head = await store.put(bucket, 'key', bodyOf(''));
      assert.deepEqual([head.size, head.etag], [0, 'd41d8cd98f00b204e9800998ecf8427e']);
      assert.equal(await readText((await store.open(bucket, 'key'))?.body), '');
      assert.deepEqual(await storedFiles(directory), []);
    }));

  it('removes the file with the version', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      await store.put(bucket, 'key', bodyOf('one'));
      await store.put(bucket, 'key', bodyOf('two'));
      assert.equal((await storedFiles(directory)).length, 1, 'replaced');
      await store.delete(bucket, { key: 'key' }, { replica: false });
      assert.deepEqual(await storedFiles(directory), [], 'deleted');
    }));

  it('delivers a version whole to whoever opened it before it was removed', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      const content = randomBytes(1_000_000);
      await store.put(bucket, 'key', bodyOf(content));
      const opened = await store.open(bucket, 'key');
      const other = await store.open(bucket, 'key');
      await store.delete(bucket, { key: 'key' }, { replica: false });
      assert.equal(await store.open(bucket, 'key'), null);
      assert.deepEqual(await read(opened?.body), content);
      other?.body?.destroy();
      await until(async () => (await storedFiles(directory)).length === 0, 'the file to go');
    }));

  it('keeps a copy when the source goes, and shares no bytes with it', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      await store.put(bucket, 'a', bodyOf('content', { tags: { colour: 'red' } }));
      const source = { bucket, key: 'a' };
      const { head } = await store.copy(bucket, 'b', { source, replica: false });
      await store.delete(bucket, { key: 'a' }, { replica: false });
      assert.equal(await readText((await store.open(bucket, 'b'))?.body), 'content');
      assert.deepEqual(head.tags, { colour: 'red' });
      assert.equal((await storedFiles(directory)).length, 1);
    }));

  it('copies an object onto itself with other metadata', () =>
    withStore({}, async ({ store, bucket, directory }) => {
      await store.put(bucket, 'a', bodyOf('content'));
      const metadata = {
        systemHeaders: { 'content-type': 'text/plain' },
        userMetadata: { x: 'y' },
      };
      await store.copy(bucket, 'a', { source: { bucket, key: 'a' }, metadata, replica: false });
      const opened = await store.open(bucket, 'a');
      assert.equal(await readText(opened?.body), 'content');
      assert.deepEqual(opened?.head.userMetadata, { x: 'y' });
      assert.deepEqual(opened?.head.systemHeaders, { 'content-type': 'text/plain' });
      assert.equal((await storedFiles(directory)).length, 1);
    }));

  it('keeps metadata under names that objects of the language have', () =>
    withStore({}, async ({ store, bucket }) => {
      const userMetadata = Object.fromEntries([
        ['__proto__', 'a'],
        ['constructor', 'b'],
      ]);
      await store.put(bucket, 'key', bodyOf('', { userMetadata }));
      const head = await store.head(bucket, 'key');
      assert.deepEqual(Object.entries(head!.userMetadata), Object.entries(userMetadata));
    }));
});

describe('ranges', () => {
  const content = Buffer.from('0123456789');
  const rows: [string, { start: number; end: number }, string | null][] = [
    ['the first byte', { start: 0, end: 0 }, '0'],
    ['the middle', { start: 3, end: 5 }, '345'],
    ['the last byte', { start: 9, end: 9 }, '9'],
    ['past the end', { start: 8, end: 100 }, '89'],
    ['beyond the end', { start: 10, end: 12 }, null],
    ['backwards', { start: 5, end: 4 }, null],
  ];
  for (const [name, range, expected] of rows) {
    it(name, () =>
      withStore({}, async ({ store, bucket }) => {
        await store.put(bucket, 'key', bodyOf(content));
        const open = store.open(bucket, 'key', { select: () => range });
        if (expected === null) {
          await rejectsWith('InvalidRange', open);
          return;
        }
        const opened = await open;
        assert.equal(await readText(opened?.body), expected);
        assert.equal(opened!.range!.end - opened!.range!.start + 1, expected.length);
        const byHost = await store.openObject({ bucket, key: 'key', versionId: 'null' }, range);
        assert.equal(await readText(byHost?.body), expected);
      }),
    );
  }
});

describe('a start', () => {
  it('sweeps what no record names, and nothing else', () =>
    withDirectory(async (directory) => {
      const first = await openStore(directory);
      const bucket = await first.buckets.create({
        name: 'photos',
        ownerId: 'somebody',
        versioningEnabled: false,
      });
      await first.store.put(bucket, 'kept', bodyOf('kept'));
      let announced = false;
      const never = new Promise<never>(() => undefined);
      first.store.replicateThrough({
        announce: () => {
          announced = true;
          return never;
        },
      });
      void first.store.put(bucket, 'lost', bodyOf('whole, but without a record'));
      await until(() => announced, 'the body to be on disk');
      assert.equal((await storedFiles(directory)).length, 2);
      await writeFile(join(directory, 'objects', 'incoming', 'ab'.repeat(16)), 'half');
      await first.close();

      const second = await openStore(directory);
      assert.equal((await storedFiles(directory)).length, 1);
      assert.equal(await readText((await second.store.open(bucket, 'kept'))?.body), 'kept');
      assert.equal(await second.store.head(bucket, 'lost'), null);
      await second.close();
    }));
});

describe('a put into a bucket that does not exist', () => {
  it('reads nothing of the body', () =>
    withStore({}, async ({ store }) => {
      const nowhere = { id: '00000000-0000-4000-8000-000000000000', name: 'nowhere' };
      const body = stream([Buffer.from('x')]);
      await rejectsWith('NoSuchBucket', store.put(nowhere, 'key', bodyOf('', { body })));
      assert.deepEqual(await body.next(), { done: false, value: Buffer.from('x') });
    }));
});
