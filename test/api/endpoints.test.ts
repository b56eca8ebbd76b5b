/**
 * Endpoints that are not public, through the API: who may set which, and what a save leaves on the
 * record. Which addresses are public is the business of test/egress/.
 */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ADMIN, OTHER, OWNER, type KoaHostOptions } from '../support/koa-host.ts';
import { MASK, targetBody, targetsPath, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord } from '../support/stored-records.ts';
import { until } from '../support/until.ts';

const names: Readonly<Record<string, readonly string[]>> = {
  'public.example.com': ['8.8.8.8', '2606:4700::1111'],
  'private.example.com': ['10.0.0.5'],
  'mixed.example.com': ['8.8.8.8', '192.168.1.1'],
  'mixed-v6.example.com': ['8.8.8.8', 'fd00::1'],
};

/** A bucket `photos` of a user who is an administrator until told otherwise. */
async function startHost(
  t: TestContext,
  options: Partial<KoaHostOptions> = {},
): Promise<ReplicationHost & { setAdmin(isAdmin: boolean): void }> {
  const lookup = async (name: string): Promise<readonly string[]> => {
    const addresses = names[name];
    if (addresses === undefined) throw new Error('ENOTFOUND');
    return addresses;
  };
  const host = await startReplicationHost(t, { system: { lookup }, ...options });
  return {
    ...host,
    setAdmin: (isAdmin) =>
      void host.principals.set(`Bearer ${OWNER}`, { userId: 'owner', isAdmin }),
  };
}

const save = (
  host: ReplicationHost,
  endpoint: string,
  fields: Partial<ReturnType<typeof targetBody>> = {},
): ReturnType<ReplicationHost['putTargets']> =>
  host.putTargets([targetBody({ id: uuid(1), endpoint, ...fields })]);

async function storedExemptions(host: ReplicationHost): Promise<readonly string[] | undefined> {
  return (await readStoredRecord(host.dataDirectory, 'photos')).targets[0]?.exemptKinds;
}

describe('endpoints that are not public', () => {
  const refused = {
    'http://127.0.0.1:9000': 'loopback',
    'http://2130706433': 'loopback',
    'http://0x7f.1': 'loopback',
    'http://[::1]:9000': 'loopback',
    'http://[::ffff:10.0.0.1]': 'private',
    'http://localhost': 'loopback',
    'http://photos.LOCALHOST.': 'loopback',
    'http://169.254.169.254': 'linkLocal',
    'http://192.168.0.1/path': 'private',
    'https://private.example.com': 'private',
    'https://mixed.example.com': 'private',
    'https://mixed-v6.example.com': 'uniqueLocal',
  };
  for (const [endpoint, kind] of Object.entries(refused)) {
    it(`${endpoint}: 403 for a user, and for an administrator noted as ${kind}`, async (t) => {
      const host = await startHost(t);
      const answer = await save(host, endpoint);
      assert.deepEqual([answer.status, answer.json.code], [403, 'EndpointNotAllowed']);
      assert.deepEqual(answer.json.details, [
        { path: '/targets/0/endpoint', message: 'must have public addresses only' },
      ]);
      const unchanged = await host.getTargets();
      assert.deepEqual([unchanged.text, unchanged.headers.get('etag')], ['{"targets":[]}', '"0"']);
      host.setAdmin(true);
      const saved = await save(host, endpoint);
      assert.deepEqual([saved.status, saved.json.targets[0].endpoint], [200, endpoint]);
      assert.deepEqual(await storedExemptions(host), [kind]);
    });
  }

  it('one such target among others: nothing of the list is saved, and each is named', async (t) => {
    const host = await startHost(t);
    const answer = await host.putTargets([
      targetBody(),
      targetBody({ endpoint: 'http://10.0.0.1' }),
      targetBody({ endpoint: 'https://public.example.com' }),
      targetBody({ endpoint: 'https://private.example.com' }),
    ]);
    assert.equal(answer.status, 403);
    assert.deepEqual(
      answer.json.details.map((detail: { path: string }) => detail.path),
      ['/targets/1/endpoint', '/targets/3/endpoint'],
    );
    assert.equal((await host.getTargets()).text, '{"targets":[]}');
  });

  it('an administrator has no exemption in other people’s buckets', async (t) => {
    const host = await startHost(t);
    const answer = await host.putTargets([targetBody({ endpoint: 'http://10.0.0.1' })], {
      token: ADMIN,
    });
    assert.equal(answer.status, 404);
  });

  it('once the rights are gone, the same list is refused, and another drops the exemption', async (t) => {
    const host = await startHost(t);
    host.setAdmin(true);
    await save(host, 'https://private.example.com');
    assert.deepEqual(await storedExemptions(host), ['private']);
    host.setAdmin(false);
    const { targets } = (await host.getTargets()).json;
    const again = await host.putTargets(targets);
    assert.deepEqual([again.status, again.json.code], [403, 'EndpointNotAllowed']);
    assert.deepEqual(await storedExemptions(host), ['private']);
    const moved = await save(host, 'https://public.example.com');
    assert.equal(moved.status, 200, moved.text);
    assert.deepEqual(await storedExemptions(host), []);
  });

  it('a save by a user while the name is public drops the exemption of the name', async (t) => {
    let addresses = ['10.0.0.5'];
    const host = await startHost(t, { system: { lookup: async () => addresses } });
    host.setAdmin(true);
    await save(host, 'https://one.example.com');
    assert.deepEqual(await storedExemptions(host), ['private']);
    host.setAdmin(false);
    addresses = ['8.8.8.8'];
    const body = targetBody({ id: uuid(1), endpoint: 'https://ONE.example.com.', enabled: false });
    const saved = await host.putTargets([body]);
    assert.equal(saved.status, 200, saved.text);
    assert.deepEqual(await storedExemptions(host), []);
  });

  it('the mask does not keep an exemption', async (t) => {
    const host = await startHost(t);
    host.setAdmin(true);
    await save(host, 'http://10.0.0.1');
    host.setAdmin(false);
    const answer = await save(host, 'http://10.0.0.1', { secretAccessKey: MASK });
    assert.equal(answer.status, 403);
  });
});

