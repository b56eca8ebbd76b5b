import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allows, formatETag, parseIfMatch } from '../../src/model/etag.ts';
import { costOf } from '../support/cpu-time.ts';

/** It takes a few: with backtracking it would be hours. */
const CPU_MS_MAX = 5_000;

describe('If-Match (RFC 9110 section 13.1.1)', () => {
  const atRevision17: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, true],
    ['*', true],
    [' * ', true],
    ['"17"', true],
    ['"16", "17"', true],
    ['"16","17"', true],
    ['"16"\t,\t"17" ', true],
    [',"17",,', true],
    ['"a,b", "17"', true],
    ['""', false],
    ['"16"', false],
    ['"017"', false],
    ['W/"17"', false],
    ['"17x"', false],
    ['"\u00ff"', false],
  ];
  for (const [header, expected] of atRevision17) {
    it(`${header ?? 'absent'} ${expected ? 'allows' : 'refuses'} revision 17`, () => {
      assert.equal(allows(parseIfMatch(header), 17), expected);
    });
  }

  for (const header of [
    '',
    ' ',
    '17',
    '"17',
    '17"',
    "'17'",
    '*, "17"',
    '"17" x',
    'w/"17"',
    ',',
    '"1 7"',
  ]) {
    it(`${JSON.stringify(header)} is malformed`, () => {
      assert.throws(() => parseIfMatch(header), { code: 'InvalidPrecondition', status: 400 });
    });
  }

  it('a long malformed header costs little', async () => {
    const InvalidPrecondition = { code: 'InvalidPrecondition' };
    const { cpuMs } = await costOf(() => {
      assert.throws(() => parseIfMatch('"'.repeat(20_001)), InvalidPrecondition);
      assert.throws(() => parseIfMatch(`${'"" '.repeat(20_000)}x`), InvalidPrecondition);
    });
    assert(cpuMs < CPU_MS_MAX, `${cpuMs} ms`);
  });

  it('the tag of a revision is strong', () => {
    assert.equal(formatETag(17), '"17"');
  });
});
