import { strict as assert } from 'node:assert';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { ObjectErrorCode } from '../../../src/server/objects/object-error.ts';
import type { CompletedPart } from '../../../src/server/objects/types.ts';
import {
  bodyOf,
  openStore,
  read,
  recorder,
  rejectsWith,
  storedFiles,
  stream,
  withDirectory,
  withStore,
  type Fixture,
} from './object-fixture.ts';

const MINIMUM = 5 * 1024 * 1024;
const NEW_UPLOAD = { systemHeaders: {}, userMetadata: {}, tags: {}, replica: false };

interface Started {
  readonly uploadId: string;
  readonly parts: readonly { partNumber: number; etag: string; content: Buffer }[];
}

async function upload(
  { store, bucket }: Pick<Fixture, 'store' | 'bucket'>,
  sizes: Readonly<Record<number, number>>,
): Promise<Started> {
  const { uploadId } = await store.createUpload(bucket, 'key', {
    ...NEW_UPLOAD,
    systemHeaders: { 'content-type': 'video/mp4' },
    userMetadata: { camera: 'left' },
    tags: { colour: 'red' },
  });
  const parts = [];
  for (const [number, size] of Object.entries(sizes)) {
    const content = randomBytes(size);
    const partNumber = Number(number);
    const body = stream([content]);
    const { etag } = await store.uploadPart(bucket, 'key', uploadId, partNumber, { body });
    parts.push({ partNumber, etag, content });
  }
  return { uploadId, parts };
}

describe('a completed upload', () => {
  it('is the parts in order, with the composite ETag and what create was given', () =>
    withStore({ versioningEnabled: true }, async (fixture) => {
      const { store, bucket, directory } = fixture;
      const { uploadId, parts } = await upload(fixture, { 1: MINIMUM, 3: MINIMUM + 1, 10000: 7 });
      const whole = Buffer.concat(parts.map(({ content }) => content));
      const head = await store.completeUpload(bucket, 'key', uploadId, { parts });
      const md5s = Buffer.concat(parts.map(({ etag }) => Buffer.from(etag, 'hex')));
      assert.equal(head.etag, `${createHash('md5').update(md5s).digest('hex')}-3`);
      assert.equal(head.size, whole.length);
      assert.deepEqual(head.systemHeaders, { 'content-type': 'video/mp4' });
      assert.deepEqual(head.userMetadata, { camera: 'left' });
      assert.deepEqual(head.tags, { colour: 'red' });
      assert((await read((await store.open(bucket, 'key'))?.body)).equals(whole));
      await rejectsWith('NoSuchUpload', store.completeUpload(bucket, 'key', uploadId, { parts }));

      // Ranges within, at the edges of, and across the files.
      const ranges = [
        [0, 0],
        [MINIMUM - 1, MINIMUM],
        [MINIMUM, 2 * MINIMUM],
        [MINIMUM - 5, 2 * MINIMUM + 3],
        [2 * MINIMUM + 1, 2 * MINIMUM + 7],
        [2 * MINIMUM + 7, 2 * MINIMUM + 7],
      ] as const;
      for (const [start, end] of ranges) {
        const opened = await store.open(bucket, 'key', { select: () => ({ start, end }) });
        const bytes = await read(opened?.body);
        assert(bytes.equals(whole.subarray(start, end + 1)), `${start}-${end}`);
      }

      const source = { bucket, key: 'key' };
      const copy = await store.copy(bucket, 'copy', { source, replica: false });
      await store.delete(bucket, { key: 'key', versionId: head.versionId }, { replica: false });
      assert.equal((await storedFiles(directory)).length, 3, 'only the files of the copy are left');
      assert((await read((await store.open(bucket, 'copy'))?.body)).equals(whole));
      const { versionId } = copy.head;
      await store.delete(bucket, { key: 'copy', versionId }, { replica: false });
      assert.deepEqual(await storedFiles(directory), []);
    }));

  it('leaves out parts that were not chosen, and what was uploaded again', () =>
    withStore({}, async (fixture) => {
      const { store, bucket, directory } = fixture;
      const { uploadId, parts } = await upload(fixture, { 1: 10, 2: 20 });
      const again = Buffer.from('again');
      const body = stream([again]);
      const { etag } = await store.uploadPart(bucket, 'key', uploadId, 2, { body });
      const stale = store.completeUpload(bucket, 'key', uploadId, { parts: [parts[1]!] });
      await rejectsWith('InvalidPart', stale);
      const chosen = [{ partNumber: 2, etag }];
      await store.completeUpload(bucket, 'key', uploadId, { parts: chosen });
      assert((await read((await store.open(bucket, 'key'))?.body)).equals(again));
      assert.equal((await storedFiles(directory)).length, 1);
    }));

  it('can be one empty part', () =>
    withStore({}, async (fixture) => {
      const { store, bucket } = fixture;
      const { uploadId, parts } = await upload(fixture, { 1: 0 });
      const head = await store.completeUpload(bucket, 'key', uploadId, { parts });
      assert.equal(head.size, 0);
      assert.equal((await read((await store.open(bucket, 'key'))?.body)).length, 0);
    }));

  it('is announced as one put', () =>
    withStore({}, async (fixture) => {
      const { store, bucket } = fixture;
      const { calls, announce } = recorder();
      store.replicateThrough({ announce });
      const { uploadId, parts } = await upload(fixture, { 10000: 3 });
      const head = await store.completeUpload(bucket, 'key', uploadId, { parts });
      assert.equal(calls.length, 1);
      const { order, versionId } = head;
      const ref = { id: bucket.id, name: bucket.name };
      assert.deepEqual(calls[0]?.outcome, [
        { bucket: ref, key: 'key', operation: 'put', versionId, order, replica: false },
      ]);
    }));
});