describe('names without an answer', () => {
  it('a name that does not exist is accepted, without an exemption', async (t) => {
    const host = await startHost(t);
    const answer = await save(host, 'https://missing.example.com');
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(await storedExemptions(host), []);
  });

  it('a resolver that never answers does not hold a save up for ever', async (t) => {
    // For how long it does is the business of test/egress/resolver.test.ts.
    const lookup = (): Promise<never> => new Promise(() => undefined);
    const host = await startHost(t, { system: { lookup } });
    const four = Array.from({ length: 4 }, (_, n) =>
      targetBody({ endpoint: `https://silent-${n}.example.com` }),
    );
    const answer = await host.putTargets(four);
    assert.equal(answer.status, 200, answer.text);
    assert.equal((await save(host, 'http://10.0.0.1')).status, 403, 'addresses need no resolver');
  });
});

describe('shares of the resolver', () => {
  it('saves of one account whose names hang do not make another’s save skip its judgement', async (t) => {
    let hanging = 0;
    const lookup = (name: string): Promise<readonly string[]> => {
      if (!name.startsWith('hangs-')) return Promise.resolve(names[name] ?? []);
      hanging += 1;
      return new Promise(() => undefined);
    };
    const host = await startHost(t, { system: { lookup } });
    host.addBucket('others', 'other');
    const slow = Array.from({ length: 7 }, (_, n) =>
      host.putTargets([targetBody({ endpoint: `https://hangs-${n}.example.com` })]),
    );
    await until(() => hanging > 0, 'the first lookup');
    const judged = await host.request('PUT', targetsPath('others'), {
      token: OTHER,
      body: { targets: [targetBody({ endpoint: 'https://private.example.com' })] },
    });
    assert.deepEqual([judged.status, judged.json.code], [403, 'EndpointNotAllowed']);
    assert.equal(hanging, 1, 'of one account one lookup at a time');
    for (const answer of await Promise.all(slow)) {
      assert.equal(answer.headers.get('x-replication-warning'), 'unjudged=targets.0.endpoint');
    }
  });
});

describe('what a refusal says', () => {
  it('names the option of the operator that helps', async (t) => {
    const host = await startHost(t);
    const { reason } = (await save(host, 'http://10.0.0.1')).json;
    assert.match(reason, /egress\.allow/);
  });
});

describe('egress options', () => {
  it('allow makes a range public for everybody', async (t) => {
    const host = await startHost(t, { pluginOptions: { egress: { allow: ['10.0.0.0/24'] } } });
    assert.equal((await save(host, 'http://10.0.0.1')).status, 200);
    assert.deepEqual(await storedExemptions(host), []);
    assert.equal((await save(host, 'https://private.example.com')).status, 200);
    assert.equal((await save(host, 'http://10.0.1.1')).status, 403);
  });

  it('deny holds for administrators too, and wins over allow', async (t) => {
    const egress = { allow: ['10.0.0.0/8', '8.8.8.0/24'], deny: ['10.0.0.0/24', '8.8.8.8/32'] };
    const host = await startHost(t, { pluginOptions: { egress } });
    for (const isAdmin of [false, true]) {
      host.setAdmin(isAdmin);
      for (const endpoint of ['http://10.0.0.1', 'http://8.8.8.8', 'https://public.example.com']) {
        const answer = await save(host, endpoint);
        assert.deepEqual([answer.status, answer.json.code], [403, 'EndpointNotAllowed'], endpoint);
        assert.match(answer.json.details[0].message, /operator denies/);
      }
    }
    assert.equal((await save(host, 'http://8.8.8.9')).status, 200);
  });
});
