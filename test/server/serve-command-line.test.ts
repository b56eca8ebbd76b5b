import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  PROBE_PLUGIN,
  runCommand,
  startServer,
  type ServerProcess,
} from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

describe('the command line', () => {
  const cases: readonly { args: string[]; code: number; stdout?: RegExp; stderr?: RegExp }[] = [
    { args: ['--version'], code: 0, stdout: /^\d+\.\d+\.\d+\n$/ },
    { args: ['--help'], code: 0, stdout: /serve \[options\]/ },
    { args: ['serve', '--help'], code: 0, stdout: /--data/ },
    { args: [], code: 2, stderr: /command is missing/ },
    { args: ['sreve'], code: 2, stderr: /no command "sreve"/ },
    { args: ['toString'], code: 2, stderr: /no command/ },
    { args: ['serve', '--port', 'x'], code: 2, stderr: /--port must be/ },
    { args: ['serve', '--plugin', '/nowhere/plugin.json'], code: 1, stderr: /ManifestUnreadable/ },
    { args: ['serve', '--plugin-options', '/nowhere.json'], code: 2, stderr: /cannot be read/ },
  ];
  for (const { args, code, stdout = /^$/, stderr = /^$/ } of cases) {
    it(`${JSON.stringify(args)} ends with ${code}`, async () => {
      const result = await runCommand(args);
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stdout, stdout);
      assert.match(result.stderr, stderr);
    });
  }

  const refused: readonly { options: object; code: string }[] = [
    { options: { keepVersioning: 'yes' }, code: 'OptionsInvalid' },
    { options: { failOnActivate: true }, code: 'ActivationFailed' },
  ];
  for (const { options, code } of refused) {
    it(`plugin options ${JSON.stringify(options)} end with ${code}`, async (t) => {
      const directory = temporaryDirectory(t);
      const file = join(directory, 'options.json');
      writeFileSync(file, JSON.stringify(options));
      const data = join(directory, 'data');
      const result = await runCommand(
        ['serve', '--port', '0', '--data', data, '--plugin', PROBE_PLUGIN].concat([
          '--plugin-options',
          file,
        ]),
      );
      assert.equal(result.code, 1);
      assert.match(result.stderr, new RegExp(code));
      assert.equal(result.stdout, '', 'no password is shown by a server that did not start');
    });
  }
});

describe('the commands that the server prints', () => {
  const paste = async (script: string, environment: NodeJS.ProcessEnv): Promise<string> => {
    const shell = spawn('bash', ['-c', script], {
      env: { PATH: process.env['PATH'], ...environment },
    });
    let output = '';
    shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    await once(shell, 'close');
    return output;
  };
  const commandsOf = (server: ServerProcess): string =>
    server.stdout().split('\n').slice(5).join('\n').split('\nStop it with')[0]!;

  const passwords: readonly { what: string; environment: Record<string, string | undefined> }[] = [
    { what: 'a generated password', environment: { ADMIN_PASSWORD: undefined } },
    {
      what: 'quotes of all kinds in name and password',
      environment: { ADMIN_USERNAME: `o'neil "x" $HOME`, ADMIN_PASSWORD: `'"\\$(id)` },
    },
  ];
  for (const { what, environment } of passwords) {
    it(`log in and create a bucket with ${what}`, async (t) => {
      const server = await startServer({ dataDirectory: temporaryDirectory(t), environment });
      const output = await paste(commandsOf(server), environment);
      const [bucket, ...rest] = output.trim().split('\n');
      assert.equal((JSON.parse(bucket!) as { name: string }).name, 'photos');
      // The probe plugin serves no targets; that the paths are right shows in the log.
      assert.equal(rest.length, 2);
      const put = '"PUT","path":"/api/v1/buckets/photos/replication/targets"';
      await until(() => server.stderr().includes(put), 'the PUT to be logged');
      await server.stop();
    });
  }
});
