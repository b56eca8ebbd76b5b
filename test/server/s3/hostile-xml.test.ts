import { CreateBucketCommand } from '@aws-sdk/client-s3';
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { S3Error } from '../../../src/server/s3/errors.ts';
import { readDocument } from '../../../src/server/s3/xml-reader.ts';
import { childrenNamed, childText } from '../../../src/server/s3/xml.ts';
import { sendRaw, startS3Server, type S3Server } from './s3-server.ts';
import { signedHead } from './signed-request.ts';

const BYTES = 4 * 1024 * 1024;
const LIMITS = { nodesMax: 6_016 };

/** A text of about `BYTES` that repeats `piece`. */
function filled(piece: string, before = '', after = ''): string {
  return before + piece.repeat(Math.floor(BYTES / piece.length)) + after;
}

/** Documents of 4 MiB that cost a reader more than their length, if it lets them. */
const hostile: Readonly<Record<string, string>> = {
  'a million elements': filled('<a/>', '<Delete>', '</Delete>'),
  'half a million objects': filled('<Object/>', '<Delete>', '</Delete>'),
  'elements that nest': filled('<a>'),
  'elements that nest and end': filled('<a>') + filled('</a>'),
  'ends without a beginning': filled('</a>'),
  'a long list of attributes': filled(' a="b"', '<Delete', '/>'),
  'a long list of different attributes': `<Delete ${Array.from({ length: 400_000 }, (_, i) => `a${i}=""`).join(' ')}/>`,
  'an attribute that does not end': filled('x', '<Delete a="'),
  'quotes within an attribute': filled("'", '<Delete a="', '/>'),
  'an attribute without a value': filled('a ', '<Delete ', '/>'),
  'a name that does not end': filled('a', '<'),
  'blanks that do not end': filled(' ', '<Delete'),
  'blanks in an end tag': filled(' ', '<Delete></Delete'),
  'a DOCTYPE': filled('<!ENTITY a "b">', '<!DOCTYPE Delete [', ']><Delete/>'),
  'entities in entities': filled('&a;', '<Delete>', '</Delete>'),
  ampersands: filled('&', '<Delete>', '</Delete>'),
  'references that do not end': filled('&#x', '<Delete>', '</Delete>'),
  'a reference of many digits': filled('0', '<Delete>&#', ';</Delete>'),
  'many comments': filled('<!---->', '<Delete>', '</Delete>'),
  'a comment that does not end': filled('-', '<Delete><!-- '),
  'beginnings of comments': filled('<!--', '<Delete>', '</Delete>'),
  'many CDATA sections': filled('<![CDATA[]]>', '<Delete>', '</Delete>'),
  'beginnings of CDATA sections': filled('<![CDATA[', '<Delete>', '</Delete>'),
  'brackets in a CDATA section': filled(']', '<Delete><![CDATA[', '</Delete>'),
  'many instructions': filled('<?a?>', '<Delete>', '</Delete>'),
  'an instruction that does not end': filled('?', '<Delete><?a '),
  'many less-than signs': filled('<'),
  'many roots': filled('<Delete/>'),
  'text around the root': filled('x', '<Delete/>'),
};

/** As long, as full as a request may be, and well-formed. */
const control = ((): string => {
  const key = 'k'.repeat(BYTES / 1000 - 60);
  const object = `<Object><Key>${key}</Key><VersionId>null</VersionId></Object>`;
  return `<Delete>${object.repeat(1000)}</Delete>`;
})();

function read(text: string | Uint8Array): unknown {
  return readDocument(typeof text === 'string' ? Buffer.from(text) : text, 'Delete', LIMITS);
}

function isMalformed(error: unknown): boolean {
  return error instanceof S3Error && error.code === 'MalformedXML';
}

/** The least of several runs: what the work takes when nobody is in the way. */
function leastMs(work: () => void): number {
  const runs = Array.from({ length: 5 }, () => {
    const before = performance.now();
    work();
    return performance.now() - before;
  });
  return Math.min(...runs);
}

