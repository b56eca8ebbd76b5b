/** Secrets at rest: bound to their place, sealed anew under a new key, and no disaster where one is lost. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { open } from 'lmdb';
import { Keyring, parseKeys } from '../../src/sealing/keyring.ts';
import { boxContext } from '../../src/store/secret-boxes.ts';
import type {
  StoredConfiguration,
  StoredTarget,
} from '../../src/model/generated/stored-configuration.ts';
import {
  MASK,
  ruleBody,
  targetBody,
  targetsPath,
  uniqueSecret,
  uuid,
} from '../support/replication-bodies.ts';
import { OWNER } from '../support/koa-host.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord } from '../support/stored-records.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const newKey = (): string => randomBytes(32).toString('base64');

interface Fixture {
  readonly dataDirectory: string;
  readonly buckets: ReplicationHost['buckets'];
  readonly secrets: readonly string[];
  start(keys: string): Promise<ReplicationHost>;
}

/** A store with two targets in `photos`, whose sealing keys come from the environment. */
async function storeSealedUnder(t: TestContext, keys: string): Promise<Fixture> {
  const dataDirectory = temporaryDirectory(t);
  const start = (text: string, buckets?: ReplicationHost['buckets']): Promise<ReplicationHost> =>
    startReplicationHost(t, {
      dataDirectory,
      pluginOptions: { sealing: { environmentVariable: 'KEYS' } },
      system: { environment: { KEYS: text } },
      ...(buckets === undefined ? {} : { buckets }),
    });
  const host = await start(keys);
  const secrets = [uniqueSecret(), uniqueSecret()];
  const targets = secrets.map((secretAccessKey, n) =>
    targetBody({ id: uuid(n + 1), secretAccessKey }),
  );
  await host.putTargets(targets);
  await host.putRules([ruleBody({ id: uuid(4), targetId: uuid(1) })]);
  await host.close();
  return {
    dataDirectory,
    buckets: host.buckets,
    secrets,
    start: (text) => start(text, host.buckets),
  };
}

async function openSecrets(fixture: Fixture, keys: string): Promise<string[]> {
  const keyring = new Keyring(parseKeys(keys));
  const record = await readStoredRecord(fixture.dataDirectory, 'photos');
  return record.targets.map((target) =>
    keyring.open(target.secret, boxContext(record.bucketId, target)),
  );
}

const keyIdOf = (keys: string): string => new Keyring(parseKeys(keys)).newestKeyId;

