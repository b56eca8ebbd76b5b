/**
 * The mask in place of a secret: it keeps the stored one for the same target, access key and origin,
 * and is refused everywhere else. What is kept is shown by opening the stored record.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ownKeyring } from '../../src/store/open-keyring.ts';
import { boxContext } from '../../src/store/secret-boxes.ts';
import {
  MASK,
  NEW_ID,
  targetBody,
  targetsPath,
  uniqueSecret,
  uuid,
} from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord } from '../support/stored-records.ts';

const ID = 'abcdef00-0000-4000-8000-00000000000a';

interface Fixture {
  readonly host: ReplicationHost;
  readonly secret: string;
  readonly saved: ReturnType<typeof targetBody>;
}

async function hostWithTarget(t: TestContext): Promise<Fixture> {
  const host = await startReplicationHost(t);
  const secret = uniqueSecret();
  const saved = targetBody({
    id: ID,
    endpoint: 'https://192.0.2.10/base',
    secretAccessKey: secret,
  });
  const answer = await host.putTargets([saved]);
  assert.equal(answer.json.targets[0].secretAccessKey, MASK);
  return { host, secret, saved };
}

async function openStoredSecret(host: ReplicationHost, index = 0): Promise<string> {
  const record = await readStoredRecord(host.dataDirectory, 'photos');
  const target = record.targets[index];
  assert(target !== undefined);
  const keyring = ownKeyring(host.dataDirectory);
  return keyring.open(target.secret, boxContext(record.bucketId, target));
}

describe('the mask keeps the stored secret', () => {
  const kept = {
    'nothing else changed': {},
    'everything but id, access key and origin changed': {
      targetBucket: 'another',
      region: 'eu-west-1',
      enabled: false,
    },
    'another path of the same origin': { endpoint: 'https://192.0.2.10/other/path/' },
    'the default port spelled out': { endpoint: 'https://192.0.2.10:443/base' },
    'another spelling of the same origin': { endpoint: 'HTTPS://0xC0.0.2.10/base' },
    'the id in upper case': { id: ID.toUpperCase() },
  };
  for (const [what, fields] of Object.entries(kept)) {
    it(what, async (t) => {
      const { host, secret, saved } = await hostWithTarget(t);
      const [before] = (await readStoredRecord(host.dataDirectory, 'photos')).targets;
      const answer = await host.putTargets([{ ...saved, ...fields, secretAccessKey: MASK }]);
      assert.equal(answer.status, 200, answer.text);
      const [after] = (await readStoredRecord(host.dataDirectory, 'photos')).targets;
      assert.deepEqual(after?.secret, before?.secret, 'the sealed bytes are the same');
      assert.equal(await openStoredSecret(host), secret);
      assert.equal(answer.json.targets[0].id, ID);
    });
  }

  it('a list that was read can be put back, in another order too', async (t) => {
    const { host, secret } = await hostWithTarget(t);
    const other = uniqueSecret();
    const [target] = (await host.getTargets()).json.targets;
    await host.putTargets([target, targetBody({ id: uuid(2), secretAccessKey: other })]);
    const { targets } = (await host.getTargets()).json;
    const answer = await host.putTargets([targets[1], targets[0]]);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(await openStoredSecret(host, 0), other);
    assert.equal(await openStoredSecret(host, 1), secret);
  });

  it('a real secret replaces the stored one, also one that reads like another character’s mask', async (t) => {
    const { host, saved } = await hostWithTarget(t);
    for (const secret of [uniqueSecret(), '********', '!'.repeat(1024)]) {
      const answer = await host.putTargets([{ ...saved, secretAccessKey: secret }]);
      assert.equal(answer.json.targets[0].secretAccessKey, MASK);
      assert.equal(await openStoredSecret(host), secret);
    }
  });

  it('the kept secret survives changes of the rules, and a restart', async (t) => {
    const { host, secret, saved } = await hostWithTarget(t);
    await host.putRules([]);
    await host.putTargets([{ ...saved, secretAccessKey: MASK, region: 'eu-west-1' }]);
    await host.close();
    const next = await startReplicationHost(t, host);
    const answer = await next.putTargets([{ ...saved, secretAccessKey: MASK }]);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(await openStoredSecret(next), secret);
  });
});

describe('the mask is refused', () => {
  const refused = {
    'another access key': { accessKeyId: 'AKIAOTHER' },
    'the access key in another case': { accessKeyId: 'akiaexample' },
    'another scheme': { endpoint: 'http://192.0.2.10/base' },
    'another host': { endpoint: 'https://192.0.2.11/base' },
    'another port': { endpoint: 'https://192.0.2.10:8443/base' },
    'another scheme’s default port': { endpoint: 'https://192.0.2.10:80/base' },
    'an unknown id': { id: uuid(7) },
    'a new target': { id: NEW_ID },
  };
  for (const [what, fields] of Object.entries(refused)) {
    it(`${what}: 400, and nothing is saved`, async (t) => {
      const { host, secret, saved } = await hostWithTarget(t);
      const before = await host.getTargets();
      const fresh = targetBody({ id: uuid(3) });
      const answer = await host.putTargets([fresh, { ...saved, ...fields, secretAccessKey: MASK }]);
      assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidRequest']);
      assert.equal(answer.json.details.length, 1);
      assert.equal(answer.json.details[0].path, '/targets/1/secretAccessKey');
      assert.match(answer.json.details[0].message, /^must be real/);
      const after = await host.getTargets();
      assert.deepEqual(
        [after.text, after.headers.get('etag')],
        [before.text, before.headers.get('etag')],
      );
      assert.equal(await openStoredSecret(host), secret);
    });
  }

  it('in another bucket, for the same id, access key and origin', async (t) => {
    const { host, saved } = await hostWithTarget(t);
    host.addBucket('music');
    const body = { targets: [{ ...saved, secretAccessKey: MASK }] };
    const answer = await host.request('PUT', targetsPath('music'), { body });
    assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidRequest']);
    assert.equal((await host.request('GET', targetsPath('music'))).text, '{"targets":[]}');
  });

  it('after the target was removed', async (t) => {
    const { host, saved } = await hostWithTarget(t);
    await host.putTargets([]);
    const answer = await host.putTargets([{ ...saved, secretAccessKey: MASK }]);
    assert.equal(answer.status, 400);
  });
});
