import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { Readable } from 'node:stream';
import { SourceFailure, type BodySource } from '../../src/egress/request-body.ts';
import { predictMultipartEtag } from '../../src/model/transfer-plan.ts';
import { failureOf, openClient, PLAIN, valueOf } from './open-client.ts';
import {
  errorXml,
  startHttpTarget,
  startRawTarget,
  type TestContext,
} from '../support/scripted-target.ts';

const UPLOAD = { key: 'a b', uploadId: 'id/+=&' };
const UPLOAD_QUERY = 'uploadId=id%2F%2B%3D%26';
const PART = Buffer.alloc(100_000, 'part');
const MD5 = createHash('md5').update(PART).digest();
const ETAG = { etag: `"${MD5.toString('hex')}"` };
const PREDICTED = predictMultipartEtag([MD5]);

function initiated(uploadId: string): string {
  return `<?xml version="1.0"?><InitiateMultipartUploadResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>b</Bucket><UploadId>${uploadId}</UploadId></InitiateMultipartUploadResult>`;
}

function source(
  size: number,
  open: () => AsyncIterable<Uint8Array>,
): BodySource & { opened: number } {
  return {
    size,
    opened: 0,
    async open() {
      this.opened += 1;
      return open();
    },
  };
}

/** A target that answers every request with this. */
async function answering(
  t: TestContext,
  status: number,
  body: string,
  headers: Record<string, string> = {},
) {
  const target = await startHttpTarget(
    t,
    (_request, response) => void response.writeHead(status, headers).end(body),
  );
  return { target, client: openClient(t, { port: target.port }) };
}

describe('CreateMultipartUpload', () => {
  it('carries the metadata and reads the id', async (t) => {
    const { target, client } = await answering(t, 200, initiated('2~a&amp;b/='));
    const object = { ...PLAIN, userMetadata: { a: 'b' }, tags: { c: 'd' } };
    assert.deepEqual(valueOf(await client.createMultipartUpload('a b', object)), {
      uploadId: '2~a&b/=',
      tags: 'done',
    });
    const { method, url, headers } = target.requests[0]!;
    assert.deepEqual([method, url], ['POST', '/backup/a%20b?uploads=']);
    assert.equal(headers['x-amz-meta-a'], 'b');
    assert.equal(headers['x-amz-tagging'], 'c=d');
    assert.equal(headers['x-alarik-replica'], 'true');
    assert.equal(headers['content-length'], '0');
  });

  for (const [name, body] of [
    ['no id', initiated('')],
    ['no document', ''],
    ['a page', '<html/>'],
  ] as const) {
    it(`fails with ${name}`, async (t) => {
      const { client } = await answering(t, 200, body);
      assert.equal(failureOf(await client.createMultipartUpload('k', PLAIN)).stage, 'unproven');
    });
  }
});

