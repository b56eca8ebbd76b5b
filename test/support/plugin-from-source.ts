/**
 * The replication plugin for `serve --plugin`, from source: a folder whose manifest is plugin.json
 * with another entry, which imports src/plugin.ts. Tests of the whole need no build.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url);

/**
 * Makes `directory` and returns the path of the manifest in it.
 *
 * @param withoutHooks taken off the manifest's list, so that the server never calls them
 * @param module whose `activate` the server calls: one of the tests, perhaps, around that of src/
 */
export function writePluginFromSource(
  directory: string,
  withoutHooks: readonly string[] = [],
  module = new URL('src/plugin.ts', root),
): string {
  mkdirSync(directory, { recursive: true });
  const text = readFileSync(new URL('plugin.json', root), 'utf8');
  const original = JSON.parse(text) as { readonly hooks: readonly string[] };
  const manifest = {
    ...original,
    hooks: original.hooks.filter((hook) => !withoutHooks.includes(hook)),
    entry: './plugin.mjs',
    optionsSchema: './options.schema.json',
  };
  const path = join(directory, 'plugin.json');
  writeFileSync(path, JSON.stringify(manifest));
  copyFileSync(
    new URL('schemas/options.schema.json', root),
    join(directory, 'options.schema.json'),
  );
  writeFileSync(
    join(directory, 'plugin.mjs'),
    `export { activate } from ${JSON.stringify(module.href)};\n`,
  );
  return path;
}
