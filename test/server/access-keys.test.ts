import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { randomBytes } from 'node:crypto';
import { AccessKeys } from '../../src/server/access-keys.ts';
import { Keyring } from '../../src/sealing/keyring.ts';
import { temporaryServerDatabase } from '../support/server-database.ts';

const clock = (): number => 1_700_000_000_000;

describe('access keys', () => {
  it('are given out once, found with their secret, and listed without', async (t) => {
    const database = await temporaryServerDatabase(t);
    const keyring = new Keyring([randomBytes(32)]);
    const made = await new AccessKeys({ database, keyring, clock }).create('u1');
    assert.match(made.accessKeyId, /^AK[A-Z2-7]{18}$/);
    assert.match(made.secretAccessKey, /^[A-Za-z0-9_-]{40}$/);
    // A second instance: nothing of it is in its cache yet.
    const keys = new AccessKeys({ database, keyring, clock });
    const expected = {
      userId: 'u1',
      accessKeyId: made.accessKeyId,
      secretAccessKey: made.secretAccessKey,
    };
    assert.deepEqual(keys.find(made.accessKeyId), expected);
    assert.deepEqual(keys.find(made.accessKeyId), expected, 'from the cache');
    assert.deepEqual(keys.list('u1'), [{ accessKeyId: made.accessKeyId, createdAt: clock() }]);
    assert.deepEqual(keys.list('u'), []);
  });

  it('are not found under ids that nobody has or LMDB could not hold', async (t) => {
    const database = await temporaryServerDatabase(t);
    const keys = new AccessKeys({ database, keyring: new Keyring([randomBytes(32)]), clock });
    for (const id of ['AKNOBODY', '', '\0', 'x'.repeat(5_000), 'with space']) {
      assert.equal(keys.find(id), null);
    }
  });

  it('do not open under another record or another key', async (t) => {
    const database = await temporaryServerDatabase(t);
    const keyring = new Keyring([randomBytes(32)]);
    const made = await new AccessKeys({ database, keyring, clock }).create('u1');
    const stranger = new AccessKeys({ database, keyring: new Keyring([randomBytes(32)]), clock });
    assert.throws(() => stranger.find(made.accessKeyId), { code: 'CannotOpen' });
    const record = database.accessKeys.get(made.accessKeyId)!;
    await database.accessKeys.put(made.accessKeyId, { ...record, userId: 'u2' });
    const keys = new AccessKeys({ database, keyring, clock });
    assert.throws(() => keys.find(made.accessKeyId), { code: 'CannotOpen' });
  });

  it('are at most a hundred a user, also when many are asked for at once', async (t) => {
    const database = await temporaryServerDatabase(t);
    const keys = new AccessKeys({ database, keyring: new Keyring([randomBytes(32)]), clock });
    const results = await Promise.allSettled(Array.from({ length: 120 }, () => keys.create('u1')));
    const refused = results.filter((result) => result.status === 'rejected');
    assert.equal(refused.length, 20);
    assert.equal((refused[0]!.reason as { code: string }).code, 'TooManyAccessKeys');
    assert.equal(keys.list('u1').length, 100);
    await keys.create('u2');
  });

  it('of the configuration are installed, replaced and never taken from another user', async (t) => {
    const database = await temporaryServerDatabase(t);
    const keys = new AccessKeys({ database, keyring: new Keyring([randomBytes(32)]), clock });
    const key = { userId: 'u1', accessKeyId: 'DEFAULT', secretAccessKey: ' as it is ' };
    await keys.ensure(key);
    assert.deepEqual(keys.find('DEFAULT'), key);
    await keys.ensure(key);
    await keys.ensure({ ...key, secretAccessKey: 'changed' });
    assert.equal(keys.find('DEFAULT')?.secretAccessKey, 'changed');
    await assert.rejects(keys.ensure({ ...key, userId: 'u2' }), { code: 'AccessKeyConflict' });
    await assert.rejects(keys.ensure({ ...key, accessKeyId: 'two words' }), {
      code: 'AccessKeyConflict',
    });
    assert.equal(keys.list('u1').length, 1);
  });
});
