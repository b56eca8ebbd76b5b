import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { elements, elementText, rootName } from '../../src/egress/target-xml.ts';

const BYTES = 1024 * 1024;

function filled(piece: string, before = '', after = ''): string {
  return before + piece.repeat(Math.floor(BYTES / piece.length)) + after;
}

/** Everything that is ever asked of an answer. */
function readAll(xml: string): void {
  rootName(xml);
  for (const name of ['Code', 'UploadId', 'ETag', 'IsTruncated']) elementText(xml, name);
  for (const part of elements(xml, 'Part')) elementText(part, 'PartNumber');
}

/** Sixteen times as long as an answer may be. */
const hostile: Readonly<Record<string, string>> = {
  'parts that do not end': filled('<Part>'),
  'parts that end once': filled('<Part>', '', '</Part>'),
  'parts that nest': filled('<Part>') + filled('</Part>'),
  'ends alone': filled('</Part>'),
  'blanks before a root': filled(' '),
  'blanks after a declaration': filled(' ', '<?xml?>'),
  'marks of byte order': filled('\ufeff'),
  'a declaration that does not end': filled('?', '<?'),
  'declarations that begin': filled('<?'),
  'a root of one name': filled('a', '<'),
  'a root of many prefixes': filled('a:', '<'),
  'a code that does not end': filled('<Code>'),
  'a code of ampersands': filled('&', '<Code>', '</Code>'),
  'a code of references': filled('&#38;', '<Code>', '</Code>'),
  'a code of references that do not end': filled('&#x1', '<Code>', '</Code>'),
  'a code of blanks': filled(' ', '<Code>x', 'x</Code>'),
  'less-than signs': filled('<'),
  comments: filled('<!---->'),
};

const control = filled('<Part><PartNumber>1</PartNumber></Part>', '<ListPartsResult>');

function leastMs(xml: string): number {
  const runs = Array.from({ length: 5 }, () => {
    const before = performance.now();
    readAll(xml);
    return performance.now() - before;
  });
  return Math.min(...runs);
}

describe("a target's XML", () => {
  for (const [what, xml] of Object.entries(hostile)) {
    it(`costs no more than its length: ${what}`, () => {
      readAll(xml);
      // What grows with the square of its length would be thousands of times slower.
      const ratio = leastMs(xml) / leastMs(control);
      assert.ok(ratio < 40, `${ratio.toFixed(1)} times the ordinary answer's time`);
    });
  }
});
