import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { Accounts } from '../../src/server/accounts.ts';
import { Authenticator } from '../../src/server/authenticator.ts';
import { Tokens } from '../../src/server/tokens.ts';
import { temporaryServerDatabase } from '../support/server-database.ts';

const SECRET = 'a secret of the tests, long enough';
const NOW_MS = 1_700_000_000_000;
const NOW = NOW_MS / 1000;

function forge(header: object, payload: object, secret = SECRET, hash = 'sha256'): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part(header)}.${part(payload)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
}

const HS256 = { alg: 'HS256' };
const valid = { sub: 'u1', iat: NOW, exp: NOW + 60 };

describe('tokens', () => {
  const tokens = new Tokens({ secret: SECRET, clock: () => NOW_MS });

  it('name their user and live for twelve hours', async () => {
    let nowMs = NOW_MS;
    const moving = new Tokens({ secret: SECRET, clock: () => nowMs });
    const token = await moving.issue('u1');
    const payload = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as object;
    assert.deepEqual(payload, { sub: 'u1', iat: NOW, exp: NOW + 12 * 3600 });
    nowMs += 12 * 3_600_000 - 1_000;
    assert.equal(await moving.verify(token), 'u1');
    nowMs += 2_000;
    assert.equal(await moving.verify(token), null);
  });

  it('are accepted when forged with the right key (the cases below differ in one thing each)', async () => {
    assert.equal(await tokens.verify(forge(HS256, valid)), 'u1');
  });

  const unsigned = forge({ alg: 'none' }, valid).replace(/[^.]*$/, '');
  const [head, , signature] = forge(HS256, valid).split('.');
  const other = Buffer.from(JSON.stringify({ ...valid, sub: 'u2' })).toString('base64url');
  const refused: Readonly<Record<string, string>> = {
    'the empty text': '',
    'what is no token': 'abc',
    'alg none without signature': unsigned,
    'alg none with signature': forge({ alg: 'none' }, valid),
    'another algorithm under the same key': forge({ alg: 'HS512' }, valid, SECRET, 'sha512'),
    'another key': forge(HS256, valid, 'another secret of the same length'),
    'an empty key': forge(HS256, valid, ''),
    'a changed payload': `${head}.${other}.${signature}`,
    'a cut signature': forge(HS256, valid).slice(0, -2),
    'no signature': forge(HS256, valid).replace(/[^.]*$/, ''),
    'an expired one': forge(HS256, { ...valid, iat: NOW - 120, exp: NOW - 60 }),
    'one without expiry': forge(HS256, { sub: 'u1', iat: NOW }),
    'one that claims to live longer': forge(HS256, {
      ...valid,
      iat: NOW - 13 * 3600,
      exp: NOW + 3600,
    }),
    'one without a time of issue': forge(HS256, { sub: 'u1', exp: NOW + 60 }),
    'one without a subject': forge(HS256, { iat: NOW, exp: NOW + 60 }),
    'a subject that is no text': forge(HS256, { ...valid, sub: { $ne: null } }),
    'a critical header': forge({ ...HS256, crit: ['x'], x: 1 }, valid),
  };
  for (const [what, token] of Object.entries(refused)) {
    it(`refuse ${what}`, async () => {
      assert.equal(await tokens.verify(token), null);
    });
  }

  it('work under a secret of one byte', async () => {
    const short = new Tokens({ secret: 'x', clock: () => NOW_MS });
    assert.equal(await short.verify(await short.issue('u1')), 'u1');
  });
});

describe('authentication', () => {
  it('reads rights with each request, so a removed user is out at once', async (t) => {
    const database = await temporaryServerDatabase(t);
    const clock = (): number => NOW_MS;
    const accounts = new Accounts({ database, clock });
    const tokens = new Tokens({ secret: SECRET, clock });
    const authenticator = new Authenticator({ accounts, tokens });
    const user = await accounts.create(
      { name: 'Ann', username: 'ann', password: 'pass word' },
      { isAdmin: false },
    );
    const header = `Bearer ${await tokens.issue(user.id)}`;
    const ask = (value: string) => authenticator.authenticate({ get: () => value });
    assert.deepEqual(await ask(header), { userId: user.id, isAdmin: false });
    assert.deepEqual(await ask(header.replace('Bearer', 'bearer')), {
      userId: user.id,
      isAdmin: false,
    });
    await database.users.put(user.id, { ...user, isAdmin: true });
    assert.deepEqual(await ask(header), { userId: user.id, isAdmin: true });
    for (const bad of ['', 'Bearer', 'Bearer ', header.slice(7), `Basic ${header.slice(7)}`]) {
      assert.equal(await ask(bad), null, bad.slice(0, 12));
    }
    await database.users.remove(user.id);
    assert.equal(await ask(header), null);
    await assert.rejects(authenticator.require({ get: () => header }), { status: 401 });
  });
});
