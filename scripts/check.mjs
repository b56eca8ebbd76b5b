/** Everything that must hold before a change lands, in the order that fails fastest. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const steps = [
  ['format', 'npx', ['prettier', '--check', '.']],
  ['generated types', 'node', ['scripts/generate-types.mjs', '--check']],
  ['types', 'npx', ['tsc', '-p', 'tsconfig.json']],
  ['lint', 'npx', ['eslint', '.', '--max-warnings=0']],
  ['tests', 'npm', ['test']],
  ['benches run', 'node', ['--import', 'tsx', 'bench/run.ts', '--smoke']],
  ['pack and import', 'node', ['scripts/pack-and-import.mjs']],
];

for (const [name, command, args] of steps) {
  console.log(`\n== ${name}: ${command} ${args.join(' ')}`);
  const started = Date.now();
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) {
    console.error(`== ${name}: failed`);
    process.exit(status ?? 1);
  }
  console.log(`== ${name}: passed in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
