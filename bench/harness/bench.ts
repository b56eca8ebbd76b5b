/**
 * What a bench is, and how one is run: alone from its file's command line, or with all others
 * (bench/run.ts).
 *
 * A full run keeps its findings in bench/results/results.json and draws its curves to docs/. A smoke
 * run does the same work, as little of it as possible, to show that the bench still runs; its numbers
 * mean nothing, and it writes nothing. With `--profiles <directory>` the subjects leave CPU profiles
 * there, which slows them, so that such a run writes nothing either.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect, parseArgs } from 'node:util';
import { CHECKOUT, compileTree, type CompiledTree } from './compiled-tree.ts';
import { drawCurve } from './curve-svg.ts';
import { readMachineFacts } from './machine.ts';
import type { PairOptions } from './pairs.ts';
import { Program, type ProgramOptions } from './program.ts';
import { isMet, keepFindings, type Findings, type KeptFindings } from './results.ts';
import { SubjectProcess } from './subject-process.ts';
import { formatReport } from './table.ts';

const RESULTS = join(CHECKOUT, 'bench/results/results.json');
const DOCS = join(CHECKOUT, 'docs');
/** The longest bench takes a third of it; one that hangs must not keep the others from running. */
const LIMIT_MS = 20 * 60_000;

export interface Bench {
  /** The name of its file. */
  readonly name: string;
  run(context: BenchContext): Promise<Findings>;
}

export interface RunOptions {
  readonly smoke: boolean;
  readonly results: string;
  readonly docs: string;
  /** Where the subjects leave CPU profiles; null: nowhere. */
  readonly profiles: string | null;
}

/** Starts processes and makes directories, and cleans up after both. */
export class BenchContext {
  readonly smoke: boolean;
  readonly #tree: CompiledTree;
  readonly #profiles: string | null;
  readonly #processes = new Set<{ close(): Promise<void> }>();
  readonly #directories: string[] = [];

  constructor(tree: CompiledTree, options: Pick<RunOptions, 'smoke' | 'profiles'>) {
    this.#tree = tree;
    this.#profiles = options.profiles;
    this.smoke = options.smoke;
  }

  /** `full` in a full run, `smoke` in a smoke run. */
  pick<T>(full: T, smoke: T): T {
    return this.smoke ? smoke : full;
  }

  /** Five pairs after one warm-up, unless told otherwise; one pair in a smoke run. */
  pairs(full: Partial<PairOptions> = {}): PairOptions {
    return this.smoke ? { pairs: 1, warmUps: 0 } : { pairs: 5, warmUps: 1, ...full };
  }

  /** A new empty directory. */
  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'alarik-bench-'));
    this.#directories.push(path);
    return path;
  }

  /** The compiled form of a file of the checkout. */
  file(path: string): string {
    return this.#tree.file(path);
  }

  /** @param name of a file in bench/subjects/, without its ending */
  async start(
    name: string,
    parameters: unknown,
    nodeOptions?: readonly string[],
  ): Promise<SubjectProcess> {
    return this.startFile(`bench/subjects/${name}.ts`, parameters, nodeOptions);
  }

  async startFile(
    path: string,
    parameters: unknown,
    nodeOptions: readonly string[] = [],
  ): Promise<SubjectProcess> {
    const profile = this.#profiles === null ? [] : profileOptions(this.#profiles, path);
    const options = [...nodeOptions, ...profile];
    const subject = await SubjectProcess.start(this.file(path), parameters, options);
    this.#processes.add(subject);
    return subject;
  }

  /** A program of the checkout, as its command line runs it. */
  program(path: string, options: Omit<ProgramOptions, 'command'>): Program {
    const profile = this.#profiles === null ? [] : profileOptions(this.#profiles, path);
    const args = [...profile, this.file(path), ...options.args];
    return this.tool({ ...options, command: process.execPath, args });
  }

  /** A program that is installed on the machine. */
  tool(options: ProgramOptions): Program {
    const program = new Program(options);
    this.#processes.add(program);
    return program;
  }

  log(text: string): void {
    process.stderr.write(`${text}\n`);
  }

  async close(): Promise<void> {
    for (const process of this.#processes) await process.close();
    for (const path of this.#directories) rmSync(path, { recursive: true, force: true });
  }
}

/** Runs the bench where its file is what node was told to run; does nothing where it was imported. */
export async function runIfMain(fileUrl: string, bench: Bench): Promise<void> {
  if (process.argv[1] === undefined || fileURLToPath(fileUrl) !== process.argv[1]) return;
  await runBenches([bench], readArguments());
}

export function readArguments(): RunOptions {
  const { values } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      results: { type: 'string', default: RESULTS },
      docs: { type: 'string', default: DOCS },
      profiles: { type: 'string' },
    },
  });
  return { ...values, profiles: values.profiles ?? null };
}

