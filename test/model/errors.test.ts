/** The table of errors in docs/admin-api.md is the table of the code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { errors, replicationError } from '../../src/model/errors.ts';

const document = readFileSync(new URL('../../docs/admin-api.md', import.meta.url), 'utf8');

/** Rows such as "| `NoSuchBucket` | 404 | … |". */
const rows = [...document.matchAll(/^\| `([A-Za-z]+)` *\| *(\d{3}) *\| *(.+?) *\|$/gm)];

describe('errors', () => {
  it('docs/admin-api.md lists every code once, with its status, and no other', () => {
    const listed = rows.map(([, code, status]) => `${code} ${status}`).sort();
    const known = Object.entries(errors).map(([code, { status }]) => `${code} ${status}`);
    assert.deepEqual(listed, known.sort());
  });

  it('each has a sentence that says what to mend, and a status of its kind', () => {
    for (const [code, { status, reason }] of Object.entries(errors)) {
      assert.match(reason, /^[A-Z].{20,}\.$/, code);
      assert(status >= 400 && status < 600, code);
    }
  });

  it('an error carries code, status and sentence of its row', () => {
    const error = replicationError('NoSuchBucket');
    assert.deepEqual(
      [error.code, error.status, error.message, error.details],
      ['NoSuchBucket', 404, errors.NoSuchBucket.reason, []],
    );
  });
});
