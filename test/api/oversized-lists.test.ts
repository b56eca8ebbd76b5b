/** A mebibyte of invalid items costs little: the length of a list is checked before its items. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runProgram } from '../support/child-process.ts';
import type { OversizedAnswer } from '../support/save-oversized-lists.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

// The process itself and one parsed body fit; the errors of a body's items, most of a gibibyte, do not.
const HEAP_MIB = 192;
const ANSWER_CHARACTERS_MAX = 400;

describe('oversized lists', () => {
  it(`349,000 empty targets are a short 400 within a heap of ${HEAP_MIB} MiB`, async (t) => {
    const ended = await runProgram('save-oversized-lists.ts', [temporaryDirectory(t)], {
      nodeOptions: [`--max-old-space-size=${HEAP_MIB}`],
    });
    assert.equal(ended.code, 0, ended.stderr.slice(0, 2000));
    const answers = ended.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as OversizedAnswer);
    assert.equal(answers.length, 8);
    assert(answers[0]!.items > 349_000);
    for (const { body, status, text, cpuMs } of answers) {
      assert.equal(status, 400, body);
      assert(text.length < ANSWER_CHARACTERS_MAX, `${body}: ${text.length} characters`);
      const { details } = JSON.parse(text) as { details: { message: string }[] };
      assert.match(details[0]?.message ?? '', /^must be an array of at most 4 /, body);
      assert(cpuMs < 30_000, `${body} took ${cpuMs} ms of processor time`);
    }
  });
});
