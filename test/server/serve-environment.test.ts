import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ADMIN, logIn, runCommand, startServer } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const json = { 'Content-Type': 'application/json' };

describe('the environment', () => {
  it('may hold a password of one character and a short token secret, which is warned of', async (t) => {
    const server = await startServer({
      dataDirectory: temporaryDirectory(t),
      environment: { ADMIN_PASSWORD: 'x', JWT: 's' },
    });
    await logIn(server.url, { username: 'alarik', password: 'x' });
    await until(() => /"level":40.*JWT/.test(server.stderr()), 'the warning');
    assert.doesNotMatch(server.stdout(), /shown only this once/);
    await server.stop();
  });

  it('without a password makes the first start print one, once, on stdout only', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const start = () => startServer({ dataDirectory, environment: { ADMIN_PASSWORD: undefined } });
    const first = await start();
    const password = /Password: +(\S+) +\(shown only this once\)/.exec(first.stdout())?.[1];
    assert.ok(password !== undefined);
    await logIn(first.url, { username: 'alarik', password });
    await first.stop();
    assert.doesNotMatch(first.stderr(), new RegExp(password));
    assert.doesNotMatch(first.stderr(), /"level":40/);
    const second = await start();
    assert.doesNotMatch(second.stdout(), /shown only this once/);
    await logIn(second.url, { username: 'alarik', password });
    await second.stop();
  });

  it('changes the password at a later start', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    await (await startServer({ dataDirectory })).stop();
    const server = await startServer({ dataDirectory, environment: { ADMIN_PASSWORD: 'other' } });
    await assert.rejects(logIn(server.url, ADMIN), /401/);
    await logIn(server.url, { username: 'alarik', password: 'other' });
    await server.stop();
  });

  it('closes the creation of accounts unless it opens it', async (t) => {
    const server = await startServer({ dataDirectory: temporaryDirectory(t) });
    const response = await fetch(`${server.url}/api/v1/users`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ name: 'Eve', username: 'eve', password: 'password of eve' }),
    });
    assert.equal(response.status, 403);
    const { code } = (await response.json()) as { code: string };
    assert.equal(code, 'AccountCreationDisabled');
    await server.stop();
  });

  it('refuses values that mean nothing', async () => {
    const result = await runCommand(['serve'], { ALLOW_ACCOUNT_CREATION: 'perhaps' });
    assert.equal(result.code, 2);
    assert.match(result.stderr, /ALLOW_ACCOUNT_CREATION must be/);
  });
});

describe('what is left behind', () => {
  it('is private, and has no secret in it in clear', async (t) => {
    const dataDirectory = join(temporaryDirectory(t), 'data');
    const jwt = 'the secret of the tokens of this test';
    const server = await startServer({
      dataDirectory,
      environment: {
        JWT: jwt,
        DEFAULT_ACCESS_KEY: 'DEFAULTID',
        DEFAULT_SECRET_KEY: 'the default secret key',
      },
    });
    const token = await logIn(server.url);
    const headers = { ...json, Authorization: `Bearer ${token}` };
    const made = await fetch(`${server.url}/api/v1/users/accessKeys`, { method: 'POST', headers });
    const { secretAccessKey } = (await made.json()) as { secretAccessKey: string };
    const wrong = '{"username":"alarik","password":"a mistyped password",}';
    await fetch(`${server.url}/api/v1/users/login?password=in-a-query`, {
      method: 'POST',
      headers: json,
      body: wrong,
    });
    await server.stop();
    const secrets = [
      ADMIN.password,
      jwt,
      'the default secret key',
      token,
      secretAccessKey,
      'a mistyped password',
      'in-a-query',
    ];
    const files = everythingBelow(dataDirectory);
    for (const { path, mode, isDirectory } of files) {
      assert.equal(mode, isDirectory ? 0o700 : 0o600, path);
      if (isDirectory) continue;
      const content = readFileSync(path);
      for (const secret of secrets) assert.equal(content.includes(secret), false, path);
    }
    assert.ok(files.some(({ path }) => path.endsWith('server.key')));
    for (const secret of secrets) {
      assert.equal(server.stderr().includes(secret), false);
      assert.equal(server.stdout().includes(secret), false);
    }
  });
});

function everythingBelow(
  directory: string,
): { path: string; mode: number; isDirectory: boolean }[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return ['', ...names].map((name) => {
    const path = join(directory, name);
    const stat = statSync(path);
    return { path, mode: stat.mode & 0o777, isDirectory: stat.isDirectory() };
  });
}
