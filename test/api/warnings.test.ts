/** `X-Replication-Warning`: what a save passed over, dropped, disabled, vouched for or could not judge. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { warningText } from '../../src/api/warnings.ts';
import { OWNER } from '../support/koa-host.ts';
import { MASK, ruleBody, targetBody, uuid } from '../support/replication-bodies.ts';
import {
  startReplicationHost,
  type ReplicationAnswer,
  type ReplicationHost,
} from '../support/replication-host.ts';

const warningOf = ({ headers }: ReplicationAnswer): string | null =>
  headers.get('x-replication-warning');

async function startHost(
  t: TestContext,
  names: Readonly<Record<string, readonly string[]>> = {},
): Promise<ReplicationHost> {
  const lookup = (name: string): Promise<readonly string[]> => {
    const addresses = names[name];
    return addresses === undefined
      ? Promise.reject(new Error('ENOTFOUND'))
      : Promise.resolve(addresses);
  };
  return startReplicationHost(t, { system: { lookup } });
}

const setAdmin = (host: ReplicationHost, isAdmin: boolean): void =>
  void host.principals.set(`Bearer ${OWNER}`, { userId: 'owner', isAdmin });

describe('X-Replication-Warning', () => {
  it('is absent where there is nothing to say', async (t) => {
    const host = await startHost(t);
    const answers = [
      await host.putTargets([targetBody({ id: uuid(1) })]),
      await host.putRules([ruleBody({ targetId: uuid(1), prefix: 'a/' })]),
      await host.getTargets(),
      await host.getRules(),
    ];
    assert.deepEqual(answers.map(warningOf), [null, null, null, null]);
  });

  it('names properties that nobody knows, and the save is done', async (t) => {
    const host = await startHost(t);
    const targets = await host.request('PUT', '/api/v1/buckets/photos/replication/targets', {
      body: {
        targets: [targetBody({ id: uuid(1) }), { ...targetBody({ id: uuid(2) }), Region: 'x' }],
        note: 1,
      },
    });
    assert.equal(targets.status, 200, targets.text);
    assert.equal(warningOf(targets), 'ignored=note, ignored=targets.1.Region');
    const rules = await host.putRules([{ ...ruleBody({ targetId: uuid(1) }), prefx: 'a/' }]);
    assert.equal(rules.status, 200, rules.text);
    assert.equal(warningOf(rules), 'ignored=rules.0.prefx');
    assert.equal(warningOf(await host.getTargets()), null, 'it was said once');
  });

  const hostileNames = [
    ...['', ' ', 'a b', 'a,b', 'a=b', 'ä', '\r\nX-Evil: 1', '\0', 'x'.repeat(65), '\ud800', '"'],
    ...['more=1', 'é'.repeat(10), '\u2028', 'a/b', 'a.b'],
  ];
  for (const name of hostileNames) {
    it(`repeats no name like ${JSON.stringify(name)}`, async (t) => {
      const host = await startHost(t);
      const answer = await host.putTargets([{ ...targetBody(), [name]: 1 }]);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(warningOf(answer), 'ignored=targets.0.?');
      assert.equal(answer.headers.get('x-evil'), null);
    });
  }

  it('names of the language’s own objects are names like any other', async (t) => {
    const host = await startHost(t);
    const body = `{"targets":[],"constructor":2,"toString":3}`;
    const path = '/api/v1/buckets/photos/replication/targets';
    const answer = await host.request('PUT', path, { body });
    assert.equal(warningOf(answer), 'ignored=constructor, ignored=toString');
  });

  it('counts what it leaves out, however much that is', async (t) => {
    const host = await startHost(t);
    const extras = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`name-${n}`, 0]));
    const answer = await host.putTargets([{ ...targetBody(), ...extras }]);
    assert.equal(answer.status, 200);
    const entries = (warningOf(answer) ?? '').split(', ');
    assert.equal(entries.length, 17);
    assert.deepEqual([entries[0], entries[16]], ['ignored=targets.0.name-0', 'more=19984']);
  });

  it('names optional fields that were set and are absent now', async (t) => {
    const host = await startHost(t);
    await host.putTargets([targetBody({ id: uuid(1) })]);
    const rule = ruleBody({ id: uuid(4), targetId: uuid(1) });
    await host.putRules([{ ...rule, prefix: 'a/', synchronous: true }]);
    const dropped = await host.putRules([ruleBody({ targetId: uuid(1) }), rule]);
    assert.equal(warningOf(dropped), 'dropped=rules.1.prefix, dropped=rules.1.synchronous');
    assert.equal(warningOf(await host.putRules([rule])), null, 'they are not set any more');
    await host.putRules([{ ...rule, prefix: 'a/', synchronous: true }]);
    const said = await host.putRules([{ ...rule, prefix: null, synchronous: false }]);
    assert.equal(warningOf(said), null, 'what is written out is meant');
  });

  it('names the rules that a save of targets disables', async (t) => {
    const host = await startHost(t);
    await host.putTargets([targetBody({ id: uuid(1) }), targetBody({ id: uuid(2) })]);
    await host.putRules([
      ruleBody({ id: uuid(4), targetId: uuid(1) }),
      ruleBody({ id: uuid(5), targetId: uuid(2) }),
      ruleBody({ id: uuid(6), targetId: uuid(1), enabled: false }),
    ]);
    const answer = await host.putTargets([targetBody({ id: uuid(2) })]);
    assert.equal(warningOf(answer), `disabled=${uuid(4)}`);
  });

  it('names the kinds that an administrator vouched for, on GET too and in the audit line', async (t) => {
    const host = await startHost(t, { 'mixed.example.com': ['10.0.0.1', '127.0.0.1', '8.8.8.8'] });
    setAdmin(host, true);
    const list = [
      targetBody({ id: uuid(1), endpoint: 'http://127.0.0.1:9000' }),
      targetBody({ id: uuid(2), endpoint: 'https://mixed.example.com' }),
      targetBody({ id: uuid(3) }),
    ];
    const saved = await host.putTargets(list);
    const said = 'exempt=loopback, exempt=private';
    assert.deepEqual([warningOf(saved), warningOf(await host.getTargets())], [said, said]);
    assert.equal(Object.keys(saved.json.targets[0]).length, 7, 'the body keeps its seven fields');
    const [audit] = host.audits() as { added: { exempt?: string[] }[] }[];
    assert.deepEqual(
      audit?.added.map(({ exempt }) => exempt),
      [['loopback'], ['loopback', 'private'], undefined],
    );
    const again = await host.putTargets(
      list.map((target) => ({ ...target, secretAccessKey: MASK })),
    );
    assert.deepEqual(
      [warningOf(again), again.headers.get('etag')],
      [said, saved.headers.get('etag')],
    );
    setAdmin(host, false);
    const moved = await host.putTargets([targetBody({ id: uuid(3), secretAccessKey: MASK })]);
    assert.deepEqual([moved.status, warningOf(moved)], [200, null]);
    assert.equal(warningOf(await host.getTargets()), null);
  });

  it('says which names gave no address to judge', async (t) => {
    const host = await startHost(t);
    const answer = await host.putTargets([
      targetBody(),
      targetBody({ endpoint: 'https://missing.example.com' }),
    ]);
    assert.deepEqual([answer.status, warningOf(answer)], [200, 'unjudged=targets.1.endpoint']);
  });
});

describe('the length of X-Replication-Warning', () => {
  const names = (count: number, length = 64): string[] =>
    Array.from({ length: count }, (_, n) => `ignored=targets.0.${String(n).padEnd(length, 'x')}`);

  it('is 16 entries and 1 KiB at most, whatever is left out being counted', () => {
    for (const [ignored, rest] of [
      [names(100), []],
      [names(13), ['exempt=loopback']],
      [names(400_000, 6), names(40, 30)],
      [[], names(100)],
    ] as const) {
      const text = warningText(ignored, rest);
      assert(Buffer.byteLength(text) <= 1024, String(text.length));
      const entries = text.split(', ');
      const more = Number(/^more=(\d+)$/.exec(entries.at(-1) ?? '')?.[1] ?? 0);
      const shown = entries.length - (more > 0 ? 1 : 0);
      assert(shown <= 16);
      assert.equal(shown + more, ignored.length + rest.length);
    }
  });

  it('leaves out what a caller made up before it leaves out what the server did', () => {
    const text = warningText(names(1_000), ['disabled=a', 'exempt=loopback']);
    assert.match(text, /disabled=a, exempt=loopback, more=\d+$/);
  });
});
