/** Answers of services, proxies and web servers with 2xx: which of them prove that it was done. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import type { TargetClient } from '../../src/egress/target-client.ts';
import type { RequestFailure, RequestResult } from '../../src/model/delivery.ts';
import { judge } from '../../src/model/outcome.ts';
import { openClient, PLAIN } from './open-client.ts';
import { errorXml, startHttpTarget } from '../support/scripted-target.ts';

const BODY = Buffer.from('Welcome to Amazon S3.');
const MD5 = createHash('md5').update(BODY).digest('hex');
const UPLOAD = { key: 'key', uploadId: 'id' };
const PAGE = '<!DOCTYPE html>\n<html><body>Please log in.</body></html>';
const ETAG = { etag: `"${MD5}"` };

const operations = {
  object: (client) => client.putObject('key', PLAIN, BODY),
  part: (client) => client.uploadPart(UPLOAD, 1, BODY),
  deletion: (client) => client.deleteObject('key'),
  abort: (client) => client.abortMultipartUpload(UPLOAD),
  tags: (client) => client.putObjectTagging('key', { a: 'b' }),
  creation: (client) => client.createMultipartUpload('key', PLAIN),
  completion: (client) => client.completeMultipartUpload(UPLOAD, [], ''),
  head: (client) => client.headObject('key'),
  uploads: (client) => client.listMultipartUploads('key'),
} satisfies Record<string, (client: TargetClient) => Promise<RequestResult<unknown>>>;

type Outcome = 'ok' | RequestFailure['stage'] | `error ${string}`;
type Operation = keyof typeof operations;
interface Reply {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

const page: Reply = { status: 200, body: PAGE, headers: { 'content-type': 'text/html' } };
const slowDown: Reply = {
  status: 200,
  body: errorXml('SlowDown'),
  headers: { ...ETAG, 'retry-after': '7' },
};
const result = (name: string, inner: string): string =>
  `<?xml version="1.0"?>\n<${name}>${inner}</${name}>`;

const cases: [name: string, operation: Operation, reply: Reply, outcome: Outcome][] = [
  ['nothing but an ETag', 'object', { status: 200, headers: ETAG }, 'ok'],
  ['blanks and an ETag', 'object', { status: 200, body: ' \n', headers: ETAG }, 'ok'],
  [
    'a document and an ETag',
    'object',
    { status: 200, body: result('Result', ''), headers: ETAG },
    'ok',
  ],
  ['a page', 'object', page, 'unproven'],
  ['a page with an ETag', 'object', { ...page, headers: ETAG }, 'unproven'],
  ['a page without a type', 'object', { status: 200, body: '<HTML>', headers: ETAG }, 'unproven'],
  [
    'a page after a declaration',
    'object',
    { status: 200, body: `<?xml version="1.0"?>${PAGE}`, headers: ETAG },
    'unproven',
  ],
  ['JSON', 'object', { status: 200, body: '{"ok":true}', headers: ETAG }, 'unproven'],
  ['plain text', 'object', { status: 200, body: 'OK', headers: ETAG }, 'unproven'],
  ['no ETag', 'object', { status: 200 }, 'unproven'],
  ['an empty ETag', 'object', { status: 200, headers: { etag: '""' } }, 'unproven'],
  ['201', 'object', { status: 201, headers: ETAG }, 'unproven'],
  ['202', 'object', { status: 202, headers: ETAG }, 'unproven'],
  ['204', 'object', { status: 204, headers: ETAG }, 'unproven'],
  ['206', 'object', { status: 206, headers: ETAG }, 'unproven'],
  ['an error', 'object', slowDown, 'error SlowDown'],
  ['an error with 202', 'object', { ...slowDown, status: 202 }, 'error SlowDown'],
  ['nothing but an ETag', 'part', { status: 200, headers: ETAG }, 'ok'],
  ['no ETag', 'part', { status: 200 }, 'unproven'],
  ['a page', 'part', { ...page, headers: ETAG }, 'unproven'],
  ['202', 'part', { status: 202, headers: ETAG }, 'unproven'],
  ['an error', 'part', slowDown, 'error SlowDown'],
  ['204', 'deletion', { status: 204 }, 'ok'],
  ['200 and nothing', 'deletion', { status: 200 }, 'ok'],
  ['404 NoSuchKey', 'deletion', { status: 404, body: errorXml('NoSuchKey') }, 'ok'],
  ['404 NoSuchVersion', 'deletion', { status: 404, body: errorXml('NoSuchVersion') }, 'ok'],
  ['a page', 'deletion', page, 'unproven'],
  ['a document', 'deletion', { status: 200, body: result('Result', '') }, 'unproven'],
  ['202', 'deletion', { status: 202 }, 'unproven'],
  ['an error with 200', 'deletion', slowDown, 'error SlowDown'],
  [
    'NoSuchKey with 200',
    'deletion',
    { status: 200, body: errorXml('NoSuchKey') },
    'error NoSuchKey',
  ],
  ['404 and a page', 'deletion', { status: 404, body: PAGE }, 'answer'],
  ['204', 'abort', { status: 204 }, 'ok'],
  ['a page', 'abort', page, 'unproven'],
  ['200', 'tags', { status: 200 }, 'ok'],
  ['204', 'tags', { status: 204 }, 'ok'],
  ['a page', 'tags', page, 'unproven'],
  ['202', 'tags', { status: 202 }, 'unproven'],
  ['an error', 'tags', slowDown, 'error SlowDown'],
  [
    'an id',
    'creation',
    { status: 200, body: result('InitiateMultipartUploadResult', '<UploadId>i</UploadId>') },
    'ok',
  ],
  [
    'no id',
    'creation',
    { status: 200, body: result('InitiateMultipartUploadResult', '') },
    'unproven',
  ],
  ['a page', 'creation', page, 'unproven'],
  ['nothing', 'creation', { status: 200 }, 'unproven'],
  ['an error', 'creation', slowDown, 'error SlowDown'],
  [
    'a result without an ETag',
    'completion',
    { status: 200, body: result('CompleteMultipartUploadResult', '') },
    'ok',
  ],
  [
    'a result of a namespace',
    'completion',
    { status: 200, body: '<s3:CompleteMultipartUploadResult/>' },
    'ok',
  ],
  [
    'a result with 202',
    'completion',
    { status: 202, body: result('CompleteMultipartUploadResult', '') },
    'unproven',
  ],
  ['another document', 'completion', { status: 200, body: result('Result', '') }, 'unproven'],
  ['nothing', 'completion', { status: 200, headers: ETAG }, 'unproven'],
  ['a page', 'completion', page, 'unproven'],
  [
    'an error after blanks',
    'completion',
    { ...slowDown, body: `\n \n${errorXml('SlowDown')}` },
    'error SlowDown',
  ],
  ['200', 'head', { status: 200, headers: ETAG }, 'ok'],
  ['202', 'head', { status: 202, headers: ETAG }, 'unproven'],
  ['204', 'head', { status: 204 }, 'unproven'],
  ['a page', 'uploads', page, 'unproven'],
  [
    'a list of something else',
    'uploads',
    { status: 200, body: result('ListBucketResult', '') },
    'unproven',
  ],
];

describe('an answer with success', () => {
  for (const [name, operation, { status, body = '', headers = {} }, outcome] of cases) {
    it(`to ${operation} is ${outcome} with ${name}`, async (t) => {
      const target = await startHttpTarget(t, (_request, response) => {
        response.writeHead(status, { 'x-amz-request-id': 'REQ1', ...headers }).end(body);
      });
      const sent = await operations[operation](openClient(t, { port: target.port }));
      assert.equal(target.requests.length, 1);
      const isRead = operation === 'head' || operation === 'uploads';
      if (sent.ok) return assert.equal('ok', outcome);
      const { failure } = sent;
      if (outcome === 'unproven') {
        const expected = { stage: 'unproven', status, requestId: 'REQ1', ambiguous: !isRead };
        assert.deepEqual(failure, expected);
        const judged = judge(failure);
        assert.equal(judged.origin, 'target');
        return assert.match(judged.reason, new RegExp(`success \\(${status}\\)`));
      }
      const error = /^error (.+)/.exec(outcome)?.[1];
      assert.equal(failure.stage, error === undefined ? outcome : 'answer');
      assert.equal(failure.code, error);
      // What an error says with it is read whatever its status.
      if (error === 'SlowDown') assert.equal(failure.retryAfterMs, 7_000);
      if (error === 'SlowDown') assert.equal(failure.ambiguous, true);
    });
  }

  it('to HEAD shows no ETag where a web server answers with a page', async (t) => {
    const target = await startHttpTarget(t, (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end();
    });
    const head = await openClient(t, { port: target.port }).headObject('key');
    assert.ok(head.ok && head.value.exists);
    assert.equal(head.value.etag, null);
    assert.equal(head.value.tagCount, null);
  });
});
