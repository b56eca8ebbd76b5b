/**
 * A real `alarik-replication serve` of dist/ in a process of its own, for tests that need
 * sockets, signals or a kill.
 *
 * It starts with an environment of its own (nothing of the caller's but PATH), on a free port, and
 * with the probe plugin unless told otherwise. Every process is killed by its pid when the test file
 * ends, whatever the tests did.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMIT_MS } from './until.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** As `npm run build` made it: starts in less than half the time that the sources take. */
const PROGRAM = 'dist/start.cjs';

export const REPLICATION_PLUGIN = fileURLToPath(new URL('../../plugin.json', import.meta.url));
export const PROBE_PLUGIN = fileURLToPath(new URL('./plugins/probe/plugin.json', import.meta.url));
export const ADMIN = { username: 'alarik', password: 'correct horse battery staple' } as const;

export interface ServerOptions {
  readonly dataDirectory: string;
  /** The manifest; the probe plugin's where absent. */
  readonly plugin?: string;
  /** Further arguments of `serve`. */
  readonly args?: readonly string[];
  /** Options of `node` itself. */
  readonly nodeOptions?: readonly string[];
  /** Added to (undefined: taken from) ADMIN_PASSWORD, which is that of {@link ADMIN}. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface FinishedProcess extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
}

export interface ServerProcess {
  /** `http://127.0.0.1:<port>`, as the server printed it. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  stdout(): string;
  /** The JSON log. */
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, then waits for the end. */
  stop(): Promise<ExitStatus>;
  /** SIGKILL, then waits for the end. */
  kill(): Promise<ExitStatus>;
}

const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

/** Resolves once the server has printed its address; rejects with its output when it ends before. */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const { dataDirectory, plugin = PROBE_PLUGIN, args = [], environment = {} } = options;
  const { nodeOptions = [] } = options;
  const child = spawnCommand(
    ['serve', '--port', '0', '--data', dataDirectory, '--plugin', plugin, ...args],
    { ADMIN_PASSWORD: ADMIN.password, ...environment },
    nodeOptions,
  );
  const output = collectOutput(child);
  const exited = exitOf(child);
  const url = await addressOf(child, output, exited);
  return {
    url,
    port: Number(new URL(url).port),
    pid: child.pid!,
    exited,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    signal: (signal) => void child.kill(signal),
    stop: () => endWith(child, 'SIGTERM', exited),
    kill: () => endWith(child, 'SIGKILL', exited),
  };
}

/** Runs a command that is expected to end by itself, and returns all that it said. */
export async function runCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<FinishedProcess> {
  const child = spawnCommand(args, environment);
  const output = collectOutput(child);
  const deadline = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const status = await exitOf(child);
  clearTimeout(deadline);
  return { ...status, ...output };
}

/** Logs in over the internal API and returns the token. */
export async function logIn(
  url: string,
  user: { readonly username: string; readonly password: string } = ADMIN,
): Promise<string> {
  const { username, password } = user;
  const response = await fetch(`${url}/api/v1/users/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  const body = (await response.json()) as { token?: string };
  if (body.token === undefined) throw new Error(`Login answered ${response.status}.`);
  return body.token;
}

function spawnCommand(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  nodeOptions: readonly string[] = [],
): ChildProcess {
  const child = spawn(process.execPath, [...nodeOptions, PROGRAM, ...args], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

interface Output {
  stdout: string;
  stderr: string;
}

function collectOutput(child: ChildProcess): Output {
  const output: Output = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return output;
}

/** `close` rather than `exit`: the output is complete then. */
async function exitOf(child: ChildProcess): Promise<ExitStatus> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal };
}

async function addressOf(
  child: ChildProcess,
  output: Output,
  exited: Promise<ExitStatus>,
): Promise<string> {
  const printed = new Promise<string>((resolve) => {
    child.stdout!.on('data', () => {
      const url = /listening on (http:\/\/\S+)\n/.exec(output.stdout)?.[1];
      // The rest of the announcement (a password, perhaps) follows; its last line is the mark.
      if (url !== undefined && output.stdout.includes('Stop it with')) resolve(url);
    });
  });
  let deadline: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    deadline = setTimeout(() => reject(new Error('The server did not start.')), LIMIT_MS);
  });
  const ended = exited.then(({ code, signal }): never => {
    throw new Error(`The server ended (${code ?? signal}) at start:\n${output.stderr}`);
  });
  ended.catch(() => undefined);
  try {
    return await Promise.race([printed, ended, late]);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(deadline);
  }
}

async function endWith(
  child: ChildProcess,
  signal: NodeJS.Signals,
  exited: Promise<ExitStatus>,
): Promise<ExitStatus> {
  child.kill(signal);
  return await exited;
}
