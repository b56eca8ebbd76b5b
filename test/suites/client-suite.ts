/**
 * What the checks with real S3 clients share: a fresh server, programs to run, files to compare.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export const REGION = 'eu-suite-1';
export const CREDENTIALS = { accessKeyId: 'AKSUITE', secretAccessKey: 'secret/of+the=suite' };

const START_MS_MAX = 60_000;
const RUN_MS_MAX = 300_000;
const MIB = 1024 * 1024;
/** Around the limits of one PUT, of one part and of the clients' multipart thresholds. */
export const SIZES = [0, 1, 65_537, 5 * MIB, 8 * MIB + 1, 200 * MIB];

/** Where one check works. */
export interface CheckContext {
  readonly endpoint: string;
  /** An empty directory of the check's own. */
  readonly directory: string;
}

/** Passes unless it throws. */
export type Check = (context: CheckContext) => Promise<void>;

export interface Output {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, with nothing of the caller's environment but the path. */
export async function run(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Output> {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_MS_MAX,
  });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: stdout(), stderr: stderr() };
}

/** As {@link run}; throws with the program's own words unless it succeeds. Returns stdout. */
export async function succeed(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, environment);
  assert.equal(code, 0, `${program} ${args.join(' ')}\n${stdout}\n${stderr}`);
  return stdout;
}

export interface RunningServer {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/**
 * Starts the server and waits until it says where it listens.
 *
 * @param command what runs the command line, for instance ["node", "dist/start.cjs"]
 */
export async function startServer(
  command: readonly string[],
  dataDirectory: string,
): Promise<RunningServer> {
  const [program, ...args] = command;
  const child = spawn(program!, [...args, 'serve', '--port', '0', '--data', dataDirectory], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ALARIK_REGION: REGION,
      DEFAULT_ACCESS_KEY: CREDENTIALS.accessKeyId,
      DEFAULT_SECRET_KEY: CREDENTIALS.secretAccessKey,
    },
    stdio: ['ignore', 'pipe', openSync(join(dirname(dataDirectory), 'server.log'), 'a')],
  });
  const endpoint = await readEndpoint(child);
  child.stdout!.resume();
  return {
    endpoint,
    async stop() {
      if (child.exitCode !== null) throw new Error(`The server ended with ${child.exitCode}.`);
      child.kill('SIGTERM');
      const [code] = (await once(child, 'exit')) as [number | null];
      assert.equal(code, 0, 'the server did not stop cleanly');
    },
  };
}

/** A file of random bytes, written in pieces. */
export function writeRandomFile(path: string, size: number): void {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'w');
  for (let left = size; left > 0; left -= MIB) writeSync(file, randomBytes(Math.min(left, MIB)));
  closeSync(file);
}

export function sha256OfFile(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** SHA-256 by relative path of every file below a directory. */
export function treeHashes(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true, encoding: 'utf8' })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    files.map((path) => [path.slice(directory.length + 1), sha256OfFile(path)]),
  );
}

/** Names that clients, URLs and XML have a meaning for. */
const awkwardNames = [
  'space in name',
  ' leading and trailing ',
  'plus+plus',
  'percent%20%2F%',
  'amp&lt;',
  '<tag>',
  '"quoted"',
  "apostrophe's",
  'back\\slash',
  'question?mark',
  'hash#tag',
  'semi;colon',
  'comma,',
  'equals=',
  'colon:',
  'at@',
  'dollar$',
  'star*',
  '(round)',
  '[square]',
  '{curly}',
  'pipe|',
  'tilde~',
  'caret^',
  'back`tick',
  'tab\there',
  'line\nbreak',
  'ümlaut',
  'u\u0308mlaut',
  '日本語',
  '😀',
  '...',
  '..dots',
  '.hidden',
  '-dash',
  '--option',
  'ends.',
  '\u2028',
  'rtl \u202e',
  '\u00a0nbsp',
  'x'.repeat(200),
  'é'.repeat(100),
];

/** Writes a tree of `count` small files whose names are taken from the awkward ones in turn. */
export function writeAwkwardTree(directory: string, count: number): void {
  for (let index = 0; index < count; index += 1) {
    const round = Math.floor(index / awkwardNames.length);
    const name = awkwardNames[index % awkwardNames.length]!;
    const folder =
      round === 0 ? '.' : round % 2 === 0 ? `folder ${round}` : `ordner+${round}/${name}`;
    const path = join(directory, folder, round === 0 ? name : `${name} ${round}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${index} ${name}`);
  }
  assert.equal(Object.keys(treeHashes(directory)).length, count);
}

function collect(stream: NodeJS.ReadableStream): () => string {
  const pieces: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => pieces.push(bytes));
  return () => Buffer.concat(pieces).toString();
}

async function readEndpoint(child: ChildProcess): Promise<string> {
  return await new Promise((resolve, reject) => {
    let text = '';
    const timer = setTimeout(() => {
      child.kill();
      reject(new Error(`The server did not start: ${text}`));
    }, START_MS_MAX);
    child.stdout!.on('data', (bytes: Buffer) => {
      text += bytes.toString();
      const endpoint = /listening on (http:\/\/\S+)/.exec(text)?.[1];
      if (endpoint === undefined) return;
      clearTimeout(timer);
      resolve(endpoint);
    });
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`The server ended with ${code}: ${text}`));
    });
  });
}
