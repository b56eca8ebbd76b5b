/** Ids mean something inside their bucket alone, are kept where a client chose them, and ignore case. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ownKeyring } from '../../src/store/open-keyring.ts';
import { boxContext } from '../../src/store/secret-boxes.ts';
import {
  NEW_ID,
  ruleBody,
  rulesPath,
  targetBody,
  targetsPath,
  uniqueSecret,
  uuid,
} from '../support/replication-bodies.ts';
import { startReplicationHost } from '../support/replication-host.ts';
import { readStoredRecord } from '../support/stored-records.ts';

const CHOSEN = 'ABCDEF00-0000-1000-0000-00000000000A';

describe('ids', () => {
  it('an id that a client chose is kept, in lower case, for targets and rules', async (t) => {
    const host = await startReplicationHost(t);
    const targets = await host.putTargets([targetBody({ id: CHOSEN })]);
    assert.equal(targets.json.targets[0].id, CHOSEN.toLowerCase());
    const rules = await host.putRules([ruleBody({ id: CHOSEN, targetId: CHOSEN })]);
    assert.deepEqual(rules.json.rules[0].id, CHOSEN.toLowerCase());
    assert.deepEqual(rules.json.rules[0].targetId, CHOSEN.toLowerCase());
  });

  it('each new target and rule gets a random id of its own', async (t) => {
    const host = await startReplicationHost(t);
    const targets = await host.putTargets(Array.from({ length: 4 }, () => targetBody()));
    const targetIds = targets.json.targets.map((target: { id: string }) => target.id);
    const rule = ruleBody({ targetId: targetIds[0] as string });
    const rules = await host.putRules([rule, rule, rule, rule]);
    const ruleIds = rules.json.rules.map((saved: { id: string }) => saved.id);
    assert.equal(new Set([...targetIds, ...ruleIds, NEW_ID]).size, 9);
  });

  it('the same id in two buckets is two targets with two secrets', async (t) => {
    const host = await startReplicationHost(t);
    host.addBucket('music');
    const secrets = [uniqueSecret(), uniqueSecret()];
    for (const [index, name] of ['photos', 'music'].entries()) {
      const target = targetBody({ id: uuid(1), secretAccessKey: secrets[index]!, region: name });
      await host.request('PUT', targetsPath(name), { body: { targets: [target] } });
      const rule = ruleBody({ id: uuid(4), targetId: uuid(1), prefix: name });
      await host.request('PUT', rulesPath(name), { body: { rules: [rule] } });
    }
    const keyring = ownKeyring(host.dataDirectory);
    const photos = await readStoredRecord(host.dataDirectory, 'photos');
    const music = await readStoredRecord(host.dataDirectory, 'music');
    const sealed = [photos.targets[0]!, music.targets[0]!] as const;
    const open = (n: 0 | 1, { bucketId }: typeof photos): string =>
      keyring.open(sealed[n].secret, boxContext(bucketId, sealed[n]));
    assert.equal(open(0, photos), secrets[0]);
    assert.equal(open(1, music), secrets[1]);
    assert.throws(() => open(0, music), { code: 'CannotOpen' });
    await host.putTargets([]);
    const rules = await host.request('GET', rulesPath('music'));
    assert.equal(rules.json.rules[0].enabled, true);
    assert.equal((await host.getRules()).json.rules[0].enabled, false);
  });

  it('a rule cannot name another bucket’s target', async (t) => {
    const host = await startReplicationHost(t);
    host.addBucket('music');
    await host.request('PUT', targetsPath('music'), {
      body: { targets: [targetBody({ id: uuid(1) })] },
    });
    const answer = await host.putRules([ruleBody({ targetId: uuid(1) })]);
    assert.deepEqual(answer.json.details, [
      { path: '/rules/0/targetId', message: 'must be the id of a target of this bucket' },
    ]);
  });
});