describe('UploadPart', () => {
  it('sends a part from memory', async (t) => {
    const { target, client } = await answering(t, 200, '', { etag: `"${MD5.toString('hex')}"` });
    assert.deepEqual(valueOf(await client.uploadPart(UPLOAD, 7, PART)), {
      etag: MD5.toString('hex'),
      md5: MD5,
    });
    const { url, body, headers } = target.requests[0]!;
    assert.equal(url, `/backup/a%20b?partNumber=7&${UPLOAD_QUERY}`);
    assert.ok(body.equals(PART));
    assert.equal(headers['content-md5'], MD5.toString('base64'));
    assert.equal(headers['x-amz-content-sha256'], createHash('sha256').update(PART).digest('hex'));
  });

  it('sends a part from a source that is opened twice', async (t) => {
    const { target, client } = await answering(t, 200, '', ETAG);
    const part = source(PART.length, () =>
      Readable.from([PART.subarray(0, 70_001), PART.subarray(70_001)]),
    );
    assert.deepEqual(valueOf(await client.uploadPart(UPLOAD, 1, part)), {
      etag: MD5.toString('hex'),
      md5: MD5,
    });
    assert.equal(part.opened, 2);
    const { body, headers } = target.requests[0]!;
    assert.ok(body.equals(PART));
    assert.equal(headers['content-length'], String(PART.length));
    assert.equal(headers['transfer-encoding'], undefined);
  });

  it('does not accept another ETag', async (t) => {
    const { client } = await answering(t, 200, '', { etag: 'f'.repeat(32) });
    assert.equal(failureOf(await client.uploadPart(UPLOAD, 1, PART)).stage, 'integrity');
  });

  async function* failing(): AsyncGenerator<Uint8Array> {
    yield PART;
    throw new Error('The disk is gone.');
  }
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) yield PART;
  }
  let opened = 0;
  const sources: [name: string, source: BodySource][] = [
    ['fails when it is hashed', source(2 * PART.length, failing)],
    [
      'fails when it is sent',
      source(2 * PART.length, () =>
        (opened += 1) % 2 === 1 ? Readable.from([PART, PART]) : failing(),
      ),
    ],
    ['is too short', source(PART.length + 1, () => Readable.from([PART]))],
    ['is too long', source(PART.length - 1, () => Readable.from([PART]))],
    ['has no end', source(PART.length, endless)],
    ['cannot be opened', { size: 1, open: () => Promise.reject(new Error('The file is gone.')) }],
  ];
  for (const [name, part] of sources) {
    it(`throws where the source ${name}, and nothing is stored`, async (t) => {
      const { target, client } = await answering(t, 200, '', ETAG);
      await assert.rejects(client.uploadPart(UPLOAD, 1, part), SourceFailure);
      assert.equal(target.requests.length, 0);
      // The client goes on.
      valueOf(await client.uploadPart(UPLOAD, 1, PART));
    });
  }

  it('closes its source when the connection breaks', async (t) => {
    const target = await startRawTarget(t, (socket) =>
      socket.once('data', () => socket.resetAndDestroy()),
    );
    const streams: Readable[] = [];
    const large = Buffer.alloc(4 * 1024 * 1024);
    const part = source(8 * large.length, () => {
      const stream = Readable.from(Array.from({ length: 8 }, () => large));
      streams.push(stream);
      return stream;
    });
    const failure = failureOf(
      await openClient(t, { port: target.port }).uploadPart(UPLOAD, 1, part),
    );
    assert.equal(failure.ambiguous, false);
    assert.equal(streams.length, 2);
    await Promise.all(
      streams.map(
        (stream) =>
          new Promise<void>((resolve) => {
            if (stream.closed) resolve();
            else stream.once('close', resolve);
          }),
      ),
    );
  });
});

describe('ListParts', () => {
  const part = (n: number, size = 8_388_608): string =>
    `<Part><PartNumber>${n}</PartNumber><ETag>&quot;${'a'.repeat(32)}&quot;</ETag><Size>${size}</Size></Part>`;
  const page = (parts: string, truncated: boolean): string =>
    `<?xml version="1.0"?>\n<ListPartsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>${truncated}</IsTruncated>${parts}</ListPartsResult>`;

  it('reads pages', async (t) => {
    const { target, client } = await answering(t, 200, page(part(3) + part(5, 12), true));
    const etag = 'a'.repeat(32);
    assert.deepEqual(valueOf(await client.listParts(UPLOAD, 2)), {
      parts: [
        { partNumber: 3, etag, size: 8_388_608 },
        { partNumber: 5, etag, size: 12 },
      ],
      next: 5,
    });
    assert.equal(
      target.requests[0]!.url,
      `/backup/a%20b?max-parts=100&part-number-marker=2&${UPLOAD_QUERY}`,
    );
  });

  it('reads the last page', async (t) => {
    const { client } = await answering(t, 200, page('', false));
    assert.deepEqual(valueOf(await client.listParts(UPLOAD)), { parts: [], next: null });
  });

  for (const [name, body] of [
    ['no such document', '<html/>'],
    ['a page that does not advance', page(part(2), true)],
    ['a part without a number', page('<Part></Part>', false)],
    ['more than is read', page(part(1) + ' '.repeat(70_000), false)],
  ] as const) {
    it(`fails at ${name}`, async (t) => {
      const { client } = await answering(t, 200, body);
      assert.deepEqual(failureOf(await client.listParts(UPLOAD, 2)), {
        stage: 'integrity',
        ambiguous: false,
      });
    });
  }

  it('says where the upload is gone', async (t) => {
    const { client } = await answering(t, 404, errorXml('NoSuchUpload'));
    assert.equal(failureOf(await client.listParts(UPLOAD)).code, 'NoSuchUpload');
  });
});

