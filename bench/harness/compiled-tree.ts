/**
 * A copy of the checkout as JavaScript, for the processes that are measured.
 *
 * The benches themselves run through tsx, but tsx wraps every named function that is created
 * (`keepNames`), which costs time in closures made per request and keeps a compiler in memory. What
 * users run is what tsc emits, so that is what is measured: each file is transpiled on its own, types
 * unchecked, into a temporary directory whose layout equals the checkout's.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));

const FOLDERS = ['src', 'bench'];
const SHARED = ['node_modules', 'package.json'];
/** A link would not do: what a plugin's manifest names must lie in its own folder. */
const COPIED = ['schemas'];

const compilerOptions: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  rewriteRelativeImportExtensions: true,
};

export interface CompiledTree {
  /** Absolute; ends like the checkout's own paths, with `.js` for `.ts`. */
  file(path: string): string;
  remove(): void;
}

export function compileTree(): CompiledTree {
  const root = mkdtempSync(join(tmpdir(), 'alarik-bench-compiled-'));
  for (const name of SHARED) symlinkSync(join(CHECKOUT, name), join(root, name));
  for (const name of COPIED) cpSync(join(CHECKOUT, name), join(root, name), { recursive: true });
  for (const folder of FOLDERS) compileFolder(root, folder);
  const manifest = JSON.parse(readFileSync(join(CHECKOUT, 'plugin.json'), 'utf8')) as object;
  writeFileSync(
    join(root, 'plugin.json'),
    JSON.stringify({ ...manifest, entry: './src/plugin.js' }),
  );
  return {
    file: (path) => join(root, path.replace(/\.ts$/, '.js')),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

function compileFolder(root: string, folder: string): void {
  const entries = readdirSync(join(CHECKOUT, folder), { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(root, relative(CHECKOUT, source)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(target), { recursive: true });
    const text = readFileSync(source, 'utf8');
    writeFileSync(target, ts.transpileModule(text, { compilerOptions }).outputText);
  }
}
