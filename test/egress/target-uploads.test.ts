import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failureOf, openClient, valueOf } from './open-client.ts';
import { startHttpTarget, errorXml } from '../support/scripted-target.ts';

const DATE = 'Tue, 01 Dec 2026 10:00:00 GMT';

function upload(key: string, id: string, initiated = '2026-12-01T09:59:58.000Z'): string {
  return `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
}

function page(inner: string, { truncated = 'false', encoded = false } = {}): string {
  const encoding = encoded ? '<EncodingType>url</EncodingType>' : '';
  return `<?xml version="1.0"?>\n<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${encoding}<IsTruncated>${truncated}</IsTruncated>${inner}</ListMultipartUploadsResult>`;
}

describe('ListMultipartUploads', () => {
  const cases: [name: string, key: string, body: string, ids: string[], complete: boolean][] = [
    ['none', 'a', page(''), [], true],
    [
      'those of the key alone',
      'a',
      page(upload('a', '1') + upload('ab', '2') + upload('a', '3')),
      ['1', '3'],
      true,
    ],
    ['a page of several', 'a', page(upload('a', '1'), { truncated: 'true' }), ['1'], false],
    [
      'one that does not say whether it is all',
      'a',
      page(upload('a', '1')).replace(/<IsTruncated>.*<\/IsTruncated>/, ''),
      ['1'],
      false,
    ],
    [
      'more than is read',
      'a',
      page(upload('a', '1') + upload('b'.repeat(70_000), '2')),
      ['1'],
      false,
    ],
    ['an id that is none', 'a', page(upload('a', 'x y') + upload('a', '2')), ['2'], false],
    ['a blank as %20', 'a b+c', page(upload('a%20b%2Bc', '1'), { encoded: true }), ['1'], true],
    ['a blank as a plus', 'ü b', page(upload('%C3%BC+b', '1'), { encoded: true }), ['1'], true],
    [
      'control characters',
      'a\r\n\x01',
      page(upload('a%0D%0A%01', '1'), { encoded: true }),
      ['1'],
      true,
    ],
    [
      'keys that are not encoded as it says',
      'ü',
      page(upload('%', '1'), { encoded: true }),
      [],
      true,
    ],
    ['entities', 'a&b', page(upload('a&amp;b', '1')), ['1'], true],
  ];
  for (const [name, key, body, ids, complete] of cases) {
    it(`reads ${name}`, async (t) => {
      const target = await startHttpTarget(t, (_request, response) => {
        response.writeHead(200, { date: DATE }).end(body);
      });
      const client = openClient(t, { port: target.port });
      const listed = valueOf(await client.listMultipartUploads(key));
      assert.deepEqual(
        listed.uploads,
        ids.map((uploadId) => ({ key, uploadId, initiatedAtMs: Date.UTC(2026, 11, 1, 9, 59, 58) })),
      );
      assert.deepEqual([listed.complete, listed.dateMs], [complete, Date.UTC(2026, 11, 1, 10)]);
      const { url } = target.requests[0]!;
      assert.ok(url.startsWith('/backup/?'), url);
      const query = new URL(url, 'http://target.test').searchParams;
      assert.equal(query.get('prefix'), key);
      assert.equal(query.get('max-uploads'), '50');
      assert.equal(query.get('uploads'), '');
      assert.equal(query.get('encoding-type'), /^[\x20-\x7e]+$/.test(key) ? null : 'url');
    });
  }

  it('does without dates', async (t) => {
    const target = await startHttpTarget(t, (_request, response) => {
      response.sendDate = false;
      response.end(page(upload('a', '1', 'soon')));
    });
    const listed = valueOf(await openClient(t, { port: target.port }).listMultipartUploads('a'));
    assert.equal(listed.dateMs, null);
    assert.equal(listed.uploads[0]!.initiatedAtMs, null);
  });

  it('says where it is denied', async (t) => {
    const target = await startHttpTarget(t, (_request, response) => {
      response.writeHead(403).end(errorXml('AccessDenied'));
    });
    const result = await openClient(t, { port: target.port }).listMultipartUploads('a');
    assert.deepEqual(
      [failureOf(result).code, failureOf(result).ambiguous],
      ['AccessDenied', false],
    );
  });
});