describe('sealed secrets', () => {
  it('open in their own place alone', async (t) => {
    const key = newKey();
    const fixture = await storeSealedUnder(t, key);
    assert.deepEqual(await openSecrets(fixture, key), fixture.secrets);
    const { bucketId, targets } = await readStoredRecord(fixture.dataDirectory, 'photos');
    const keyring = new Keyring(parseKeys(key));
    const target = targets[0]!;
    const { secret } = target;
    for (const context of [
      boxContext(bucketId, { ...target, id: uuid(2) }),
      boxContext('bucket-2', target),
      boxContext(uuid(1), { ...target, id: bucketId }),
      boxContext(bucketId, target).slice(0, -1),
      [...boxContext(bucketId, target), ''],
      [bucketId, uuid(1)],
      [],
    ]) {
      assert.throws(() => keyring.open(secret, context), { code: 'CannotOpen' });
    }
  });

  it('the same secret sealed twice looks different', async (t) => {
    const host = await startReplicationHost(t);
    const secretAccessKey = uniqueSecret();
    await host.putTargets([targetBody({ secretAccessKey }), targetBody({ secretAccessKey })]);
    const { targets } = await readStoredRecord(host.dataDirectory, 'photos');
    assert.notDeepEqual(targets[0]?.secret.box, targets[1]?.secret.box);
  });

  it('a new key in front: everything is sealed anew at start, and the old key can go', async (t) => {
    const [oldKey, key] = [newKey(), newKey()];
    const fixture = await storeSealedUnder(t, oldKey);
    const before = await readStoredRecord(fixture.dataDirectory, 'photos');
    assert.deepEqual(
      before.targets.map(({ secret }) => secret.keyId),
      [keyIdOf(oldKey), keyIdOf(oldKey)],
    );
    const host = await fixture.start(`${key}\n${oldKey}\n`);
    await until(async () => {
      const { targets } = await readStoredRecord(fixture.dataDirectory, 'photos');
      return targets.every(({ secret }) => secret.keyId === keyIdOf(key));
    }, 'the secrets to be sealed anew');
    const after = await readStoredRecord(fixture.dataDirectory, 'photos');
    const strip = (record: StoredConfiguration): object => ({
      ...record,
      targets: record.targets.map((target) => ({ ...target, secret: null })),
    });
    assert.deepEqual(
      strip(after),
      strip(before),
      'nothing else has changed, the revision included',
    );
    assert.deepEqual(await openSecrets(fixture, key), fixture.secrets);
    assert.equal(host.logText(), '');
    await host.close();
    const next = await fixture.start(key);
    await until(async () => (await next.plugin.health()).healthy, 'the start');
    await next.close();
    assert.equal(next.logText(), '');
  });

  it('more than one page of buckets is sealed anew', async (t) => {
    const [oldKey, key] = [newKey(), newKey()];
    const fixture = await storeSealedUnder(t, oldKey);
    const host = await fixture.start(oldKey);
    const names = Array.from({ length: 300 }, (_, n) => `bucket-${n}`);
    await Promise.all(
      names.map((name) => {
        host.addBucket(name);
        return host.request('PUT', targetsPath(name), { body: { targets: [targetBody()] } });
      }),
    );
    await host.close();
    for (const [name, bucket] of host.buckets) fixture.buckets.set(name, bucket);
    await fixture.start(`${key} ${oldKey}`);
    for (const name of [names[0]!, names[299]!, 'photos']) {
      await until(async () => {
        const { targets } = await readStoredRecord(fixture.dataDirectory, name);
        return targets[0]?.secret.keyId === keyIdOf(key);
      }, name);
    }
  });

  it('an unknown key: the log names bucket and target, and the API works on', async (t) => {
    const fixture = await storeSealedUnder(t, newKey());
    const before = await readStoredRecord(fixture.dataDirectory, 'photos');
    const host = await fixture.start(newKey());
    await until(() => host.logs.length >= 2, 'the log lines');
    assert.deepEqual(
      host.logs.map(({ level, bucket, targetId }) => [level, bucket, targetId]),
      [
        ['error', 'photos', uuid(1)],
        ['error', 'photos', uuid(2)],
      ],
    );
    const read = await host.getTargets();
    assert.deepEqual([read.status, read.json.targets.length], [200, 2]);
    const masked = await host.putTargets(read.json.targets);
    assert.equal(masked.status, 200, masked.text);
    assert.equal(masked.json.targets[0].secretAccessKey, MASK);
    const after = await readStoredRecord(fixture.dataDirectory, 'photos');
    assert.deepEqual(
      after.targets.map(({ secret }) => secret),
      before.targets.map(({ secret }) => secret),
      'the mask keeps the sealed bytes',
    );
    assert.deepEqual(await host.plugin.health(), { healthy: true });
  });

  it('a box that was tampered with or moved is an error line, and the others are sealed anew', async (t) => {
    const [oldKey, key] = [newKey(), newKey()];
    const fixture = await storeSealedUnder(t, oldKey);
    await editRecord(fixture.dataDirectory, (record) => {
      record.targets[1]!.secret.box[20]! ^= 1;
    });
    const host = await fixture.start(`${key},${oldKey}`);
    await until(() => host.logs.length > 0, 'the log line');
    assert.deepEqual([host.logs[0]?.level, host.logs[0]?.['targetId']], ['error', uuid(2)]);
    await until(async () => {
      const { targets } = await readStoredRecord(fixture.dataDirectory, 'photos');
      return targets[0]?.secret.keyId === keyIdOf(key);
    }, 'the intact secret to be sealed anew');
    const { targets } = await readStoredRecord(fixture.dataDirectory, 'photos');
    assert.equal(targets[1]?.secret.keyId, keyIdOf(oldKey));
    for (const secret of fixture.secrets) assert.equal(host.logText().includes(secret), false);
  });

  const tampered: Readonly<Record<string, (target: StoredTarget) => void>> = {
    'another endpoint': (target) => (target.endpoint = 'https://203.0.113.66'),
    'another port': (target) => (target.endpoint = 'https://192.0.2.10:444'),
    'another scheme': (target) => (target.endpoint = 'http://192.0.2.10'),
    'an endpoint that does not parse': (target) => (target.endpoint = 'x'),
    'another access key': (target) => (target.accessKeyId = 'AKIAOTHER'),
    'an exempt kind more': (target) => (target.exemptKinds = ['loopback']),
  };
  for (const [what, tamper] of Object.entries(tampered)) {
    it(`a record with ${what} is sealed, and said at start, until it is saved with its secret`, async (t) => {
      const key = newKey();
      const fixture = await storeSealedUnder(t, key);
      await editRecord(fixture.dataDirectory, (record) => tamper(record.targets[0]!));
      const { targets } = await readStoredRecord(fixture.dataDirectory, 'photos');
      const changed = targets[0]!;
      const keyring = new Keyring(parseKeys(key));
      const { bucketId } = await readStoredRecord(fixture.dataDirectory, 'photos');
      assert.throws(() => keyring.open(changed.secret, boxContext(bucketId, changed)), {
        code: 'CannotOpen',
      });
      const host = await fixture.start(key);
      await until(() => host.logs.length > 0, 'the log line');
      const { level, message, targetId } = host.logs[0]!;
      assert.deepEqual([level, targetId], ['error', changed.id]);
      assert.match(message, /save the target with its secret/);
      const status = await host.request('GET', '/api/v1/buckets/photos/replication/status');
      const shown = (JSON.parse(status.text) as { targets: Record<string, unknown>[] }).targets[0]!;
      assert.equal(shown['state'], 'paused');
      assert.match(String(shown['lastError']), /does not open.*save the target with its secret/);
      const mended = targetBody({ id: uuid(1), secretAccessKey: fixture.secrets[0]! });
      assert.equal((await host.putTargets([mended])).status, 200);
      assert.deepEqual(await openSecrets(fixture, key), [fixture.secrets[0]]);
    });
  }

  it('what does not decide where a secret goes may change beside it', async (t) => {
    const key = newKey();
    const fixture = await storeSealedUnder(t, key);
    await editRecord(fixture.dataDirectory, ({ targets: [target] }) =>
      Object.assign(target!, { region: 'x', targetBucket: 'y', enabled: false }),
    );
    assert.deepEqual(await openSecrets(fixture, key), fixture.secrets);
  });

  it('the mask keeps a secret whose exempt kinds change with who saves', async (t) => {
    const key = newKey();
    let addresses = ['10.0.0.5'];
    const host = await startReplicationHost(t, {
      pluginOptions: { sealing: { environmentVariable: 'KEYS' } },
      system: { environment: { KEYS: key }, lookup: async () => addresses },
    });
    const keyring = new Keyring(parseKeys(key));
    const secretAccessKey = uniqueSecret();
    const body = targetBody({ id: uuid(1), endpoint: 'https://a.example.com', secretAccessKey });
    const setAdmin = (isAdmin: boolean): void =>
      void host.principals.set(`Bearer ${OWNER}`, { userId: 'owner', isAdmin });
    const stored = async (): Promise<[string[], string]> => {
      const { bucketId, targets } = await readStoredRecord(host.dataDirectory, 'photos');
      const context = boxContext(bucketId, targets[0]!);
      return [targets[0]!.exemptKinds, keyring.open(targets[0]!.secret, context)];
    };
    setAdmin(true);
    await host.putTargets([body]);
    assert.deepEqual(await stored(), [['private'], secretAccessKey]);
    setAdmin(false);
    addresses = ['8.8.8.8'];
    // The resolver remembers its answer for ten seconds.
    const masked = { ...body, secretAccessKey: MASK };
    await until(
      async () => (await host.putTargets([masked])).status === 200,
      'the new answer',
      30_000,
    );
    assert.deepEqual(await stored(), [[], secretAccessKey]);
    const audit = host.audits().at(-1) as { changed: { secret: string }[] };
    assert.equal(audit.changed[0]?.secret, 'kept');
  });

  it('a mask for a sealed secret that would have to move is refused with what to do', async (t) => {
    const key = newKey();
    const fixture = await storeSealedUnder(t, key);
    await editRecord(fixture.dataDirectory, ({ targets: [target] }) => {
      target!.exemptKinds = ['loopback'];
    });
    const host = await fixture.start(key);
    const { targets } = (await host.getTargets()).json;
    const answer = await host.putTargets(targets);
    assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidRequest']);
    assert.equal(answer.json.details[0].path, '/targets/0/secretAccessKey');
    assert.match(
      answer.json.details[0].message,
      /must be real: the stored secret cannot be opened/,
    );
  });

  it('a key file of the options is read, and no other is made', async (t) => {
    const dataDirectory = temporaryDirectory(t);
    const file = join(temporaryDirectory(t), 'keys');
    const key = newKey();
    writeFileSync(file, `${key}\n`, { mode: 0o600 });
    const host = await startReplicationHost(t, {
      dataDirectory,
      pluginOptions: { sealing: { file } },
    });
    await host.putTargets([targetBody()]);
    const { targets } = await readStoredRecord(dataDirectory, 'photos');
    assert.equal(targets[0]?.secret.keyId, keyIdOf(key));
    assert.throws(() => readFileSync(join(dataDirectory, 'replication.key')), { code: 'ENOENT' });
  });
});

async function editRecord(
  dataDirectory: string,
  edit: (record: StoredConfiguration) => void,
): Promise<void> {
  const root = open({ path: join(dataDirectory, 'replication'), noSubdir: false });
  const configurations = root.openDB<StoredConfiguration, string>({ name: 'configurations' });
  const record = configurations.get('photos')!;
  edit(record);
  await configurations.put('photos', record);
  await root.close();
}
