/** What the answer to an invalid body says: every field to mend at once, and no value of the body. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { NEW_ID, ruleBody, targetBody, uuid } from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';

const host: ReplicationHost = await startReplicationHost({ after });
const MARK = 'DoNotEchoThis';

const targetFields: Readonly<Record<string, readonly unknown[]>> = {
  id: [
    MARK,
    '',
    1,
    null,
    `{${NEW_ID}}`,
    NEW_ID.replaceAll('-', ''),
    `${NEW_ID}\n`,
    `urn:uuid:${NEW_ID}`,
  ],
  endpoint: [
    `ftp://${MARK}`,
    `https://${MARK}/?x`,
    `https://user:${MARK}@192.0.2.1`,
    `https://192.0.2.1/#${MARK}`,
    `https:${MARK}`,
    `https:///${MARK}`,
    `https://192.0.2.1\\${MARK}`,
    `https://192.0.2.1/${MARK}/../x`,
    `https://192.0.2.1/%2e/${MARK}`,
    ` https://${MARK}`,
    `https://${MARK}\n`,
    `https://${'a'.repeat(2041)}`,
    '',
    null,
    [MARK],
  ],
  targetBucket: ['', '.', '..', `a/${MARK}`, `${MARK}\n`, 'a'.repeat(256), `${MARK}é`, null],
  accessKeyId: ['', `${MARK}/`, `${MARK},`, `${MARK}=`, `"${MARK}`, `${MARK} `, 'a'.repeat(129), 7],
  secretAccessKey: [
    '',
    `${MARK} x`,
    `${MARK}\n`,
    `${MARK}é`,
    'a'.repeat(1025),
    '•'.repeat(7),
    '•'.repeat(9),
    null,
  ],
  region: ['', `${MARK}/x`, `${MARK}\n`, 'a'.repeat(65), null],
  enabled: [MARK, 'true', 1, null],
};

const ruleFields: Readonly<Record<string, readonly unknown[]>> = {
  id: [MARK, null, 5],
  targetId: [MARK, null, ''],
  prefix: [7, [MARK], '\ud800', `${MARK}\udc00`, '\udc00\ud800', 'é'.repeat(513)],
  replicateDeletes: [MARK, null, 0],
  replicateExisting: [MARK, null, 0],
  synchronous: [MARK, null, 0],
  enabled: [MARK, null, 0],
};

describe('details', () => {
  for (const [field, values] of Object.entries(targetFields)) {
    it(`a target’s ${field}: one detail for each of ${values.length} wrong values, none echoed`, async () => {
      for (const value of values) {
        const answer = await host.putTargets([targetBody(), { ...targetBody(), [field]: value }]);
        assertInvalid(answer, `/targets/1/${field}`, value);
      }
    });
  }

  for (const [field, values] of Object.entries(ruleFields)) {
    it(`a rule’s ${field}: one detail for each of ${values.length} wrong values, none echoed`, async () => {
      for (const value of values) {
        const body = { ...ruleBody({ targetId: uuid(1) }), [field]: value };
        assertInvalid(await host.putRules([body]), `/rules/0/${field}`, value);
      }
    });
  }

  it('names every field of every item at once, in order', async () => {
    const answer = await host.putTargets([{}, {}, {}, {}]);
    const details = answer.json.details;
    const fields = Object.keys(targetBody());
    assert.deepEqual(
      details.map((detail) => detail.path),
      [0, 1, 2, 3].flatMap((index) => fields.map((field) => `/targets/${index}/${field}`)),
    );
    assert(details.every((detail) => detail.message.startsWith('is required and must be ')));
    assert.match(answer.json.reason, /^targets\.0\.id .*and 27 more; see "details"\)\.$/);
  });

  it('says what the body and the list must be', async () => {
    for (const [body, path] of [
      [{}, '/targets'],
      [{ targets: null }, '/targets'],
      [{ targets: {} }, '/targets'],
      [{ Targets: [] }, '/targets'],
      [[], ''],
    ] as const) {
      const answer = await host.putTargets([], { body });
      assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidRequest']);
      assert.deepEqual(
        answer.json.details.map((detail) => detail.path),
        [path],
      );
    }
  });

  it('says what an item must be', async () => {
    for (const item of [null, 7, MARK, []]) {
      const answer = await host.putTargets([item]);
      assert.deepEqual(answer.json.details, [{ path: '/targets/0', message: 'must be an object' }]);
      assert.equal(answer.text.includes(MARK), false);
    }
  });

  it('names ids that occur twice, whatever their case', async () => {
    const id = 'ABCDEF00-0000-4000-8000-00000000000A';
    const repeated = { path: '/targets/2/id', message: 'must differ from the ids before it' };
    const answer = await host.putTargets([
      targetBody({ id }),
      targetBody(),
      targetBody({ id: id.toLowerCase() }),
      targetBody(),
    ]);
    assert.deepEqual([answer.status, answer.json.details], [400, [repeated]]);
    const rule = ruleBody({ id, targetId: uuid(1) });
    const rules = await host.putRules([rule, { ...rule, id: id.toLowerCase() }]);
    assert.deepEqual(rules.json.details, [{ ...repeated, path: '/rules/1/id' }]);
  });
});

function assertInvalid(
  answer: Awaited<ReturnType<ReplicationHost['putTargets']>>,
  path: string,
  value: unknown,
): void {
  const what = JSON.stringify(value);
  assert.deepEqual([answer.status, answer.json.code], [400, 'InvalidRequest'], what);
  const details = answer.json.details;
  assert.deepEqual(
    details.map((detail) => detail.path),
    [path],
    what,
  );
  assert.match(details[0]?.message ?? '', /^must be /, what);
  assert.equal(answer.text.includes(MARK), false, `${what} is echoed`);
}
