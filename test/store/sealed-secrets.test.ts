/** Secrets at rest: bound to their place, sealed anew under a new key, and no disaster where one is lost. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { open } from 'lmdb';
import { Keyring, parseKeys } from '../../src/sealing/keyring.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import {
  MASK,
  ruleBody,
  targetBody,
  targetsPath,
  uniqueSecret,
  uuid,
} from '../support/replication-bodies.ts';
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
  return record.targets.map(({ id, secret }) => keyring.open(secret, [record.bucketId, id]));
}

const keyIdOf = (keys: string): string => new Keyring(parseKeys(keys)).newestKeyId;

describe('sealed secrets', () => {
  it('open in their own place alone', async (t) => {
    const key = newKey();
    const fixture = await storeSealedUnder(t, key);
    assert.deepEqual(await openSecrets(fixture, key), fixture.secrets);
    const { bucketId, targets } = await readStoredRecord(fixture.dataDirectory, 'photos');
    const keyring = new Keyring(parseKeys(key));
    const { secret } = targets[0]!;
    for (const context of [
      [bucketId, uuid(2)],
      ['bucket-2', uuid(1)],
      [uuid(1), bucketId],
      [],
      [bucketId],
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
