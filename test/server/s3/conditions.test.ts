import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoredHead } from '../../../src/server/objects/types.ts';
import {
  checkCopyConditions,
  checkReadConditions,
  parseCopyRange,
  selectRange,
} from '../../../src/server/s3/conditions.ts';
import { S3Error } from '../../../src/server/s3/errors.ts';

const MODIFIED = Date.UTC(2024, 0, 2, 3, 4, 5, 678);
const SAME = new Date(MODIFIED).toUTCString();
const BEFORE = new Date(MODIFIED - 60_000).toUTCString();
const AFTER = new Date(MODIFIED + 60_000).toUTCString();

const head: StoredHead = {
  key: 'k',
  versionId: 'null',
  order: 1,
  deleteMarker: false,
  replica: false,
  replicates: false,
  size: 10,
  etag: 'abc',
  lastModified: MODIFIED,
  systemHeaders: {},
  userMetadata: {},
  tags: {},
  checksums: {},
};

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

describe('conditions of a read', () => {
  const cases: [Record<string, string>, string][] = [
    [{}, 'none'],
    [{ 'if-match': '"abc"' }, 'none'],
    [{ 'if-match': 'abc' }, 'none'],
    [{ 'if-match': '"x", "abc"' }, 'none'],
    [{ 'if-match': '*' }, 'none'],
    [{ 'if-match': '"x"' }, 'PreconditionFailed'],
    [{ 'if-none-match': '"abc"' }, 'NotModified'],
    [{ 'if-none-match': 'W/"abc"' }, 'NotModified'],
    [{ 'if-none-match': '*' }, 'NotModified'],
    [{ 'if-none-match': '"x"' }, 'none'],
    [{ 'if-modified-since': BEFORE }, 'none'],
    [{ 'if-modified-since': SAME }, 'NotModified'],
    [{ 'if-modified-since': AFTER }, 'NotModified'],
    [{ 'if-modified-since': 'nonsense' }, 'none'],
    [{ 'if-unmodified-since': BEFORE }, 'PreconditionFailed'],
    [{ 'if-unmodified-since': SAME }, 'none'],
    [{ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }, 'none'],
    [{ 'if-none-match': '"x"', 'if-modified-since': AFTER }, 'none'],
    [{ 'if-match': '"x"', 'if-none-match': '"abc"' }, 'PreconditionFailed'],
  ];
  for (const [headers, code] of cases) {
    it(`${JSON.stringify(headers)}: ${code}`, () => {
      assert.equal(
        codeOf(() => checkReadConditions(headers, head)),
        code,
      );
      const forCopy = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [`x-amz-copy-source-${name}`, value]),
      );
      const expected = code === 'NotModified' ? 'PreconditionFailed' : code;
      assert.equal(
        codeOf(() => checkCopyConditions(forCopy, head)),
        expected,
      );
      assert.equal(
        codeOf(() => checkReadConditions(forCopy, head)),
        'none',
      );
    });
  }
});

describe('selectRange', () => {
  const cases: [string | undefined, number, string][] = [
    [undefined, 10, 'all'],
    ['bytes=0-0', 10, '0-0'],
    ['bytes=2-5', 10, '2-5'],
    ['bytes=2-', 10, '2-9'],
    ['bytes=2-100', 10, '2-9'],
    ['bytes=-3', 10, '7-9'],
    ['bytes=-100', 10, '0-9'],
    ['bytes=9-', 10, '9-9'],
    ['bytes=10-', 10, 'InvalidRange'],
    ['bytes=10-20', 10, 'InvalidRange'],
    ['bytes=-0', 10, 'InvalidRange'],
    ['bytes=0-', 0, 'InvalidRange'],
    ['bytes=-1', 0, 'InvalidRange'],
    ['bytes=5-2', 10, 'all'],
    ['bytes=0-1,3-4', 10, 'all'],
    ['bytes=-', 10, 'all'],
    ['bytes=a-b', 10, 'all'],
    ['items=0-1', 10, 'all'],
  ];
  for (const [header, size, expected] of cases) {
    it(`${header} of ${size} bytes: ${expected}`, () => {
      const actual = (): string => {
        const range = selectRange(header, size);
        return range === undefined ? 'all' : `${range.start}-${range.end}`;
      };
      const code = codeOf(actual);
      assert.equal(code === 'none' ? actual() : code, expected);
    });
  }

  it('reads the one form that a copied part has', () => {
    assert.deepEqual(parseCopyRange('bytes=0-9'), { start: 0, end: 9 });
    for (const bad of ['bytes=0-', 'bytes=-9', 'bytes=9-0', '0-9']) {
      assert.equal(
        codeOf(() => parseCopyRange(bad)),
        'InvalidArgument',
      );
    }
  });
});