describe('an upload that cannot be completed', () => {
  type Choose = (parts: Started['parts']) => readonly CompletedPart[];
  const rows: [string, Record<number, number>, Choose, ObjectErrorCode][] = [
    ['no parts', { 1: 1 }, () => [], 'InvalidPart'],
    ['a small part in the middle', { 1: MINIMUM - 1, 2: 1 }, (parts) => parts, 'EntityTooSmall'],
    ['descending', { 1: 1, 2: 1 }, (parts) => parts.toReversed(), 'InvalidPartOrder'],
    ['twice', { 1: 1 }, (parts) => [parts[0]!, parts[0]!], 'InvalidPartOrder'],
    ['unknown part', { 1: 1 }, ([part]) => [{ ...part!, partNumber: 2 }], 'InvalidPart'],
    ['part number 0', { 1: 1 }, ([part]) => [{ ...part!, partNumber: 0 }], 'InvalidPartOrder'],
    ['huge part number', { 1: 1 }, ([part]) => [{ ...part!, partNumber: 70_000 }], 'InvalidPart'],
    ['wrong ETag', { 1: 1 }, ([part]) => [{ ...part!, etag: '0'.repeat(32) }], 'InvalidPart'],
  ];
  for (const [name, sizes, choose, code] of rows) {
    it(`stays open and intact: ${name}`, () =>
      withStore({}, async (fixture) => {
        const { store, bucket } = fixture;
        const { uploadId, parts } = await upload(fixture, sizes);
        const completion = { parts: choose(parts) };
        await rejectsWith(code, store.completeUpload(bucket, 'key', uploadId, completion));
        assert.equal(await store.head(bucket, 'key'), null);
        const listed = await store.listParts(bucket, 'key', uploadId, {});
        assert.equal(listed.parts.length, parts.length);
      }));
  }

  it('stays open when the replication refuses it', () =>
    withStore({}, async (fixture) => {
      const { store, bucket } = fixture;
      const { uploadId, parts } = await upload(fixture, { 1: 1 });
      let refuse = true;
      const { announce } = recorder();
      store.replicateThrough({
        announce: async (writes) => {
          if (refuse) throw new Error('full');
          return await announce(writes);
        },
      });
      const completion = { parts };
      await rejectsWith(
        'ServiceUnavailable',
        store.completeUpload(bucket, 'key', uploadId, completion),
      );
      refuse = false;
      await store.completeUpload(bucket, 'key', uploadId, completion);
    }));
});

