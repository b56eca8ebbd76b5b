/**
 * Whether the suites notice mistakes: each mutant of the lists is put into a copy of the source, alone,
 * and the suite that it names has to fail; without any it has to pass. `npm run mutants` runs all,
 * `npm run mutants -- breaker upload` those whose name contains one of the words.
 *
 * One line for each mutant says what caught it: a seed of the simulation, or a test. A suite that does
 * not end counts as failed, as it does in CI.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { engineMutants } from './engine-mutants.ts';
import { mutate, suites, type Mutant, type SuiteName } from './mutant.ts';
import { storeMutants } from './store-mutants.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const COPIED = ['src', 'test', 'schemas', 'package.json', 'tsconfig.json'];
const WORKERS = 2;
const SUITE_LIMIT_MS = 180_000;

interface Run {
  /** What failed; null where everything passed. */
  readonly caughtBy: string | null;
  readonly tookMs: number;
}

/** What one worker does in its copy; resolves with whether it went as it should. */
type Job = (copy: string) => Promise<boolean>;

let passed = 0;
let failed = 0;

const words = process.argv.slice(2);
const mutants = [...engineMutants, ...storeMutants].filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);

await main();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

async function main(): Promise<void> {
  const rotten = mutants.flatMap((mutant) => complaintOf(mutant));
  for (const complaint of rotten) console.log(`ROTTEN    ${complaint}`);
  failed += rotten.length;
  if (rotten.length > 0) return;
  const used = [...new Set(mutants.map(({ suite }) => suite))];
  const jobs = [...used.map(passUnmutated), ...mutants.map(catchMutant)];
  const directory = mkdtempSync(join(tmpdir(), 'mutants-'));
  try {
    await Promise.all(
      Array.from({ length: WORKERS }, (_, n) => work(join(directory, `${n}`), jobs)),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function complaintOf(mutant: Mutant): string[] {
  try {
    const text = readFileSync(join(ROOT, mutant.file), 'utf8');
    return mutate(text, mutant) === text ? [`${mutant.name}: it changes nothing.`] : [];
  } catch (error) {
    return [String((error as Error).message)];
  }
}

async function work(copy: string, jobs: Job[]): Promise<void> {
  for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
    if (!(await job(copy))) failed += 1;
  }
}

function passUnmutated(suite: SuiteName): Job {
  return async (copy) => {
    const { caughtBy, tookMs } = await run(suite, copy);
    const verdict = caughtBy === null ? 'passes  ' : 'FAILS   ';
    console.log(`${verdict}  ${suite}, without a mutant (${caughtBy ?? ''}${seconds(tookMs)})`);
    return caughtBy === null;
  };
}

function catchMutant(mutant: Mutant): Job {
  return async (copy) => {
    const path = join(copy, mutant.file);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, mutate(text, mutant));
    const { caughtBy, tookMs } = await run(mutant.suite, copy);
    writeFileSync(path, text);
    const verdict = caughtBy === null ? 'SURVIVES' : 'caught  ';
    const by = caughtBy === null ? mutant.suite : `${mutant.suite}: ${caughtBy}`;
    console.log(`${verdict}  ${mutant.name} (${by}, ${seconds(tookMs)})`);
    if (caughtBy !== null) passed += 1;
    return caughtBy !== null;
  };
}

/** The suite's one file, in a process of its own. */
function run(name: SuiteName, cwd: string): Promise<Run> {
  const { file, ...suite } = suites[name];
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', '--test-reporter=tap', file];
    const env = { ...process.env, ...('env' in suite ? suite.env : {}) };
    const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let isOverdue = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    }
    const timer = setTimeout(() => {
      isOverdue = true;
      child.kill('SIGKILL');
    }, SUITE_LIMIT_MS);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      const tookMs = performance.now() - started;
      if (code === 0) return resolve({ caughtBy: null, tookMs });
      const caughtBy = isOverdue ? 'it did not end' : whatFailed(output);
      if (caughtBy !== null) return resolve({ caughtBy, tookMs });
      // A mistake that does not even load says nothing of the suite.
      reject(
        new Error(`${file} ended with ${code} before any test failed:\n${output.slice(-2_000)}`),
      );
    });
  });
}

function whatFailed(output: string): string | null {
  const seed = /seed (\d+) failed/.exec(output)?.[1];
  if (seed !== undefined) return `seed ${seed}`;
  const test = /^ *not ok \d+ - (.*)$/m.exec(output)?.[1];
  return test === undefined ? null : `“${test}”`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
