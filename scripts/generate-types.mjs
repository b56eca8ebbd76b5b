/**
 * Writes the TypeScript types of schemas/*.schema.json to src/model/generated/. With --check it
 * writes nothing and fails where a file is not what would be written.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = join(root, 'src/model/generated');
const check = process.argv.includes('--check');
const stale = [];

mkdirSync(target, { recursive: true });
for (const file of readdirSync(join(root, 'schemas')).filter((name) =>
  name.endsWith('.schema.json'),
)) {
  const name = basename(file, '.schema.json');
  const schema = JSON.parse(readFileSync(join(root, 'schemas', file), 'utf8'));
  delete schema.$id;
  const types = await compile(schema, schema.title, {
    bannerComment: `/** Generated from schemas/${file} by "npm run types"; do not edit. */`,
    cwd: join(root, 'schemas'),
    maxItems: -1,
    additionalProperties: false,
    style: { singleQuote: true, printWidth: 100 },
  });
  const output = join(target, `${name}.ts`);
  if (!check) writeFileSync(output, types);
  else if (readOrEmpty(output) !== types) stale.push(output);
}
if (stale.length > 0) {
  console.error(`Not what the schemas say; run "npm run types":\n${stale.join('\n')}`);
  process.exit(1);
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
