/**
 * The test files that draw what they do from a seed, again and again with seeds of their own, until
 * the time is over: `npm run test:random -- --seconds 600 store versioning` takes those whose path
 * contains one of the words. Each file is tried once at least.
 *
 * One line for each file and seed; where one fails, its output and the command that repeats it. Exits
 * with 1 where anything failed or no file matches.
 */
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What makes a file depend on the seed. */
const SEEDED = /\/(seed|schedules)\.ts'/;
const SECONDS = '300';
/** Fewer cases under more seeds: a round is to end soon. Each file can do more by these variables. */
const ROUND = {
  SIMULATION_RUNS: '200',
  CONFIGURATION_RUNS: '2',
} as const;
/** A file that hangs has failed. */
const FILE_LIMIT_MS = 15 * 60_000;

const { values, positionals: words } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: SECONDS } },
});

const files = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test', name))
  .filter((file) => SEEDED.test(readFileSync(join(ROOT, file), 'utf8')))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();

if (files.length === 0) {
  console.error(`No test file with random cases matches ${words.join(', ')}.`);
  process.exit(1);
}

const endMs = performance.now() + Number(values.seconds) * 1_000;
const commands: string[] = [];
let runs = 0;
for (let round = 1; round === 1 || performance.now() < endMs; round += 1) {
  for (const file of files) {
    if (round > 1 && performance.now() >= endMs) break;
    runs += 1;
    const command = run(file, randomInt(2 ** 31));
    if (command !== null) commands.push(command);
  }
}

console.log(`${runs} runs of ${files.length} files, ${commands.length} failed`);
for (const command of commands) console.log(`Repeat with: ${command}`);
process.exit(commands.length === 0 ? 0 : 1);

/** @returns the command that repeats the run, where it failed */
function run(file: string, seed: number): string | null {
  const chosen = { ...ROUND, ALARIK_TEST_SEED: String(seed) };
  const args = ['--import', 'tsx', '--test', file];
  const beganMs = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    env: { ...process.env, ...chosen },
    encoding: 'utf8',
    timeout: FILE_LIMIT_MS,
    maxBuffer: Infinity,
  });
  const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1);
  const hasPassed = status === 0;
  console.log(`${hasPassed ? 'passed' : 'FAILED'} ${file} with seed ${seed} in ${seconds} s`);
  if (hasPassed) return null;
  console.log(stdout + stderr);
  const variables = Object.entries(chosen).map(([name, value]) => `${name}=${value}`);
  return [...variables, 'node', ...args].join(' ');
}
