/** Each mutant names a text that its file has once: what moves in src/ takes its mutants along. */
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { engineMutants } from './engine-mutants.ts';
import { mutate } from './mutant.ts';
import { storeMutants } from './store-mutants.ts';

const ROOT = new URL('../../', import.meta.url);

describe('the text of a mutant', () => {
  for (const mutant of [...engineMutants, ...storeMutants]) {
    it(`is in its file: ${mutant.name}`, () => {
      mutate(readFileSync(fileURLToPath(new URL(mutant.file, ROOT)), 'utf8'), mutant);
    });
  }
});
