/** Runs one of the programs of test/support/ in a process of its own, from source. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LIMIT_MS } from './until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface FinishedProgram {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProgramOptions {
  /** What comes before `node`, for instance a tracer. */
  readonly prefix?: readonly string[];
  /** Options of `node` itself. */
  readonly nodeOptions?: readonly string[];
}

/** Resolves when the program ends; kills one that has no end (signal SIGKILL in the result). */
export async function runProgram(
  name: string,
  args: readonly string[],
  { prefix = [], nodeOptions = [] }: ProgramOptions = {},
): Promise<FinishedProgram> {
  const program = fileURLToPath(new URL(name, import.meta.url));
  const [command = '', ...rest] = [
    ...prefix,
    ...[process.execPath, ...nodeOptions, '--import', 'tsx', program, ...args],
  ];
  const child = spawn(command, rest, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const deadline = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  try {
    return await collect(child);
  } finally {
    clearTimeout(deadline);
  }
}

async function collect(child: ChildProcess): Promise<FinishedProgram> {
  const output = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...output };
}
