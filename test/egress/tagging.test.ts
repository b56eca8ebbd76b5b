/**
 * Tags: with the object, without them, or after it. Origins: Backblaze B2 answers 400 to the header
 * (s3proxy#34), Cloudflare R2 501 (velero#9931), a key without the right to tag gets 403.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import { errorXml, startHttpTarget, type ReceivedRequest } from '../support/scripted-target.ts';
import { ManualClock } from './manual-clock.ts';

const BODY = Buffer.from('body');
const OBJECT = { ...PLAIN, userMetadata: { a: 'b' }, tags: { c: 'd' } };
const CREATED =
  '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>';

const accept = ({ body, method }: ReceivedRequest, response: ServerResponse): void =>
  void response
    .writeHead(200, { etag: createHash('md5').update(body).digest('hex') })
    .end(method === 'POST' ? CREATED : '');

const refusing =
  (status: number, code: string | null) =>
  (request: ReceivedRequest, response: ServerResponse): void => {
    if (request.headers['x-amz-tagging'] === undefined) return accept(request, response);
    response.writeHead(status).end(code === null ? '' : errorXml(code));
  };

describe('tags of an object', () => {
  const refusals: [status: number, code: string | null][] = [
    [400, 'InvalidArgument'],
    [400, null],
    [403, 'AccessDenied'],
    [403, null],
    [501, 'NotImplemented'],
    [501, null],
  ];
  for (const [status, code] of refusals) {
    it(`are left out for an hour after ${status} ${code ?? 'without a code'}`, async (t) => {
      const target = await startHttpTarget(t, refusing(status, code));
      const clock = new ManualClock();
      const client = openClient(t, { port: target.port, clock });
      const put = async () => valueOf(await client.putObject('key', OBJECT, BODY)).tags;
      assert.equal(await put(), 'refused');
      assert.equal(target.requests.length, 2);
      assert.equal(target.requests[1]!.headers['x-amz-meta-a'], 'b');
      assert.ok(target.requests[1]!.body.equals(BODY));
      assert.equal(await put(), 'refused');
      assert.equal(valueOf(await client.createMultipartUpload('key', OBJECT)).tags, 'refused');
      assert.equal(target.requests.length, 4);
      // An object without tags lacks nothing.
      assert.equal(valueOf(await client.putObject('key', PLAIN, BODY)).tags, 'done');
      clock.advance(3_599_999);
      assert.equal(await put(), 'refused');
      assert.equal(target.requests.length, 6);
      clock.advance(1);
      assert.equal(await put(), 'refused');
      assert.equal(target.requests.length, 8);
    });
  }

  for (const code of [
    ...['SignatureDoesNotMatch', 'AuthorizationHeaderMalformed', 'InvalidAccessKeyId'],
    ...['RequestTimeTooSkewed', 'RequestExpired', 'ExpiredToken', 'InvalidToken'],
    ...['InvalidSecurity', 'QuotaExceeded'],
  ]) {
    it(`have nothing to do with ${code}`, async (t) => {
      const target = await startHttpTarget(t, refusing(403, code));
      const client = openClient(t, { port: target.port });
      assert.equal(failureOf(await client.putObject('key', OBJECT, BODY)).code, code);
      assert.equal(target.requests.length, 1);
    });
  }

  it('are not remembered as refused where the object is refused without them too', async (t) => {
    let isOpen = false;
    const target = await startHttpTarget(t, (request, response) => {
      if (isOpen) return accept(request, response);
      const isTagged = request.headers['x-amz-tagging'] !== undefined;
      response.writeHead(403).end(errorXml(isTagged ? 'AccessDenied' : 'AllAccessDisabled'));
    });
    const client = openClient(t, { port: target.port });
    assert.equal(failureOf(await client.putObject('key', OBJECT, BODY)).code, 'AllAccessDisabled');
    isOpen = true;
    assert.equal(valueOf(await client.putObject('key', OBJECT, BODY)).tags, 'done');
    assert.equal(target.requests[2]!.headers['x-amz-tagging'], 'c=d');
  });

  it('are not remembered as refused where the answer without them proves nothing', async (t) => {
    const target = await startHttpTarget(t, (request, response) => {
      response.writeHead(request.headers['x-amz-tagging'] === undefined ? 202 : 403).end();
    });
    const client = openClient(t, { port: target.port });
    assert.equal(failureOf(await client.putObject('key', OBJECT, BODY)).stage, 'unproven');
    assert.equal(failureOf(await client.putObject('key', OBJECT, BODY)).stage, 'unproven');
    assert.equal(target.requests.length, 4);
  });

  it('of other objects go on after one that is not accepted', async (t) => {
    const target = await startHttpTarget(t, (request, response) =>
      refusing(request.headers['x-amz-tagging'] === 'c=d' ? 400 : 200, 'InvalidTag')(
        { ...request, headers: request.headers['x-amz-tagging'] === 'c=d' ? request.headers : {} },
        response,
      ),
    );
    const client = openClient(t, { port: target.port });
    assert.equal(valueOf(await client.putObject('key', OBJECT, BODY)).tags, 'refused');
    const other = { ...OBJECT, tags: { e: 'f' } };
    assert.equal(valueOf(await client.putObject('key', other, BODY)).tags, 'done');
  });

  for (const [bytes, tags] of [
    [2_048, 'done'],
    [2_049, 'follow'],
  ] as const) {
    it(`of ${bytes} encoded bytes are ${tags}`, async (t) => {
      const target = await startHttpTarget(t, accept);
      const client = openClient(t, { port: target.port });
      // Three bytes for each blank.
      const value = 'x'.repeat((bytes - 2) % 3) + ' '.repeat(Math.floor((bytes - 2) / 3));
      const object = { ...PLAIN, tags: { a: value } };
      assert.equal(valueOf(await client.putObject('key', object, BODY)).tags, tags);
      assert.equal(valueOf(await client.createMultipartUpload('key', object)).tags, tags);
      for (const { headers } of target.requests) {
        assert.equal(headers['x-amz-tagging']?.length, tags === 'done' ? bytes : undefined);
      }
    });
  }
});

describe('PutObjectTagging', () => {
  const sets: [tags: Record<string, string>, inner: string][] = [
    [{}, ''],
    [{ a: 'b' }, '<Tag><Key>a</Key><Value>b</Value></Tag>'],
    [
      { '<&>': '"\t\n', ü: '' },
      '<Tag><Key>&lt;&amp;&gt;</Key><Value>&quot;&#9;&#10;</Value></Tag><Tag><Key>ü</Key><Value></Value></Tag>',
    ],
  ];
  for (const [tags, inner] of sets) {
    it(`sends ${JSON.stringify(tags)}`, async (t) => {
      const target = await startHttpTarget(t, accept);
      const client = openClient(t, { port: target.port });
      assert.equal(valueOf(await client.putObjectTagging('a b', tags)), null);
      const { method, url, headers, body } = target.requests[0]!;
      assert.deepEqual([method, url], ['PUT', '/backup/a%20b?tagging=']);
      assert.equal(headers['content-type'], 'application/xml');
      assert.equal(headers['content-md5'], createHash('md5').update(body).digest('base64'));
      assert.ok(body.toString().endsWith(`<TagSet>${inner}</TagSet></Tagging>`), body.toString());
    });
  }

  it('does not send what XML cannot hold', async (t) => {
    const target = await startHttpTarget(t, accept);
    const client = openClient(t, { port: target.port });
    for (const value of ['\0', '\x1f', '\uffff', '\ud83d']) {
      const result = await client.putObjectTagging('key', { a: value });
      assert.equal(failureOf(result).stage, 'unsendable');
    }
    valueOf(await client.putObjectTagging('key', { a: '😀' }));
    assert.equal(target.requests.length, 1);
  });

  it('says where it is denied', async (t) => {
    const target = await startHttpTarget(t, (_request, response) => {
      response.writeHead(403).end(errorXml('AccessDenied'));
    });
    const result = await openClient(t, { port: target.port }).putObjectTagging('key', {});
    assert.equal(failureOf(result).code, 'AccessDenied');
  });
});
