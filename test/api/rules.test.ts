/** PUT /rules: versioning, the target that a rule names, and prefixes to the last byte. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { VersioningStatus } from '../../src/host.ts';
import { ruleBody, targetBody, uuid, type RuleFields } from '../support/replication-bodies.ts';
import { startReplicationHost, type ReplicationHost } from '../support/replication-host.ts';

async function hostWithTarget(
  t: TestContext,
  fields: Partial<ReturnType<typeof targetBody>> = {},
): Promise<ReplicationHost> {
  const host = await startReplicationHost(t);
  await host.putTargets([targetBody({ id: uuid(1), ...fields })]);
  return host;
}

const rule = (fields: Partial<RuleFields> = {}): RuleFields =>
  ruleBody({ id: uuid(4), targetId: uuid(1), ...fields });

function setVersioning(host: ReplicationHost, versioning: VersioningStatus): void {
  host.buckets.set('photos', { ...host.buckets.get('photos')!, versioning });
}

describe('rules', () => {
  it('PUT answers as GET does, every field present, in the order sent', async (t) => {
    const host = await hostWithTarget(t);
    const saved = await host.putRules([rule({ id: uuid(5), prefix: 'b/' }), rule()]);
    assert.equal(saved.status, 200, saved.text);
    assert.deepEqual(
      saved.json.rules.map((answer: RuleFields) => [answer.id, answer.prefix, answer.synchronous]),
      [
        [uuid(5), 'b/', false],
        [uuid(4), '', false],
      ],
    );
    const read = await host.getRules();
    assert.deepEqual([read.status, read.text], [200, saved.text]);
    assert.equal(read.headers.get('etag'), saved.headers.get('etag'));
  });

  it('at most 4', async (t) => {
    const host = await hostWithTarget(t);
    const five = Array.from({ length: 5 }, (_, n) => rule({ id: uuid(n) }));
    const answer = await host.putRules(five);
    assert.deepEqual(
      [answer.status, answer.json.details],
      [400, [{ path: '/rules', message: 'must be an array of at most 4 rules' }]],
    );
    assert.equal((await host.putRules(five.slice(1))).json.rules.length, 4);
  });

  it('a list that is not empty needs versioning Enabled; the empty one does not', async (t) => {
    const host = await hostWithTarget(t);
    for (const versioning of ['Disabled', 'Suspended'] as const) {
      setVersioning(host, versioning);
      const answer = await host.putRules([rule({ enabled: false })]);
      assert.deepEqual([answer.status, answer.json.code], [400, 'VersioningNotEnabled']);
      assert.equal((await host.putRules([])).status, 200);
    }
    setVersioning(host, 'Enabled');
    assert.equal((await host.putRules([rule()])).status, 200);
  });

  it('while there is a rule, versioning may not leave Enabled', async (t) => {
    const host = await hostWithTarget(t);
    const may = (to: VersioningStatus): Promise<boolean> =>
      host.plugin.mayChangeVersioning!(host.buckets.get('photos')!, to);
    assert.deepEqual([await may('Suspended'), await may('Disabled')], [true, true]);
    await host.putRules([rule({ enabled: false })]);
    assert.deepEqual([await may('Suspended'), await may('Disabled')], [false, false]);
    assert.equal(await may('Enabled'), true);
    await host.putRules([]);
    assert.equal(await may('Suspended'), true);
  });

  it('a rule must name a target of the bucket, enabled or not', async (t) => {
    const host = await hostWithTarget(t);
    for (const enabled of [true, false]) {
      const answer = await host.putRules([
        rule(),
        rule({ id: uuid(5), targetId: uuid(2), enabled }),
      ]);
      assert.deepEqual(
        [answer.status, answer.json.details],
        [
          400,
          [{ path: '/rules/1/targetId', message: 'must be the id of a target of this bucket' }],
        ],
      );
    }
    assert.equal((await host.getRules()).text, '{"rules":[]}');
  });

  it('may be enabled for a target that is disabled', async (t) => {
    const host = await hostWithTarget(t, { enabled: false });
    const answer = await host.putRules([rule()]);
    assert.deepEqual([answer.status, answer.json.rules[0].enabled], [200, true]);
  });

  it('removing a target disables its rules, and what GET then shows can be put back', async (t) => {
    const host = await hostWithTarget(t);
    await host.putRules([rule()]);
    await host.putTargets([]);
    const { rules } = (await host.getRules()).json;
    assert.deepEqual([rules[0].enabled, rules[0].targetId], [false, uuid(1)]);
    const edited = await host.putRules([{ ...rules[0], prefix: 'edited/' }]);
    assert.equal(edited.status, 200, edited.text);
    assert.equal((await host.putRules([{ ...rules[0], enabled: true }])).status, 400);
    await host.putTargets([targetBody({ id: uuid(1) })]);
    assert.equal((await host.getRules()).json.rules[0].enabled, false, 'stays disabled');
    assert.equal((await host.putRules([{ ...rules[0], enabled: true }])).status, 200);
  });

  const prefixes: readonly (readonly [string, string | null | undefined, string])[] = [
    ['absent', undefined, ''],
    ['null', null, ''],
    ['empty', '', ''],
    ['1,024 bytes of one byte each', 'a'.repeat(1024), 'a'.repeat(1024)],
    ['1,024 bytes of two bytes each', 'é'.repeat(512), 'é'.repeat(512)],
    ['1,024 bytes of four bytes each', '😀'.repeat(256), '😀'.repeat(256)],
    ['signs that XML and JSON escape', '<&>"\'\\/\u0001', '<&>"\'\\/\u0001'],
    ['not normalised', 'e\u0301 ', 'e\u0301 '],
  ];
  for (const [what, sent, kept] of prefixes) {
    it(`a prefix that is ${what} is accepted`, async (t) => {
      const host = await hostWithTarget(t);
      const { prefix: _, ...plain } = rule();
      const answer = await host.putRules([sent === undefined ? plain : { ...plain, prefix: sent }]);
      assert.equal(answer.status, 200, answer.text);
      assert.equal((await host.getRules()).json.rules[0].prefix, kept);
    });
  }

  const tooLong = [
    'a'.repeat(1025),
    'é'.repeat(512) + 'a',
    '€'.repeat(342),
    '😀'.repeat(256) + 'a',
  ];
  for (const prefix of tooLong) {
    it(`a prefix of ${Buffer.byteLength(prefix)} bytes in ${prefix.length} code units is refused`, async (t) => {
      const host = await hostWithTarget(t);
      const answer = await host.putRules([rule({ prefix })]);
      assert.deepEqual([answer.status, answer.json.details[0].path], [400, '/rules/0/prefix']);
    });
  }

  it('half a surrogate pair is refused, a pair is not', async (t) => {
    const host = await hostWithTarget(t);
    for (const prefix of ['\ud83d', '\ude00', 'a\ud83db', '\ude00\ud83d']) {
      const answer = await host.putRules([], {
        body: `{"rules":[${JSON.stringify(rule({ prefix }))}]}`,
      });
      assert.deepEqual([answer.status, answer.json.details[0].path], [400, '/rules/0/prefix']);
    }
    assert.equal((await host.putRules([rule({ prefix: '\ud83d\ude00' })])).status, 200);
  });
});
