/** Which rules an event is for, what is dropped, and what a change of rules means. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { consequencesOf } from '../../src/model/consequences.ts';
import type { StoredTarget } from '../../src/model/generated/stored-configuration.ts';
import { judgeRuleset, matchEvent, mergeRulesets, type Match } from '../../src/model/match.ts';
import type { Rule } from '../../src/model/rule.ts';
import { uuid } from '../support/replication-bodies.ts';

function rule(incarnation: number, fields: Partial<Rule> = {}): Rule {
  return {
    id: uuid(incarnation),
    incarnation,
    targetId: 't1',
    prefix: '',
    replicateDeletes: false,
    replicateExisting: false,
    synchronous: false,
    enabled: true,
    ...fields,
  };
}

const put = { key: 'photos/a', operation: 'put', replica: false } as const;
const remove = { ...put, operation: 'delete' } as const;
const NOTHING: Match = { enqueue: [], dropped: [] };

describe('matchEvent', () => {
  const cases: [name: string, rules: Rule[], event: Parameters<typeof matchEvent>[1], Match][] = [
    ['no rules', [], put, NOTHING],
    [
      'the whole bucket',
      [rule(7)],
      put,
      { enqueue: [{ targetId: 't1', ruleset: [7] }], dropped: [] },
    ],
    ['a prefix of another folder', [rule(7, { prefix: 'video/' })], put, NOTHING],
    [
      'a prefix that is the key itself',
      [rule(7, { prefix: 'photos/a' })],
      put,
      { enqueue: [{ targetId: 't1', ruleset: [7] }], dropped: [] },
    ],
    ['a prefix longer than the key', [rule(7, { prefix: 'photos/ab' })], put, NOTHING],
    [
      'a prefix in another normal form of Unicode',
      [rule(7, { prefix: 'a\u0308' })],
      { ...put, key: '\u00e4' },
      NOTHING,
    ],
    [
      'overlapping rules share a row, incarnations ascending',
      [rule(9), rule(7, { prefix: 'photos/' })],
      put,
      { enqueue: [{ targetId: 't1', ruleset: [7, 9] }], dropped: [] },
    ],
    [
      'two targets, two rows, in the order of the rules',
      [rule(9, { targetId: 't2' }), rule(7)],
      put,
      {
        enqueue: [
          { targetId: 't2', ruleset: [9] },
          { targetId: 't1', ruleset: [7] },
        ],
        dropped: [],
      },
    ],
    ['a replica', [rule(7), rule(8, { enabled: false })], { ...put, replica: true }, NOTHING],
    [
      'a disabled rule misses the event',
      [rule(7, { enabled: false })],
      put,
      { enqueue: [], dropped: [{ incarnation: 7, deleteLost: false }] },
    ],
    [
      'a disabled rule beside an enabled one',
      [rule(7, { enabled: false }), rule(8)],
      put,
      {
        enqueue: [{ targetId: 't1', ruleset: [8] }],
        dropped: [{ incarnation: 7, deleteLost: false }],
      },
    ],
    ['a delete without replicateDeletes', [rule(7), rule(8, { enabled: false })], remove, NOTHING],
    [
      'a delete goes only under the rule that wants it',
      [rule(7), rule(8, { replicateDeletes: true })],
      remove,
      { enqueue: [{ targetId: 't1', ruleset: [8] }], dropped: [] },
    ],
    [
      'a delete that a disabled rule would want is lost to it',
      [rule(7, { replicateDeletes: true, enabled: false })],
      remove,
      { enqueue: [], dropped: [{ incarnation: 7, deleteLost: true }] },
    ],
  ];
  for (const [name, rules, event, expected] of cases) {
    it(name, () => assert.deepEqual(matchEvent({ rules }, event), expected));
  }
});

describe('judgeRuleset', () => {
  const rules = [rule(7), rule(8, { enabled: false }), rule(9, { targetId: 't2' })];
  const cases: [name: string, ruleset: number[], expected: string][] = [
    ['an enabled rule', [7], 'active'],
    ['one enabled, one disabled', [7, 8], 'active'],
    ['disabled', [8], 'parked'],
    ['disabled and gone', [3, 8], 'parked'],
    ['gone', [3], 'dead'],
    ['now of another target', [9], 'dead'],
  ];
  for (const [name, ruleset, expected] of cases) {
    it(name, () => assert.equal(judgeRuleset({ rules }, 't1', ruleset), expected));
  }
});

describe('mergeRulesets', () => {
  const rules = [rule(7), rule(8)];
  it('is both, ascending', () => assert.deepEqual(mergeRulesets({ rules }, [8], [7, 8]), [7, 8]));
  it('leaves out rules that are gone', () =>
    assert.deepEqual(mergeRulesets({ rules }, [3, 8], [4]), [8]));
  it('keeps the first where all are gone', () =>
    assert.deepEqual(mergeRulesets({ rules }, [3], [4]), [3]));
});

describe('consequencesOf', () => {
  const target = (id: string, fields: Partial<StoredTarget> = {}): StoredTarget => ({
    id,
    endpoint: 'https://192.0.2.1/base',
    targetBucket: 'backup',
    accessKeyId: 'A',
    region: 'r',
    enabled: true,
    exemptKinds: [],
    secret: { keyId: 'k', box: Buffer.from('sealed') },
    ...fields,
  });
  const before = {
    targets: [target('t1'), target('t2')],
    rules: [rule(7), rule(8, { targetId: 't2' })],
  };
  const gapsAfter = (targets: StoredTarget[], rules: Rule[] = before.rules): number[] =>
    consequencesOf(before, { targets, rules }).gaps.map(({ incarnation }) => incarnation);

  const cases: [name: string, targets: StoredTarget[], gaps: number[]][] = [
    ['nothing changed', before.targets, []],
    [
      'another region, key and state',
      [target('t1', { region: 'x', enabled: false }), target('t2')],
      [],
    ],
    [
      'another spelling of the endpoint',
      [target('t1', { endpoint: 'HTTPS://192.0.2.1:443/base/' }), target('t2')],
      [],
    ],
    ['another host', [target('t1', { endpoint: 'https://192.0.2.2/base' }), target('t2')], [7]],
    ['another path', [target('t1', { endpoint: 'https://192.0.2.1/other' }), target('t2')], [7]],
    ['another bucket', [target('t1'), target('t2', { targetBucket: 'other' })], [8]],
    ['a target left', [target('t1')], []],
  ];
  for (const [name, targets, gaps] of cases) {
    it(`gaps: ${name}`, () => assert.deepEqual(gapsAfter(targets), gaps));
  }
  it('gaps: a target came back', () => {
    const gone = { targets: [target('t1')], rules: before.rules };
    assert.deepEqual(consequencesOf(gone, before).gaps, [before.rules[1]]);
  });
  it('gaps: a rule moved to another target', () =>
    assert.deepEqual(gapsAfter(before.targets, [rule(7, { targetId: 't2' })]), [7]));

  it('removed: rules that left, by incarnation', () => {
    const after = { targets: before.targets, rules: [rule(8, { targetId: 't2' }), rule(9)] };
    assert.deepEqual(consequencesOf(before, after).removed, [before.rules[0]]);
  });
  it('resyncs: new, enabled and asked for', () => {
    const wanted = rule(9, { replicateExisting: true });
    const disabled = rule(10, { replicateExisting: true, enabled: false });
    const known = rule(7, { replicateExisting: true });
    const after = { targets: before.targets, rules: [known, wanted, disabled, rule(11)] };
    assert.deepEqual(consequencesOf(before, after).resyncs, [wanted]);
  });

  const renewals: [name: string, fields: Partial<StoredTarget>, isRenewed: boolean][] = [
    ['nothing changed', {}, false],
    ['it was disabled', { enabled: false }, false],
    ['another secret', { secret: { keyId: 'k', box: Buffer.from('another') } }, true],
    [
      'the secret sealed under another key',
      { secret: { keyId: 'l', box: Buffer.from('x') } },
      true,
    ],
    ['another region', { region: 'x' }, true],
    ['another access key', { accessKeyId: 'B' }, true],
    ['another bucket', { targetBucket: 'other' }, true],
    ['an administrator saved it', { exemptKinds: ['loopback'] }, true],
  ];
  for (const [name, fields, isRenewed] of renewals) {
    it(`renewed: ${name}`, () => {
      const targets = [target('t1', fields), target('t2')];
      const { renewed } = consequencesOf(before, { ...before, targets });
      assert.deepEqual(renewed, isRenewed ? [targets[0]] : []);
    });
  }
  it('renewed: it was enabled', () => {
    const paused = { ...before, targets: [target('t1', { enabled: false }), target('t2')] };
    assert.deepEqual(consequencesOf(paused, before).renewed, [before.targets[0]]);
  });
  it('left and new targets are not renewed', () => {
    const after = { ...before, targets: [target('t2'), target('t3')] };
    const { left, renewed } = consequencesOf(before, after);
    assert.deepEqual([left, renewed], [[before.targets[0]], []]);
  });
});
