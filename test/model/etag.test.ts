import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allows, formatETag, nextRevision, parseIfMatch } from '../../src/model/etag.ts';
import { costOf } from '../support/cpu-time.ts';

/** It takes a few: with backtracking it would be hours. */
const CPU_MS_MAX = 5_000;

describe('If-Match (RFC 9110 section 13.1.1)', () => {
  const TAG = '17-00c0ffee';
  const atRevision17: readonly (readonly [string | undefined, boolean])[] = [
    [undefined, true],
    ['*', true],
    [' * ', true],
    [`"${TAG}"`, true],
    [`"16-00c0ffee", "${TAG}"`, true],
    [`"16","${TAG}"`, true],
    [`"16"\t,\t"${TAG}" `, true],
    [`,"${TAG}",,`, true],
    [`"a,b", "${TAG}"`, true],
    ['""', false],
    ['"0"', false],
    ['"17"', false],
    ['"17-00c0ffef"', false],
    ['"16-00c0ffee"', false],
    ['"017-00c0ffee"', false],
    ['"17-00C0FFEE"', false],
    [`W/"${TAG}"`, false],
    [`"${TAG}x"`, false],
    ['"\u00ff"', false],
  ];
  for (const [header, expected] of atRevision17) {
    it(`${header ?? 'absent'} ${expected ? 'allows' : 'refuses'} revision 17-00c0ffee`, () => {
      assert.equal(allows(parseIfMatch(header), TAG), expected);
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
    assert.equal(formatETag('17-00c0ffee'), '"17-00c0ffee"');
  });

  it('revisions count the bucket’s own changes', () => {
    assert.equal(nextRevision('0', '00c0ffee'), '1-00c0ffee');
    assert.equal(nextRevision('9-12345678', '87654321'), '10-87654321');
  });
});
