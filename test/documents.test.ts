/** What the documents link to is there, and newcomers can read the first two in one go. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BYTES_MAX = { 'README.md': 8_192, 'ARCHITECTURE.md': 12_288 };

const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
const documents = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', ...inDocs];

/** The names by which Markdown's headings are linked to. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('documents', () => {
  for (const name of documents) {
    it(`${name} links to what is there`, () => {
      const text = readFileSync(join(ROOT, name), 'utf8');
      for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(link)) continue;
        const [path = '', anchor] = link.split('#');
        const file = path === '' ? join(ROOT, name) : join(ROOT, dirname(name), path);
        assert.ok(existsSync(file), `${link}: there is no such file`);
        if (anchor === undefined) continue;
        assert.ok(anchorsOf(readFileSync(file, 'utf8')).includes(anchor), `${link}: no heading`);
      }
    });
  }

  it('of decisions are all listed', () => {
    const list = readFileSync(join(ROOT, 'docs/decisions/README.md'), 'utf8');
    const names = readdirSync(join(ROOT, 'docs/decisions')).filter((name) => name !== 'README.md');
    for (const name of names) assert.ok(list.includes(`(${name})`), name);
  });

  for (const [name, bytesMax] of Object.entries(BYTES_MAX)) {
    it(`${name} is short`, () => assert.ok(statSync(join(ROOT, name)).size <= bytesMax));
  }
});
