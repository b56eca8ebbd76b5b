import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { S3Error } from '../../../src/server/s3/errors.ts';
import { encodePath, encodePercent } from '../../../src/server/s3/percent-encoding.ts';
import { parseRequestTarget } from '../../../src/server/s3/request-target.ts';
import { findOperation } from '../../../src/server/s3/routes.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
}

describe('parseRequestTarget', () => {
  const paths: Record<string, [string, string, string]> = {
    'the service': ['/', '', ''],
    'a bucket': ['/bucket', 'bucket', ''],
    'a bucket with a slash': ['/bucket/', 'bucket', ''],
    'a key with slashes': ['/bucket/a/b//c/', 'bucket', 'a/b//c/'],
    'dots, which are part of the key': ['/bucket/../other/./x', 'bucket', '../other/./x'],
    'an escaped slash in a key': ['/bucket/a%2Fb', 'bucket', 'a/b'],
    'an escaped slash in a bucket, which stays in the bucket': ['/a%2Fb/c', 'a/b', 'c'],
    'escapes that are decoded once': ['/bucket/%2525', 'bucket', '%25'],
    'a plus sign in a path': ['/bucket/a+b', 'bucket', 'a+b'],
    'NUL, which is a character of UTF-8': ['/bucket/a%00b', 'bucket', 'a\0b'],
    'UTF-8': ['/bucket/%C3%A9%F0%9F%98%80', 'bucket', 'é😀'],
    'an empty bucket with a key': ['//key', '', 'key'],
  };
  for (const [name, [url, bucket, key]] of Object.entries(paths)) {
    it(`reads ${name}`, () => {
      const target = parseRequestTarget(url);
      assert.deepEqual([target.bucket, target.key], [bucket, key]);
    });
  }

  it('reads a query: values, names alone, plus signs, repeated names', () => {
    const { query } = parseRequestTarget('/b?a=1+2&b&c=%2B=&a=2&&d=');
    assert.deepEqual(query.pairs, [
      ['a', '1 2'],
      ['b', ''],
      ['c', '+='],
      ['a', '2'],
      ['d', ''],
    ]);
    assert.equal(query.get('a'), '1 2');
    assert.equal(query.get('toString'), undefined);
  });

  const bad: Record<string, [string, string]> = {
    'a bare percent sign': ['/bucket/100%', 'InvalidURI'],
    'an escape that is not hex': ['/bucket/%zz', 'InvalidURI'],
    'bytes that are not UTF-8': ['/bucket/%ff', 'InvalidURI'],
    'an overlong encoding': ['/bucket/%c0%af', 'InvalidURI'],
    'a surrogate': ['/bucket/%ed%a0%80', 'InvalidURI'],
    'raw bytes beyond ASCII': ['/bucket/\xe9', 'InvalidURI'],
    'another form of target': ['http://host/bucket', 'InvalidURI'],
    'an asterisk': ['*', 'InvalidURI'],
    'a broken query': ['/bucket?a=%', 'InvalidURI'],
    'a key of 1,025 bytes': [`/bucket/${'a'.repeat(1025)}`, 'KeyTooLongError'],
    'a key of 513 characters and 1,026 bytes': [
      `/bucket/${'%C3%A9'.repeat(513)}`,
      'KeyTooLongError',
    ],
  };
  for (const [name, [url, code]] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      assert.equal(
        codeOf(() => parseRequestTarget(url)),
        code,
      );
    });
  }

  it('accepts a key of 1,024 bytes', () => {
    assert.equal(parseRequestTarget(`/bucket/${'%C3%A9'.repeat(512)}`).key.length, 512);
  });
});

describe('encodePercent', () => {
  it('leaves only unreserved characters', () => {
    assert.equal(encodePercent("aZ09-._~ !*'()/+é"), 'aZ09-._~%20%21%2A%27%28%29%2F%2B%C3%A9');
    assert.equal(encodePath('/a b//../c'), '/a%20b//../c');
  });
});

describe('findOperation', () => {
  const find = (method: string, url: string, copies = false): string =>
    findOperation(method, parseRequestTarget(url), copies).name;

  const known: [string, string, string][] = [
    ['GET', '/', 'listBuckets'],
    ['GET', '/b', 'listObjects'],
    ['GET', '/b?list-type=2&prefix=x&x-id=ListObjectsV2', 'listObjectsV2'],
    ['GET', '/b?versions&prefix=', 'listObjectVersions'],
    ['POST', '/b?delete', 'deleteObjects'],
    ['GET', '/b/k?versionId=1&response-content-type=a', 'getObject'],
    ['PUT', '/b/k?tagging', 'putObjectTagging'],
    ['PUT', '/b/k?partNumber=1&uploadId=x', 'uploadPart'],
    ['POST', '/b/k?uploads', 'createUpload'],
    ['DELETE', '/b/k?uploadId=x', 'abortUpload'],
    ['GET', '/b?replication', 'bucketReplication'],
  ];
  for (const [method, url, name] of known) {
    it(`${method} ${url} is ${name}`, () => {
      assert.equal(find(method, url), name);
    });
  }

  it('tells copies by their header', () => {
    assert.equal(find('PUT', '/b/k', true), 'copyObject');
    assert.equal(find('PUT', '/b/k?uploadId=x&partNumber=1', true), 'uploadPartCopy');
  });

  const unknown: [string, string, string][] = [
    ['GET', '/b?acl', 'NotImplemented'],
    ['GET', '/b/k?acl', 'NotImplemented'],
    ['PUT', '/b/k?retention', 'NotImplemented'],
    ['DELETE', '/b?lifecycle', 'NotImplemented'],
    ['DELETE', '/b/k?versionId=1&acl', 'NotImplemented'],
    ['POST', '/b', 'NotImplemented'],
    ['POST', '/b/k', 'NotImplemented'],
    ['PUT', '/', 'NotImplemented'],
    ['GET', '/b/k?partNumber=1', 'NotImplemented'],
    ['PATCH', '/b/k', 'MethodNotAllowed'],
    ['PROPFIND', '/b', 'MethodNotAllowed'],
  ];
  for (const [method, url, code] of unknown) {
    it(`${method} ${url} is ${code}`, () => {
      assert.equal(
        codeOf(() => find(method, url)),
        code,
      );
    });
  }
});
