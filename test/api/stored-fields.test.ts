/** What the API stores: the named fields and nothing else, in the shape that the schema promises. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ruleBody, targetBody, uniqueSecret, uuid } from '../support/replication-bodies.ts';
import { STORE_FORMAT } from '../../src/store/tables.ts';
import { startReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord, readStoredRecords } from '../support/stored-records.ts';

describe('stored fields', () => {
  it('extra properties are ignored: neither answered nor stored', async (t) => {
    const host = await startReplicationHost(t);
    const extra = { extra: 'smuggled', exemptKinds: ['private'], secret: { keyId: 'smuggled' } };
    const target = { ...extra, ...targetBody({ id: uuid(1) }), constructor: 'smuggled' };
    const targets = await host.putTargets([], {
      body: { targets: [target], rules: 'smuggled', revision: 99 },
    });
    assert.deepEqual(Object.keys(targets.json as object), ['targets']);
    assert.deepEqual(Object.keys(targets.json.targets[0] as object), Object.keys(targetBody()));
    const rule = { ...extra, ...ruleBody({ id: uuid(4), targetId: uuid(1) }), incarnation: 77 };
    const rules = await host.putRules([], { body: { rules: [rule], targets: [] } });
    assert.deepEqual(rules.json, {
      rules: [
        {
          id: uuid(4),
          targetId: uuid(1),
          prefix: '',
          replicateDeletes: true,
          replicateExisting: false,
          synchronous: false,
          enabled: true,
        },
      ],
    });
    const record = await readStoredRecord(host.dataDirectory, 'photos');
    assert.equal(JSON.stringify(record).includes('smuggled'), false);
    assert.deepEqual(record.targets[0]?.exemptKinds, []);
    assert.notEqual(record.rules[0]?.incarnation, 77);
  });

  it('every record fits its schema and agrees with its hint', async (t) => {
    const host = await startReplicationHost(t);
    const four = Array.from({ length: 4 }, (_, n) => targetBody({ id: uuid(n + 1) }));
    await host.putTargets(four);
    await host.putRules(
      four.map(({ id }) => ruleBody({ targetId: id, prefix: 'ä\u0000/', synchronous: true })),
    );
    const full = await readStoredRecords(host.dataDirectory);
    assert.deepEqual([...full.hints], [['photos', true]]);
    const isOfClock = (key: string): boolean => key.startsWith('clock-');
    const clock = [...full.meta.keys()].filter(isOfClock);
    assert.deepEqual(clock.sort(), ['clock-boot', 'clock-offset']);
    const others = [...full.meta.entries()].filter(([key]) => !isOfClock(key));
    assert.deepEqual(others.sort(), [
      ['changes', 2],
      ['format', STORE_FORMAT],
      ['incarnation', 4],
    ]);
    await host.putTargets([]);
    const empty = await readStoredRecords(host.dataDirectory);
    assert.equal(empty.configurations.get('photos')?.rules.length, 4);
    await host.putRules([]);
    assert.deepEqual([...(await readStoredRecords(host.dataDirectory)).hints], []);
  });

  it('no file below the data directory holds a secret in clear', async (t) => {
    const host = await startReplicationHost(t);
    const secrets = Array.from({ length: 4 }, uniqueSecret);
    await host.putTargets(secrets.map((secretAccessKey) => targetBody({ secretAccessKey })));
    const broken = uniqueSecret();
    await host.putTargets([], { body: `{"targets":[{"secretAccessKey":"${broken}"` });
    await host.putTargets([targetBody({ secretAccessKey: broken, region: '' })]);
    const files = readdirSync(host.dataDirectory, { recursive: true, encoding: 'utf8' })
      .map((file) => join(host.dataDirectory, file))
      .filter((file) => statSync(file).isFile());
    assert(files.some((file) => file.endsWith('data.mdb')));
    for (const secret of [...secrets, broken]) {
      for (const file of files) assert.equal(readFileSync(file).includes(secret), false, file);
      assert.equal(host.logText().includes(secret), false);
    }
  });
});
