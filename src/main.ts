/**
 * The command `alarik-replication`, begun by start.cts: finds the subcommand and turns its errors into an exit code.
 *
 * 0: done. 1: it failed, the reason is on stderr. 2: wrong usage, with the usage on stderr.
 */
import { readFileSync } from 'node:fs';
import { backup, backupUsage } from './backup.ts';
import { serve, serveUsage } from './server/serve.ts';

const PACKAGE = new URL('../package.json', import.meta.url);
const FAILED = 1;
const WRONG_USAGE = 2;
const CAUSES_MAX = 4;

const usage = `Usage: alarik-replication <command>

${serveUsage}
${backupUsage}
alarik-replication --help
alarik-replication --version
`;

const commands: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  serve,
  backup,
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const [name = '', ...rest] = args;
  if (name === '--version') return print(`${ownVersion()}\n`);
  if (name === '--help' || rest.includes('--help')) return print(usage);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    return refuse(name === '' ? 'A command is missing.' : `There is no command "${name}".`);
  }
  try {
    await command(rest);
    return 0;
  } catch (error) {
    if (errorCode(error) === 'Usage') return refuse(messageOf(error));
    process.stderr.write(`alarik-replication ${name}: ${describe(error)}\n`);
    return FAILED;
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function refuse(reason: string): number {
  process.stderr.write(`${reason}\n\n${usage}`);
  return WRONG_USAGE;
}

/** The messages of an error and its causes; codes are what scripts may look for. */
function describe(error: unknown, depth = 0): string {
  const code = errorCode(error);
  const own = `${messageOf(error)}${code === undefined ? '' : ` [${code}]`}`;
  if (!(error instanceof Error) || error.cause === undefined || depth >= CAUSES_MAX) return own;
  return `${own}\n  because: ${describe(error.cause, depth + 1)}`;
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'it failed for an unknown reason';
}

function ownVersion(): string {
  return (JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string }).version;
}