describe('CompleteMultipartUpload', () => {
  const complete = (client: ReturnType<typeof openClient>) =>
    client.completeMultipartUpload(UPLOAD, [{ partNumber: 1, etag: 'a"<&' }], PREDICTED);
  const completed = (etag: string): string =>
    `<?xml version="1.0"?>\n<CompleteMultipartUploadResult><ETag>${etag}</ETag></CompleteMultipartUploadResult>`;

  it('sends the parts', async (t) => {
    const { target, client } = await answering(t, 200, completed(`&quot;${PREDICTED}&quot;`));
    assert.deepEqual(valueOf(await complete(client)), { etag: PREDICTED });
    const { method, url, body } = target.requests[0]!;
    assert.deepEqual([method, url], ['POST', `/backup/a%20b?${UPLOAD_QUERY}`]);
    assert.ok(
      body
        .toString()
        .includes(
          '<Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;&lt;&amp;&quot;</ETag></Part>',
        ),
    );
  });

  for (const [name, body] of [
    ['an empty ETag', completed('')],
    ['an ETag of quotes', completed('&quot;&quot;')],
  ] as const) {
    it(`leaves it to HEAD after ${name}`, async (t) => {
      const { client } = await answering(t, 200, body);
      assert.deepEqual(valueOf(await complete(client)), { etag: null });
    });
  }

  it('reads a failure that comes as a success, after blanks that kept it alive', async (t) => {
    const { client } = await answering(t, 200, `\n\n   \n${errorXml('InternalError')}`);
    assert.deepEqual(failureOf(await complete(client)), {
      stage: 'answer',
      status: 200,
      code: 'InternalError',
      requestId: 'REQ1',
      ambiguous: true,
    });
  });

  const other = `${'b'.repeat(32)}`;
  for (const [name, etag, headers, fails] of [
    ['another ETag of as many parts', `${other}-1`, {}, true],
    ['an ETag of another count', `${other}-2`, {}, false],
    ['an ETag that is an MD5', other, {}, false],
    [
      'another ETag under SSE-KMS',
      `${other}-1`,
      { 'x-amz-server-side-encryption': 'aws:kms' },
      false,
    ],
  ] as const) {
    it(`${fails ? 'does not accept' : 'accepts'} ${name}`, async (t) => {
      const { client } = await answering(t, 200, completed(etag), headers);
      const result = await complete(client);
      if (fails) assert.equal(failureOf(result).stage, 'integrity');
      else assert.deepEqual(valueOf(result), { etag });
    });
  }
});

describe('AbortMultipartUpload', () => {
  it('is done where the upload is gone', async (t) => {
    const { client } = await answering(t, 404, errorXml('NoSuchUpload'));
    assert.equal(valueOf(await client.abortMultipartUpload(UPLOAD)), null);
  });

  it('is not done where the bucket is gone', async (t) => {
    const { client } = await answering(t, 404, errorXml('NoSuchBucket'));
    assert.equal(failureOf(await client.abortMultipartUpload(UPLOAD)).code, 'NoSuchBucket');
  });
});
