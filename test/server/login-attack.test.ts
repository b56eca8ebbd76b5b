import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ADMIN, startServer, type ServerProcess } from '../support/server-process.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const ATTACKERS = 12;
const LOGINS = 6;

/** Behind a proxy everybody has one address, and who guesses from there held up who knows. */
describe('an attack on the logins behind a proxy', () => {
  const dataDirectory = temporaryDirectory({ after });
  let server: ServerProcess;
  let isOver = false;
  let attackers: Promise<void>[] = [];
  const answered = new Map<number, number>();

  before(async () => {
    server = await startServer({ dataDirectory, args: ['--trusted-proxies', '127.0.0.0/8'] });
    // The administrator was here before, at the address that the attack comes from too.
    assert.equal(await logIn(ADMIN, '203.0.113.66'), 200);
    attackers = Array.from({ length: ATTACKERS }, (_, index) => attack(index));
  });
  after(async () => {
    isOver = true;
    await Promise.all(attackers);
    await server.stop();
  });

  async function logIn(
    user: { readonly username: string; readonly password: string },
    address: string,
  ): Promise<number> {
    const answer = await fetch(`${server.url}/api/v1/users/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Forwarded-For': address },
      body: JSON.stringify({ username: user.username, password: user.password }),
    });
    await answer.text();
    return answer.status;
  }

  /** Guesses without a pause, at the administrator's password and at names that nobody has. */
  async function attack(index: number): Promise<void> {
    for (let round = 0; !isOver; round += 1) {
      const username = index % 2 === 0 ? ADMIN.username : `nobody-${index}-${round}`;
      const status = await logIn({ username, password: `guess ${round}` }, '203.0.113.66');
      answered.set(status, (answered.get(status) ?? 0) + 1);
      assert.notEqual(status, 200);
    }
  }

  it('is held back', async () => {
    while ((answered.get(429) ?? 0) < 20) await new Promise((resolve) => setTimeout(resolve, 20));
  });

  it('keeps the administrator out neither at a known address, the attackers own', async () => {
    for (let i = 0; i < LOGINS; i += 1) assert.equal(await logIn(ADMIN, '203.0.113.66'), 200);
  });

  it('nor at new ones', async () => {
    for (let i = 0; i < LOGINS; i += 1) assert.equal(await logIn(ADMIN, `198.51.100.${i}`), 200);
  });

  it('cannot choose its address', async () => {
    // What it writes itself stands left of what the proxy adds, and is not looked at.
    const refused = { username: 'nobody-1-0', password: 'x' };
    assert.equal(await logIn(refused, '198.51.100.77, 203.0.113.66'), 429);
  });
});
