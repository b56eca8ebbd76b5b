import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Accounts } from '../../src/server/accounts.ts';
import { ensureAdministrator } from '../../src/server/administrator.ts';
import { HashGate } from '../../src/server/hash-gate.ts';
import { temporaryServerDatabase } from '../support/server-database.ts';

const clock = (): number => 0;

describe('accounts', () => {
  it('verify the right password of the right user only', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    const ann = await accounts.create(
      { name: 'Ann', username: 'ann', password: 'secret of ann' },
      { isAdmin: false },
    );
    assert.equal((await accounts.verify('ann', 'secret of ann'))?.id, ann.id);
    for (const [username, password] of [
      ['ann', 'secret of anN'],
      ['ann', ''],
      ['Ann', 'secret of ann'],
      ['nobody', 'secret of ann'],
      ['\0', ''],
      ['x'.repeat(10_000), ''],
      ['\ud800', ''],
    ] as const) {
      assert.equal(await accounts.verify(username, password), null);
    }
  });

  it('take a user name once, also when two ask at the same time', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    const user = { name: 'Ann', username: 'ann', password: 'secret of ann' };
    const results = await Promise.allSettled([
      accounts.create(user, { isAdmin: false }),
      accounts.create(user, { isAdmin: false }),
    ]);
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await assert.rejects(accounts.create(user, { isAdmin: false }), { code: 'UsernameTaken' });
  });

  it('cost as much for an unknown user as for a wrong password', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    await accounts.create(
      { name: 'Ann', username: 'ann', password: 'secret of ann' },
      { isAdmin: false },
    );
    const cpuMicros = async (username: string): Promise<number> => {
      const before = process.cpuUsage();
      for (let i = 0; i < 3; i += 1) await accounts.verify(username, 'wrong');
      return process.cpuUsage(before).user;
    };
    const [known, unknown] = [await cpuMicros('ann'), await cpuMicros('nobody')];
    assert.ok(unknown > known / 3 && unknown < known * 3, `${known} µs and ${unknown} µs`);
  });

  it('turn away who finds two hashes running and 32 waiting', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    const results = await Promise.allSettled(
      [false, true].flatMap((isReturning) =>
        Array.from({ length: 40 }, () =>
          accounts.verify('nobody', 'wrong', { address: '192.0.2.1', isReturning }),
        ),
      ),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    assert.equal(refused.length, 80 - 2 - 32);
    for (const result of refused) {
      assert.equal((result.reason as { code: string }).code, 'TooManyRequests');
    }
  });
});

describe('the gate of hashes', () => {
  const full = (): Error => new Error('full');

  /** Jobs that end when they are told to; `began` lists them in order. */
  function setUp() {
    const gate = new HashGate();
    const began: string[] = [];
    const ends = new Map<string, () => void>();
    const ask = (name: string, address: string, account: string, isReturning = false) =>
      gate.run(
        { address, account, isReturning },
        () => {
          began.push(name);
          return new Promise<void>((resolve) => ends.set(name, resolve));
        },
        full,
      );
    const end = async (name: string): Promise<void> => {
      ends.get(name)!();
      await new Promise((resolve) => setImmediate(resolve));
    };
    return { gate, began, ask, end };
  }

  it('never runs more than two, and survives work that throws', async () => {
    const gate = new HashGate();
    let running = 0;
    let most = 0;
    const job = (index: number) => async (): Promise<void> => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (index % 3 === 0) throw new Error('broken');
    };
    const jobs = Array.from({ length: 20 }, (_, index) =>
      gate.run(
        { address: `${index}`, account: 'a', isReturning: index % 4 === 0 },
        job(index),
        full,
      ),
    );
    const results = await Promise.allSettled(jobs);
    assert.equal(most, 2);
    assert.equal(results.filter(({ status }) => status === 'rejected').length, 7);
    await gate.run({ address: '', account: '', isReturning: false }, async () => undefined, full);
  });

  it('gives each kind a place that the other can only borrow', async () => {
    const { ask, began, end } = setUp();
    for (const name of ['a', 'b', 'c', 'd']) void ask(name, name, name);
    void ask('back', 'x', 'x', true);
    void ask('again', 'x', 'x', true);
    assert.deepEqual(began, ['a', 'b']);
    await end('a');
    assert.deepEqual(began, ['a', 'b', 'back']);
    await end('back');
    assert.deepEqual(began, ['a', 'b', 'back', 'again']);
    await end('b');
    assert.deepEqual(began, ['a', 'b', 'back', 'again', 'c'], 'those who are new have one as well');
  });

  it('makes room for a newcomer at the cost of whoever has most', async () => {
    const { ask, began, end } = setUp();
    const flood = Array.from({ length: 40 }, (_, index) =>
      ask(`flood ${index}`, 'flooder', `account ${index}`).catch(() => 'refused'),
    );
    const admin = ask('admin', 'elsewhere', 'admin');
    await end('flood 0');
    await end('flood 1');
    assert.ok(began.includes('admin'), 'it is not behind the 24 that came before');
    await end('admin');
    await admin;
    assert.equal(await Promise.race(flood.slice(-5)), 'refused');
  });
});

describe('the administrator', () => {
  const none = { adminUsername: null, adminPassword: null };

  it('is made at first start with a password of its own, and kept after', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    const first = await ensureAdministrator(accounts, none);
    assert.equal(first.user.username, 'alarik');
    assert.equal(first.user.isAdmin, true);
    assert.ok(first.generatedPassword !== null && first.generatedPassword.length >= 20);
    assert.notEqual(await accounts.verify('alarik', first.generatedPassword), null);
    const second = await ensureAdministrator(accounts, none);
    assert.equal(second.generatedPassword, null);
    assert.equal(second.user.id, first.user.id);
    assert.notEqual(await accounts.verify('alarik', first.generatedPassword), null);
  });

  it('takes a password of one character, and a new one at a later start', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    await ensureAdministrator(accounts, { ...none, adminPassword: 'x' });
    assert.notEqual(await accounts.verify('alarik', 'x'), null);
    const same = await ensureAdministrator(accounts, { ...none, adminPassword: 'x' });
    const changed = await ensureAdministrator(accounts, { ...none, adminPassword: ' y ' });
    assert.notDeepEqual(changed.user.password.hash, same.user.password.hash);
    assert.equal(await accounts.verify('alarik', 'x'), null);
    assert.notEqual(await accounts.verify('alarik', ' y '), null);
  });

  it('is renamed rather than doubled', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    const first = await ensureAdministrator(accounts, { ...none, adminPassword: 'x' });
    const second = await ensureAdministrator(accounts, {
      adminUsername: 'root',
      adminPassword: 'x',
    });
    assert.equal(second.user.id, first.user.id);
    assert.equal(await accounts.verify('alarik', 'x'), null);
    assert.notEqual(await accounts.verify('root', 'x'), null);
  });

  it('never takes over an account of somebody else', async (t) => {
    const accounts = new Accounts({ database: await temporaryServerDatabase(t), clock });
    await ensureAdministrator(accounts, none);
    await accounts.create(
      { name: 'Eve', username: 'root', password: 'secret of eve' },
      { isAdmin: false },
    );
    await assert.rejects(ensureAdministrator(accounts, { ...none, adminUsername: 'root' }), {
      code: 'UsernameTaken',
    });
    assert.equal(accounts.findByUsername('root')?.isAdmin, false);
  });
});
