/**
 * Packs the package as npm would publish it, installs the tarball into an empty project and imports
 * every public entry point there: what works only inside this checkout fails here.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'alarik-replication-pack-'));
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

try {
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', project], root));
  writeFileSync(
    join(project, 'package.json'),
    '{"name":"importer","private":true,"type":"module"}',
  );
  run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--prefer-offline', join(project, packed.filename)],
    project,
  );
  writeFileSync(
    join(project, 'import.mjs'),
    `
    import assert from 'node:assert/strict';
    import { readFileSync } from 'node:fs';
    import { createRequire } from 'node:module';
    const plugin = await import('alarik-replication');
    assert.equal(typeof plugin.activate, 'function');
    const store = await import('alarik-replication/store');
    assert.equal(typeof store.openReader, 'function');
    await import('alarik-replication/host');
    const manifest = createRequire(import.meta.url).resolve('alarik-replication/plugin.json');
    assert.equal(JSON.parse(readFileSync(manifest, 'utf8')).id, 'alarik-replication');
    `,
  );
  run('node', ['import.mjs'], project);
  const version = run('npx', ['--no-install', 'alarik-replication', '--version'], project).trim();
  console.log(
    `${packed.filename} (${packed.files.length} files) installs, imports and runs: ${version}`,
  );
} finally {
  rmSync(project, { recursive: true, force: true });
}