describe('a document made to be expensive', () => {
  for (const [what, text] of Object.entries(hostile)) {
    it(`is refused at the cost of one that is as long: ${what}`, () => {
      assert.throws(() => read(text), isMalformed);
      const bytes = Buffer.from(text);
      const ordinary = Buffer.from(control);
      const controlMs = leastMs(() => read(ordinary));
      const hostileMs = leastMs(() => assert.throws(() => read(bytes)));
      // What grows with the square of its length would be thousands of times slower.
      const ratio = hostileMs / controlMs;
      assert.ok(ratio < 40, `${ratio.toFixed(1)} times the ordinary document's time`);
    });
  }

  it('stops at the first node too many, whatever follows', () => {
    const nodes = (count: number): string => `<Delete>${'<a/>'.repeat(count - 1)}</Delete>`;
    assert.equal(childrenNamed(readDocument(Buffer.from(nodes(200)), 'Delete'), 'a').length, 199);
    assert.throws(() => readDocument(Buffer.from(nodes(201)), 'Delete'), isMalformed);
  });

  const fine: Readonly<Record<string, string>> = {
    'sixteen attributes': `<Delete ${Array.from({ length: 16 }, (_, i) => `a${i}='${i}'`).join(' ')}><Quiet>true</Quiet></Delete>`,
    'blanks wherever they may be': '<Delete\n a = "b" ><Quiet >true</Quiet\t></Delete >\n',
    'a mark of byte order': '\ufeff<?xml version="1.0"?>\r\n<Delete><Quiet>true</Quiet></Delete>',
    'comments and instructions around':
      '<!-- a --><?a b?><Delete><Quiet>true</Quiet></Delete><!-- -->',
    'a prefix': '<x:Delete xmlns:x="urn:a"><x:Quiet>true</x:Quiet></x:Delete>',
  };
  for (const [what, text] of Object.entries(fine)) {
    it(`is not one with ${what}`, () => {
      assert.equal(childText(readDocument(Buffer.from(text), 'Delete'), 'Quiet'), 'true');
    });
  }

  const refused: Readonly<Record<string, string>> = {
    'seventeen attributes': `<Delete ${Array.from({ length: 17 }, (_, i) => `a${i}=""`).join(' ')}/>`,
    'an attribute twice': '<Delete a="1" a="2"/>',
    'attributes without a blank between': '<Delete a="1"b="2"/>',
    'a declaration in the middle': '<Delete><?xml version="1.0"?></Delete>',
    'two dashes in a comment': '<Delete><!-- a -- b --></Delete>',
    'a CDATA section outside the root': '<![CDATA[a]]><Delete/>',
    'prefixes that differ': '<a:Delete></b:Delete>',
    'an element deeper than sixteen': `<Delete>${'<a>'.repeat(16)}${'</a>'.repeat(16)}</Delete>`,
  };
  for (const [what, text] of Object.entries(refused)) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => readDocument(Buffer.from(text), 'Delete'), isMalformed);
    });
  }
});

describe('documents in requests', () => {
  let server: S3Server;
  before(async () => {
    server = await startS3Server();
    await server.client().send(new CreateBucketCommand({ Bucket: 'documents' }));
  });
  after(async () => {
    assert.deepEqual(server.failures, []);
    await server.stop();
  });

  async function send(
    method: string,
    path: string,
    query: Readonly<Record<string, string>>,
    body: string,
  ): Promise<[status: string | undefined, code: string | undefined]> {
    const head = await signedHead({
      method,
      path,
      query,
      headers: { 'content-length': String(Buffer.byteLength(body)) },
      unsignedHeaders: { connection: 'close' },
    });
    const answer = await sendRaw(server.port, [head, body]);
    return [/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1], /<Code>(\w+)/.exec(answer)?.[1]];
  }

  const objects = (count: number): string =>
    `<Delete><Quiet>true</Quiet>${'<Object><Key>a</Key></Object>'.repeat(count)}</Delete>`;
  const parts = (count: number): string =>
    `<CompleteMultipartUpload>${'<Part><PartNumber>1</PartNumber><ETag>"a"</ETag></Part>'.repeat(count)}</CompleteMultipartUpload>`;
  const versioning = (inner: string): string =>
    `<VersioningConfiguration>${inner}</VersioningConfiguration>`;
  const location = (inner: string): string =>
    `<CreateBucketConfiguration>${inner}</CreateBucketConfiguration>`;
  const many = '<a/>'.repeat(5_000);

  it('may name 1,000 keys and not one more', async () => {
    assert.deepEqual(await send('POST', '/documents', { delete: '' }, objects(1_000)), [
      '200',
      undefined,
    ]);
    const refusal = ['400', 'MalformedXML'];
    assert.deepEqual(await send('POST', '/documents', { delete: '' }, objects(1_001)), refusal);
    assert.deepEqual(await send('POST', '/documents', { delete: '' }, objects(100_000)), refusal);
  });

  it('may name 10,000 parts and not one more', async () => {
    const query = { uploadId: 'A'.repeat(27) };
    // There is no such upload: a document that was read comes as far as that.
    assert.deepEqual(await send('POST', '/documents/key', query, parts(10_000)), [
      '404',
      'NoSuchUpload',
    ]);
    const refusal = ['400', 'MalformedXML'];
    assert.deepEqual(await send('POST', '/documents/key', query, parts(10_001)), refusal);
    assert.deepEqual(await send('POST', '/documents/key', query, parts(40_000)), refusal);
  });

  const small: readonly [method: string, path: string, query: string, body: string][] = [
    ['PUT', '/documents/key', 'tagging', `<Tagging><TagSet>${many}</TagSet></Tagging>`],
    ['PUT', '/documents', 'versioning', versioning(`<Status>Enabled</Status>${many}`)],
    ['PUT', '/documents-2', '', location(`<LocationConstraint>x</LocationConstraint>${many}`)],
  ];
  for (const [method, path, query, body] of small) {
    it(`are refused with thousands of elements: ${method} ${path}?${query}`, async () => {
      const answer = await send(method, path, query === '' ? {} : { [query]: '' }, body);
      assert.deepEqual(answer, ['400', 'MalformedXML']);
    });
  }
});
