import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { S3Error } from '../../../src/server/s3/errors.ts';
import { readTagging, taggingDocument } from '../../../src/server/s3/tags.ts';
import { childText, escapeText } from '../../../src/server/s3/xml.ts';
import { readDocument } from '../../../src/server/s3/xml-reader.ts';

function readKey(inner: string): string | undefined {
  return childText(readDocument(Buffer.from(`<Object>${inner}</Object>`), 'Object'), 'Key');
}

describe('readDocument', () => {
  const texts: Record<string, [string, string]> = {
    'plain text': ['<Key>a b</Key>', 'a b'],
    'white space around a key, which belongs to it': ['<Key> a\t</Key>', ' a\t'],
    'the five predefined entities': ['<Key>&amp;&lt;&gt;&quot;&apos;</Key>', '&<>"\''],
    'numeric references': ['<Key>&#13;&#x1;&#x1F600;</Key>', '\r\x01😀'],
    'an entity that is resolved once only': ['<Key>&amp;lt;</Key>', '&lt;'],
    'a CDATA section, which holds no references': [
      '<Key>a<![CDATA[&amp;<b>]]>c</Key>',
      'a&amp;<b>c',
    ],
    'a number, which stays text': ['<Key>0012</Key>', '0012'],
    'an empty element': ['<Key/>', ''],
    'a comment inside': ['<Key>a<!-- x -->b</Key>', 'ab'],
  };
  for (const [name, [inner, expected]] of Object.entries(texts)) {
    it(`reads ${name}`, () => {
      assert.equal(readKey(inner), expected);
    });
  }

  it('reads a document with declaration, namespace and prefix', () => {
    const text =
      '<?xml version="1.0" encoding="UTF-8"?>\n<s3:Object xmlns:s3="urn:x"><s3:Key>k</s3:Key></s3:Object>';
    assert.equal(childText(readDocument(Buffer.from(text), 'Object'), 'Key'), 'k');
  });

  it('takes a name of Object.prototype for an element like any other', () => {
    assert.equal(readKey('<constructor>x</constructor><__proto__/>'), undefined);
  });

  const bad: Record<string, string | Buffer> = {
    nothing: '',
    text: 'hello',
    'another root': '<Other/>',
    'two roots': '<Object/><Object/>',
    'an element that is not closed': '<Object><Key>a</Object>',
    'a DOCTYPE': '<!DOCTYPE Object><Object/>',
    'an external entity':
      '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Object><Key>&e;</Key></Object>',
    'nested entities':
      '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><Object><Key>&b;</Key></Object>',
    'an unknown entity': '<Object><Key>&nbsp;</Key></Object>',
    'a reference to NUL': '<Object><Key>&#0;</Key></Object>',
    'a reference to a surrogate': '<Object><Key>&#xD800;</Key></Object>',
    'a reference beyond Unicode': '<Object><Key>&#x110000;</Key></Object>',
    'a bare ampersand': '<Object><Key>a & b</Key></Object>',
    'a key twice': '<Object><Key>a</Key><Key>b</Key></Object>',
    'bytes that are not UTF-8': Buffer.from('<Object><Key>\xff</Key></Object>', 'latin1'),
    'deep nesting': '<a>'.repeat(50_000),
    'deep and closed nesting': `<Object>${'<a>'.repeat(500)}${'</a>'.repeat(500)}</Object>`,
  };
  for (const [name, text] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => childText(readDocument(Buffer.from(text), 'Object'), 'Key'),
        (error) => error instanceof S3Error && error.code === 'MalformedXML',
      );
    });
  }
});

describe('escapeText', () => {
  it('writes characters that XML has a meaning for, and control characters, as references', () => {
    assert.equal(escapeText('<a>&"\r\n\t\x01é😀'), '&lt;a&gt;&amp;&quot;&#xD;&#xA;&#x9;&#x1;é😀');
  });

  it('gives back every text after reading', () => {
    const text = ' <&>"\'\r\n\x01\x7f\u2028é😀]]> ';
    assert.equal(readKey(`<Key>${escapeText(text)}</Key>`), text);
  });
});

describe('readTagging', () => {
  it('gives back what taggingDocument wrote', () => {
    const tags = { 'a b': '<1>', empty: '', ['__proto__']: 'x' };
    assert.deepEqual(
      readTagging(readDocument(Buffer.from(taggingDocument(tags)), 'Tagging')),
      tags,
    );
  });

  const tag = (key: string, value = ''): string =>
    `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
  const bad: Record<string, [string, string]> = {
    'no tag set': ['', 'MalformedXML'],
    'a tag without a value': ['<TagSet><Tag><Key>a</Key></Tag></TagSet>', 'MalformedXML'],
    'eleven tags': [
      `<TagSet>${Array.from({ length: 11 }, (_, i) => tag(`k${i}`)).join('')}</TagSet>`,
      'InvalidTag',
    ],
    'a key twice': [`<TagSet>${tag('a')}${tag('a')}</TagSet>`, 'InvalidTag'],
    'an empty key': [`<TagSet>${tag('')}</TagSet>`, 'InvalidTag'],
    'a key of 129 characters': [`<TagSet>${tag('a'.repeat(129))}</TagSet>`, 'InvalidTag'],
    'a value of 257 characters': [`<TagSet>${tag('a', 'b'.repeat(257))}</TagSet>`, 'InvalidTag'],
  };
  for (const [name, [inner, code]] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      const root = readDocument(Buffer.from(`<Tagging>${inner}</Tagging>`), 'Tagging');
      assert.throws(
        () => readTagging(root),
        (error) => error instanceof S3Error && error.code === code,
      );
    });
  }
});
