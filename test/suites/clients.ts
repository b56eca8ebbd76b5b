/**
 * Runs Debian's AWS CLI and rclone, unmodified, against a fresh server.
 *
 *     node --import tsx test/suites/clients.ts [aws|rclone …] [-- command that runs the server]
 *
 * The command is `node dist/start.cjs` where none is given. Ends with 0 when every check passed. Where
 * a program is missing it names the package and ends with 1: a check that cannot run is no success.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AWS, awsChecks } from './aws-checks.ts';
import { startServer, type Check } from './client-suite.ts';
import { RCLONE, rcloneChecks } from './rclone-checks.ts';

const clients = {
  aws: { program: AWS, package: 'awscli', checks: awsChecks },
  rclone: { program: RCLONE, package: 'rclone', checks: rcloneChecks },
} as const;

const LOG_TAIL_CHARACTERS = 4_000;
const defaultCommand = [
  process.execPath,
  fileURLToPath(new URL('../../dist/start.cjs', import.meta.url)),
];

process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;

async function main(args: readonly string[]): Promise<boolean> {
  const separator = args.indexOf('--');
  const names = separator === -1 ? args : args.slice(0, separator);
  const command = separator === -1 ? defaultCommand : args.slice(separator + 1);
  const chosen = Object.entries(clients).filter(
    ([name]) => names.length === 0 || names.includes(name),
  );
  const missing = chosen.filter(([, { program }]) => !existsSync(program));
  if (missing.length > 0) {
    const programs = missing.map(([, { program }]) => program).join(', ');
    const packages = missing.map(([, client]) => client.package).join(' ');
    console.error(`Cannot run: ${programs} is missing. Install: apt-get install ${packages}`);
    return false;
  }
  return await runAll(chosen, command);
}

async function runAll(
  chosen: readonly (readonly [string, (typeof clients)[keyof typeof clients]])[],
  command: readonly string[],
): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'clients-'));
  let [passed, failed] = [0, 0];
  const attempt = async (name: string, work: () => Promise<void>): Promise<void> => {
    const start = performance.now();
    try {
      await work();
      passed += 1;
      console.log(`ok      ${name} (${Math.round(performance.now() - start)} ms)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error instanceof Error ? error.message : String(error)}`);
    }
  };
  try {
    const server = await startServer(command, join(directory, 'data'));
    for (const [client, { checks }] of chosen) {
      for (const [index, [name, check]] of Object.entries<Check>(checks).entries()) {
        const own = join(directory, `${client}-${index}`);
        mkdirSync(own);
        await attempt(`${client}: ${name}`, () =>
          check({ endpoint: server.endpoint, directory: own }),
        );
        rmSync(own, { recursive: true, force: true });
      }
    }
    await attempt('the server is still there and stops cleanly', () => server.stop());
  } catch (error) {
    failed += 1;
    console.log(`FAILED  start\n${String(error)}`);
  }
  if (failed > 0) printLog(join(directory, 'server.log'));
  rmSync(directory, { recursive: true, force: true });
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && passed > 0;
}

function printLog(path: string): void {
  if (existsSync(path)) console.log(readFileSync(path, 'utf8').slice(-LOG_TAIL_CHARACTERS));
}