/** Profiles are named after the subject; bench/profile-summary.ts reads them. */
function profileOptions(directory: string, path: string): string[] {
  const name = `${basename(path, '.ts')}-${randomUUID().slice(0, 8)}.cpuprofile`;
  return ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${name}`];
}

/**
 * Runs them one after the other, each whatever became of the others, and says in the end how long
 * each took. The process's exit code is 1 where one failed; a missed budget is a finding, no failure.
 */
export async function runBenches(benches: readonly Bench[], options: RunOptions): Promise<void> {
  const tree = compileTree();
  const ends: string[] = [];
  try {
    for (const bench of benches) ends.push(await runBench(bench, tree, options));
  } finally {
    tree.remove();
  }
  if (ends.length > 1) process.stdout.write(`\n${ends.join('\n')}\n`);
}

/** Never rejects; tells in a line how it ended. */
async function runBench(bench: Bench, tree: CompiledTree, options: RunOptions): Promise<string> {
  const started = performance.now();
  const seconds = (): string => `${((performance.now() - started) / 1000).toFixed(1)} s`;
  try {
    const kept = await measure(bench, tree, options);
    process.stdout.write(`\n## ${bench.name}${options.smoke ? ' (smoke)' : ''}: ${seconds()}\n\n`);
    process.stdout.write(`${formatReport({ [bench.name]: kept }, relative(CHECKOUT, DOCS))}\n`);
    keep(bench, kept, options);
    const missed = kept.rows.filter((row) => isMet(row) === false).length;
    return `${bench.name}: ${seconds()}, ${options.smoke ? 'runs' : `${missed} budgets missed`}`;
  } catch (error) {
    process.exitCode = 1;
    process.stderr.write(`\n## ${bench.name}: failed after ${seconds()}\n\n${inspect(error)}\n`);
    return `${bench.name}: FAILED after ${seconds()}`;
  }
}

/** @throws what the bench throws, or Error where it does not end in time */
async function measure(
  bench: Bench,
  tree: CompiledTree,
  options: RunOptions,
): Promise<KeptFindings> {
  const machine = readMachineFacts();
  const context = new BenchContext(tree, options);
  let deadline: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const end = (): void => reject(new Error('It does not come to an end.'));
    deadline = setTimeout(end, LIMIT_MS);
  });
  try {
    const findings = await Promise.race([bench.run(context), late]);
    const command = `node --import tsx bench/${bench.name}.ts`;
    return { ...findings, measuredAt: new Date().toISOString(), command, machine };
  } finally {
    clearTimeout(deadline);
    await context.close();
  }
}

function keep({ name }: Bench, kept: KeptFindings, options: RunOptions): void {
  if (options.smoke || options.profiles !== null) return;
  keepFindings(options.results, name, kept);
  mkdirSync(options.docs, { recursive: true });
  for (const curve of kept.curves ?? []) {
    const path = join(options.docs, `${curve.file}.svg`);
    writeFileSync(path, drawCurve(curve));
    process.stdout.write(`${relative(CHECKOUT, path)}\n`);
  }
}
