import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  compareObjects,
  OBJECT_BYTES_MAX,
  partRange,
  PARTS_MAX,
  planTransfer,
  predictMultipartEtag,
  type ComparedHead,
  type ComparedObject,
  type TransferPlan,
} from '../../src/model/transfer-plan.ts';
import { assertProperty } from '../support/seed.ts';

const MIB = 1024 * 1024;

describe('a transfer plan', () => {
  const cases: [name: string, size: number, plan: TransferPlan][] = [
    ['nothing', 0, { kind: 'single' }],
    ['8 MiB', 8 * MIB, { kind: 'single' }],
    ['a byte more', 8 * MIB + 1, { kind: 'multipart', partBytes: 8 * MIB, partCount: 2 }],
    ['16 MiB', 16 * MIB, { kind: 'multipart', partBytes: 8 * MIB, partCount: 2 }],
    [
      '10,000 parts of 8 MiB',
      80_000 * MIB,
      { kind: 'multipart', partBytes: 8 * MIB, partCount: 10_000 },
    ],
    [
      'a byte more than that',
      80_000 * MIB + 1,
      { kind: 'multipart', partBytes: 9 * MIB, partCount: 8_889 },
    ],
    ['5 TiB', OBJECT_BYTES_MAX, { kind: 'multipart', partBytes: 525 * MIB, partCount: 9_987 }],
    ['more than S3 stores', OBJECT_BYTES_MAX + 1, { kind: 'tooLarge' }],
  ];
  for (const [name, size, plan] of cases) {
    it(`for ${name}`, () => assert.deepEqual(planTransfer(size), plan));
  }

  it('covers every byte once, in parts that S3 accepts', () => {
    assertProperty(
      fc.property(fc.integer({ min: 8 * MIB + 1, max: OBJECT_BYTES_MAX }), (size) => {
        const plan = planTransfer(size);
        assert.ok(plan.kind === 'multipart');
        const { partBytes, partCount } = plan;
        assert.ok(partCount <= PARTS_MAX && partBytes >= 8 * MIB && partBytes % MIB === 0);
        assert.ok(partBytes <= 5 * 1024 * MIB);
        const last = partRange(size, partBytes, partCount);
        assert.equal(partRange(size, partBytes, 1).start, 0);
        assert.equal(partRange(size, partBytes, partCount - 1).end + 1, last.start);
        assert.equal(last.end + 1, size);
        assert.ok(last.size >= 1 && last.size <= partBytes);
        assert.equal(last.end - last.start + 1, last.size);
      }),
    );
  });

  it('predicts the ETag of a multipart upload', () => {
    const md5s = ['a', 'b'].map((text) => createHash('md5').update(text).digest());
    // hashlib.md5(hashlib.md5(b'a').digest() + hashlib.md5(b'b').digest()) in Python.
    assert.equal(predictMultipartEtag(md5s), '96e024ba2074fe77e8e965ba43a704be-2');
    assert.match(predictMultipartEtag(md5s.slice(0, 1)), /^[0-9a-f]{32}-1$/);
  });
});

describe('an object at the target', () => {
  const ETAG = '0123456789abcdef0123456789abcdef';
  const object: ComparedObject = {
    size: 12,
    systemHeaders: { 'content-type': 'text/plain', 'cache-control': 'no-cache' },
    userMetadata: { a: 'b', empty: '' },
    tags: {},
  };
  const head: ComparedHead = {
    exists: true,
    etag: ETAG,
    size: 12,
    systemHeaders: object.systemHeaders,
    userMetadata: object.userMetadata,
    tagCount: 0,
  };
  const bare: ComparedObject = { ...object, systemHeaders: {} };

  const cases: [
    name: string,
    same: boolean | 'tags',
    head: Parameters<typeof compareObjects>[0],
    object?: ComparedObject,
  ][] = [
    ['equal in everything', true, head],
    ['with an ETag in upper case', true, { ...head, etag: ETAG.toUpperCase() }],
    ['with blanks around a value', true, { ...head, userMetadata: { a: ' b ', empty: '' } }],
    [
      'whose metadata was sent as it is signed',
      true,
      { ...head, userMetadata: { a: 'b c', empty: '' } },
      { ...object, userMetadata: { a: ' b \t c ', empty: '  ' } },
    ],
    [
      'whose value ends with another byte',
      false,
      { ...head, userMetadata: { a: 'b\xa0', empty: '' } },
    ],
    ['that keeps its count of tags to itself', 'tags', { ...head, tagCount: null }],
    ['that is missing', false, { exists: false }],
    ['of another size', false, { ...head, size: 13 }],
    ['of unknown size', false, { ...head, size: null }],
    ['with another ETag', false, { ...head, etag: `${ETAG}-1` }],
    ['without an ETag', false, { ...head, etag: null }],
    [
      'of another type',
      false,
      { ...head, systemHeaders: { ...head.systemHeaders, 'content-type': 'text/html' } },
    ],
    ['without a header', false, { ...head, systemHeaders: { 'content-type': 'text/plain' } }],
    [
      'with a header more',
      false,
      { ...head, systemHeaders: { ...head.systemHeaders, expires: 'x' } },
    ],
    ['without metadata', false, { ...head, userMetadata: {} }],
    ['with metadata more', false, { ...head, userMetadata: { ...head.userMetadata, c: 'd' } }],
    ['with other metadata', false, { ...head, userMetadata: { a: 'c', empty: '' } }],
    ['with metadata of another name', false, { ...head, userMetadata: { a: 'b', toString: '' } }],
    ['that counts tags', 'tags', { ...head, tagCount: 1 }],
    ['of an object with tags', 'tags', { ...head, tagCount: 1 }, { ...object, tags: { a: 'b' } }],
    ['that counts tags, of other metadata', false, { ...head, tagCount: 1, userMetadata: {} }],
    ['of an object without a type', true, { ...head, systemHeaders: {} }, bare],
    [
      'with S3’s default type',
      true,
      { ...head, systemHeaders: { 'content-type': 'binary/octet-stream' } },
      bare,
    ],
    [
      'with the usual default type',
      true,
      { ...head, systemHeaders: { 'content-type': 'application/octet-stream' } },
      bare,
    ],
    [
      'with a type that it was not sent',
      false,
      { ...head, systemHeaders: { 'content-type': 'text/plain' } },
      bare,
    ],
  ];
  for (const [name, same, remote, local = object] of cases) {
    const sameness = same === 'tags' ? 'tags' : same ? 'same' : 'different';
    it(`${name} is ${sameness}`, () => {
      assert.equal(compareObjects(remote, local, ETAG), sameness);
    });
  }
});