describe('parts', () => {
  for (const partNumber of [0, 10_001, 1.5, Number.NaN]) {
    it(`have numbers from 1 to 10,000, not ${partNumber}`, () =>
      withStore({}, async (fixture) => {
        const { store, bucket } = fixture;
        const { uploadId } = await upload(fixture, {});
        const part = store.uploadPart(bucket, 'key', uploadId, partNumber, { body: stream([]) });
        await rejectsWith('InvalidArgument', part);
      }));
  }

  it('are verified like objects', () =>
    withStore({}, async (fixture) => {
      const { store, bucket, directory } = fixture;
      const { uploadId } = await upload(fixture, {});
      const input = { body: stream([Buffer.from('x')]), expected: { md5: 'AAAA' } };
      await rejectsWith('BadDigest', store.uploadPart(bucket, 'key', uploadId, 1, input));
      assert.deepEqual(await storedFiles(directory), []);
    }));

  it('are found only under their own key and upload', () =>
    withStore({}, async (fixture) => {
      const { store, bucket } = fixture;
      const { uploadId } = await upload(fixture, {});
      const body = () => ({ body: stream([Buffer.from('x')]) });
      await rejectsWith('NoSuchUpload', store.uploadPart(bucket, 'other', uploadId, 1, body()));
      await rejectsWith('NoSuchUpload', store.uploadPart(bucket, 'key', 'nonsense', 1, body()));
      await rejectsWith('NoSuchUpload', store.abortUpload(bucket, 'other', uploadId));
      await rejectsWith('NoSuchUpload', store.listParts(bucket, 'other', uploadId, {}));
    }));

  it('are copied from ranges of objects', () =>
    withStore({}, async (fixture) => {
      const { store, bucket } = fixture;
      await store.put(bucket, 'source', bodyOf('0123456789'));
      const { uploadId } = await upload(fixture, {});
      const source = { bucket, key: 'source' };
      const copy = (input: object) =>
        store.uploadPartCopy(bucket, 'key', uploadId, 1, { source, ...input });
      await rejectsWith('InvalidRange', copy({ range: { start: 5, end: 10 } }));
      const { etag } = await copy({ range: { start: 2, end: 4 } });
      await store.completeUpload(bucket, 'key', uploadId, { parts: [{ partNumber: 1, etag }] });
      assert.equal((await read((await store.open(bucket, 'key'))?.body)).toString(), '234');
    }));

  it('are listed in pages', () =>
    withStore({}, async (fixture) => {
      const { store, bucket } = fixture;
      const { uploadId } = await upload(fixture, { 1: 1, 2: 0, 300: 2 });
      const page = (partNumberMarker: number) =>
        store.listParts(bucket, 'key', uploadId, { partNumberMarker, maxParts: 2 });
      const first = await page(0);
      assert.deepEqual(
        [first.parts.map(({ partNumber, size }) => [partNumber, size]), first.next],
        [
          [
            [1, 1],
            [2, 0],
          ],
          2,
        ],
      );
      const second = await page(2);
      assert.deepEqual(
        [second.parts.map((part) => part.partNumber), second.next],
        [[300], undefined],
      );
      assert.deepEqual((await page(300)).parts, []);
    }));
});

describe('uploads', () => {
  it('are listed by key, then by age, in pages and rolled up', () =>
    withStore({}, async ({ store, bucket }) => {
      const made: [string, string][] = [];
      for (const key of ['a', 'a', 'b/1', 'b/2', 'c']) {
        made.push([key, (await store.createUpload(bucket, key, NEW_UPLOAD)).uploadId]);
      }
      const listed: [string, string][] = [];
      let next: { key: string; uploadId?: string } | undefined = { key: '' };
      while (next !== undefined) {
        const marker: object = next.uploadId === undefined ? {} : { uploadIdMarker: next.uploadId };
        const input = { keyMarker: next.key, maxUploads: 1, ...marker };
        const page = await store.listUploads(bucket, input);
        for (const { key, uploadId } of page.uploads) listed.push([key, uploadId]);
        next = page.next;
      }
      assert.deepEqual(listed, made);
      const rolled = await store.listUploads(bucket, { delimiter: '/' });
      assert.deepEqual(rolled.commonPrefixes, ['b/']);
      assert.deepEqual(
        rolled.uploads.map(({ key }) => key),
        ['a', 'a', 'c'],
      );
    }));

  it('leave nothing when they are aborted', () =>
    withStore({}, async (fixture) => {
      const { store, bucket, directory } = fixture;
      const { uploadId } = await upload(fixture, { 1: 10, 2: 0, 3: 10 });
      await store.abortUpload(bucket, 'key', uploadId);
      await rejectsWith('NoSuchUpload', store.listParts(bucket, 'key', uploadId, {}));
      assert.deepEqual(await storedFiles(directory), []);
      assert.deepEqual((await store.listUploads(bucket, {})).uploads, []);
    }));

  it('do not keep a bucket from being removed, and go with it', () =>
    withStore({}, async (fixture) => {
      const { store, bucket, buckets, directory } = fixture;
      const other = await buckets.create({
        name: 'other',
        ownerId: 'somebody',
        versioningEnabled: false,
      });
      const kept = await store.createUpload(other, 'key', NEW_UPLOAD);
      await upload(fixture, { 1: 10 });
      await upload(fixture, { 1: 10 });
      await buckets.remove(bucket.name, () => assert(store.isEmpty(bucket)));
      await store.dropUploads(bucket);
      assert.deepEqual(await storedFiles(directory), []);
      const uploads = (await store.listUploads(other, {})).uploads;
      assert.deepEqual(
        uploads.map(({ uploadId }) => uploadId),
        [kept.uploadId],
      );
    }));

  it('of a removed bucket are dropped by the next start, where a crash kept them', () =>
    withDirectory(async (directory) => {
      const first = await openStore(directory);
      const create = (name: string) =>
        first.buckets.create({ name, ownerId: 'somebody', versioningEnabled: false });
      const [bucket, other] = [await create('photos'), await create('other')];
      await upload({ store: first.store, bucket }, { 1: 10 });
      const kept = await upload({ store: first.store, bucket: other }, { 1: 10 });
      await first.buckets.remove('photos', () => undefined);
      await first.close();
      const second = await openStore(directory);
      assert.equal((await storedFiles(directory)).length, 1);
      const { parts } = await second.store.listParts(other, 'key', kept.uploadId, {});
      assert.equal(parts.length, 1);
      await second.close();
    }));
});
