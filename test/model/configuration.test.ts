/** The pure half of a replacement: what one configuration becomes, on values that nobody may change. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  mayReplicate,
  withRules,
  withTargets,
  withoutSecrets,
  type SecretBoxes,
} from '../../src/model/configuration.ts';
import type { StoredConfiguration } from '../../src/model/generated/stored-configuration.ts';
import { ruleDraft, targetDraft } from '../support/drafts.ts';
import { uuid } from '../support/replication-bodies.ts';
import { assertProperty } from '../support/seed.ts';

let seals = 0;
/** Boxes that tell what is in them, each another one. */
const boxes: SecretBoxes = {
  seal: (bucketId, { id }, secret) => ({
    keyId: 'key',
    box: new TextEncoder().encode(`${bucketId} ${id} ${secret} ${(seals += 1)}`),
  }),
  open: (bucketId, { id, secret }) => {
    const [boundTo, target, text] = new TextDecoder().decode(secret.box).split(' ');
    return boundTo === bucketId && target === id ? (text ?? null) : null;
  },
};

const empty: StoredConfiguration = { bucketId: 'bucket-1', revision: '0', targets: [], rules: [] };

type Step =
  | { readonly kind: 'targets'; readonly ids: readonly number[] }
  | { readonly kind: 'rules'; readonly rules: readonly (readonly [number, number, boolean])[] };

const ids = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.uniqueArray(ids, { maxLength: 4 }).map((list) => ({ kind: 'targets' as const, ids: list })),
  fc
    .uniqueArray(fc.tuple(ids, ids, fc.boolean()), { maxLength: 4, selector: ([id]) => id })
    .map((rules) => ({ kind: 'rules' as const, rules })),
);

function apply(
  current: StoredConfiguration,
  next: Step,
  newIncarnation: () => number,
): StoredConfiguration {
  if (next.kind === 'targets') {
    const drafts = next.ids.map((id) => targetDraft(id));
    return withTargets(current, drafts, boxes).configuration;
  }
  const drafts = next.rules.map(([id, target, enabled]) =>
    ruleDraft(id, { targetId: uuid(target), enabled }),
  );
  return withRules(current, drafts, newIncarnation);
}

describe('configuration', () => {
  it('after any changes every enabled rule has its target, and incarnations are never shared', () => {
    assertProperty(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let current = empty;
        let incarnations = 0;
        const owners = new Map<number, string>();
        for (const next of steps) {
          const before = structuredClone(current);
          let after = current;
          try {
            after = apply(deepFreeze(current), next, () => (incarnations += 1));
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'InvalidRequest');
          }
          assert.deepEqual(current, before, 'the configuration of before is left alone');
          const targetIds = new Set(after.targets.map((target) => target.id));
          for (const rule of after.rules) {
            assert(!rule.enabled || targetIds.has(rule.targetId));
            assert.equal(owners.get(rule.incarnation) ?? rule.id, rule.id);
            owners.set(rule.incarnation, rule.id);
          }
          assert.equal(mayReplicate(after), after.rules.length > 0);
          current = after;
        }
      }),
    );
  });

  it('without secrets nothing of them is left', () => {
    const saved = withTargets(empty, [targetDraft(1)], boxes);
    const shown = withoutSecrets(saved.configuration);
    assert.deepEqual(Object.keys(shown).sort(), ['revision', 'rules', 'targets']);
    assert.equal('secret' in shown.targets[0]!, false);
  });

  it('every mask that keeps nothing is named', () => {
    const drafts = [1, 2, 3].map((n) => targetDraft(n, n === 2 ? {} : { newSecret: null }));
    assert.throws(
      () => withTargets(empty, drafts, boxes),
      (error: unknown) => {
        const { details } = error as { details: { path: string }[] };
        assert.deepEqual(
          details.map(({ path }) => path),
          ['/targets/0/secretAccessKey', '/targets/2/secretAccessKey'],
        );
        return true;
      },
    );
  });
});

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
