/**
 * The replication plugin for `serve --plugin` in another form than it ships: a folder whose manifest is
 * plugin.json with other hooks, or with another entry.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url);

export interface PluginForm {
  /** Taken off the manifest's list, so that the server never calls them. */
  readonly withoutHooks?: readonly string[];
  /** Whose `activate` the server calls; by default that of dist/. */
  readonly module?: URL;
}

/** Makes `directory` and returns the path of the manifest in it. */
export function writePlugin(
  directory: string,
  { withoutHooks = [], module = new URL('dist/plugin.js', root) }: PluginForm,
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
