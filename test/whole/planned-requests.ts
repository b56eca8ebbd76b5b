/**
 * Random requests, in two steps: fast-check draws plans ("the second stored target, masked, with
 * another access key"), and {@link realize} turns a plan into a request once it is known what is
 * stored. So a plan stays meaningful when fast-check leaves out what came before it.
 */
import fc from 'fast-check';
import { MASK, NEW_ID, uuid } from '../support/replication-bodies.ts';
import {
  ACTORS,
  type Actor,
  type Body,
  type ModelRequest,
  type ModelRule,
  type ModelState,
  type ModelTarget,
} from './configuration-model.ts';
import { knownEndpoints } from './known-endpoints.ts';

/** What a client remembers of one bucket name, across all buckets that had it. */
export interface Memory {
  /** Lists that were saved, with their ids and real secrets. */
  readonly targetLists: (readonly ModelTarget[])[];
  readonly ruleLists: (readonly ModelRule[])[];
  /** Entity tags that were seen. */
  readonly tags: string[];
}

const OTHER_ACTORS = ACTORS.length - 1;

const pick = fc.nat({ max: 999 });
const oneOf = <T>(items: readonly T[], index: number): T | undefined => items[index % items.length];

const targetPlan = fc.record({
  id: fc.constantFrom(
    'new',
    'new',
    'stored',
    'stored',
    'stored',
    'stored',
    'STORED',
    'pool',
    'other',
  ),
  which: pick,
  /** Where the id is a stored one: whether its other fields are kept as they are. */
  keep: fc.boolean(),
  endpoint: fc.oneof({ weight: 3, arbitrary: fc.nat({ max: 6 }) }, fc.nat({ max: 11 })),
  accessKeyId: fc.constantFrom('AKIA1', 'AKIA1', 'AKIA2'),
  secret: fc.constantFrom('mask', 'real'),
  secretNumber: fc.nat({ max: 5 }),
  region: fc.constantFrom('us-east-1', 'eu-1'),
  enabled: fc.boolean(),
});

const targetFlaws: readonly Body[] = [
  { targetBucket: '..' },
  { accessKeyId: 'a/b' },
  { secretAccessKey: '' },
  { secretAccessKey: undefined },
  { region: 'a b' },
  { enabled: 'true' },
  { id: 'not-a-uuid' },
  { id: null },
  { endpoint: 'ftp://93.184.216.34' },
  { endpoint: 'https://user:pass@93.184.216.34' },
  { endpoint: '' },
];

const rulePlan = fc.record({
  id: fc.constantFrom('new', 'new', 'stored', 'stored', 'STORED', 'pool'),
  which: pick,
  target: fc.constantFrom(...Array<'stored'>(9).fill('stored'), 'STORED', 'kept', 'gone', 'pool'),
  whichTarget: pick,
  prefix: fc.constantFrom('', undefined, null, 'photos/', 'é😀/', 'x'.repeat(1024)),
  replicateDeletes: fc.boolean(),
  replicateExisting: fc.boolean(),
  synchronous: fc.constantFrom(undefined, true, false),
  enabled: fc.boolean(),
});

const ruleFlaws: readonly Body[] = [
  { prefix: 'é'.repeat(513) },
  { prefix: 7 },
  { targetId: 'x' },
  { replicateDeletes: null },
  { synchronous: 1 },
  { enabled: undefined },
];

type TargetPlan = typeof targetPlan extends fc.Arbitrary<infer T> ? T : never;
type RulePlan = typeof rulePlan extends fc.Arbitrary<infer T> ? T : never;

const ifMatchPlan = fc.constantFrom(
  ...[
    'none',
    'none',
    'none',
    'none',
    'none',
    'none',
    'current',
    'current',
    'current',
    'stale',
    'any',
    'list',
    'staleList',
  ],
  ...['weak', 'zero', 'malformed'],
);
type IfMatchPlan = typeof ifMatchPlan extends fc.Arbitrary<infer T> ? T : never;

const list = <T>(item: fc.Arbitrary<T>) => ({
  items: fc.oneof(
    { weight: 12, arbitrary: fc.array(item, { minLength: 1, maxLength: 3, size: 'max' }) },
    fc.array(item, { maxLength: 5, size: 'max' }),
  ),
  source: fc.constantFrom('build', 'build', 'build', 'build', 'same', 'restore', 'restoreMasked'),
  which: pick,
  /** Index of a flaw for the first item; beyond the last one: none. */
  flaw: fc.nat({ max: 90 }),
  /** Whether the first item is sent twice. */
  repeat: fc.nat({ max: 24 }).map((n) => n === 1),
  ifMatch: ifMatchPlan,
});

/** 0: the bucket's owner; otherwise somebody else. */
const stranger = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  fc.integer({ min: 1, max: OTHER_ACTORS }),
);

const plans = {
  putTargets: fc.record({ kind: fc.constant('putTargets'), stranger, ...list(targetPlan) }),
  putRules: fc.record({ kind: fc.constant('putRules'), stranger, ...list(rulePlan) }),
  get: fc.record({ kind: fc.constantFrom('getTargets', 'getRules', 'getVersioning'), stranger }),
  createBucket: fc.record({
    kind: fc.constant('createBucket'),
    actor: fc.constantFrom(...ACTORS),
    versioned: fc.constantFrom(true, true, true, false),
  }),
  deleteBucket: fc.record({ kind: fc.constant('deleteBucket'), stranger }),
  setVersioning: fc.record({
    kind: fc.constant('setVersioning'),
    stranger,
    status: fc.constantFrom('Enabled', 'Enabled', 'Suspended'),
  }),
} as const;

export const plannedRequest = fc.oneof(
  { weight: 22, arbitrary: plans.putTargets },
  { weight: 20, arbitrary: plans.putRules },
  { weight: 1, arbitrary: plans.get },
  { weight: 6, arbitrary: plans.createBucket },
  { weight: 2, arbitrary: plans.deleteBucket },
  { weight: 4, arbitrary: plans.setVersioning },
);

export type PlannedRequest = typeof plannedRequest extends fc.Arbitrary<infer T> ? T : never;

/** The request that a plan means while `state` is stored. */
export function realize(plan: PlannedRequest, state: ModelState, memory: Memory): ModelRequest {
  if (plan.kind === 'createBucket') return plan;
  const owner = state?.owner ?? ACTORS[0]!;
  const actor = ACTORS[(ACTORS.indexOf(owner) + plan.stranger) % ACTORS.length] as Actor;
  if (plan.kind === 'setVersioning') return { kind: plan.kind, actor, status: plan.status };
  if (plan.kind !== 'putTargets' && plan.kind !== 'putRules') return { kind: plan.kind, actor };
  const bodies =
    plan.kind === 'putTargets'
      ? realizeTargets(plan, state, memory)
      : realizeRules(plan, state, memory);
  const flaw = (plan.kind === 'putTargets' ? targetFlaws : ruleFlaws)[plan.flaw];
  const [first, ...rest] = bodies;
  const flawed =
    first !== undefined && flaw !== undefined ? [{ ...first, ...flaw }, ...rest] : bodies;
  const repeated = plan.repeat && first !== undefined ? [...flawed, first] : flawed;
  return {
    kind: plan.kind,
    actor,
    list: repeated,
    ifMatch: realizeTag(plan.ifMatch, state, memory),
  };
}

type ListPlan<K> = Extract<PlannedRequest, { kind: K }>;

function realizeTargets(
  plan: ListPlan<'putTargets'>,
  state: ModelState,
  memory: Memory,
): readonly Body[] {
  const stored = state?.targets ?? [];
  const remembered = oneOf(memory.targetLists, plan.which) ?? [];
  const show = ({ secret, ...target }: ModelTarget, masked: boolean): Body => ({
    ...target,
    secretAccessKey: masked ? MASK : secret,
  });
  switch (plan.source) {
    case 'same':
      return stored.map((target) => show(target, true));
    case 'restore':
      return remembered.map((target) => show(target, false));
    case 'restoreMasked':
      return remembered.map((target) => show(target, true));
    case 'build':
      return plan.items.map((item) => {
        const fields = targetFields(item);
        const known = oneOf(item.id === 'other' ? remembered : stored, item.which);
        if (item.id === 'new') return { ...fields, id: NEW_ID };
        if (item.id === 'pool' || known === undefined) return { ...fields, id: poolId(item.which) };
        const id = item.id === 'STORED' ? known.id?.toUpperCase() : known.id;
        return item.keep
          ? { ...show(known, item.secret === 'mask'), id, enabled: item.enabled }
          : { ...fields, id };
      });
  }
}

function targetFields(item: TargetPlan): Body {
  return {
    endpoint: knownEndpoints[item.endpoint]!.text,
    targetBucket: `backup-${item.which % 3}`,
    accessKeyId: item.accessKeyId,
    secretAccessKey:
      item.secret === 'mask' && item.id !== 'new' ? MASK : `real-secret-${item.secretNumber}`,
    region: item.region,
    enabled: item.enabled,
    // Nobody knows this property: it is passed over and not shown again.
    note: 'x',
  };
}

function realizeRules(
  plan: ListPlan<'putRules'>,
  state: ModelState,
  memory: Memory,
): readonly Body[] {
  const stored = state?.rules ?? [];
  switch (plan.source) {
    case 'same':
      return stored.map((rule) => ({ ...rule }));
    case 'restore':
    case 'restoreMasked':
      return (oneOf(memory.ruleLists, plan.which) ?? []).map((rule) => ({ ...rule }));
    case 'build':
      return plan.items.map((item) => realizeRule(item, state, memory));
  }
}

function realizeRule(item: RulePlan, state: ModelState, memory: Memory): Body {
  const known = oneOf(state?.rules ?? [], item.which);
  const { which, whichTarget, target, id, ...fields } = item;
  const ids: Readonly<Record<string, string | null | undefined>> = {
    new: NEW_ID,
    stored: known?.id,
    STORED: known?.id?.toUpperCase(),
  };
  return {
    ...fields,
    id: ids[id] ?? poolId(which),
    targetId: realizeTargetId(item, state, memory),
  };
}

function realizeTargetId(item: RulePlan, state: ModelState, memory: Memory): string {
  const stored = oneOf(state?.targets ?? [], item.whichTarget)?.id;
  const gone = oneOf(memory.targetLists.flat(), item.whichTarget)?.id;
  const kept = oneOf(state?.rules ?? [], item.which)?.targetId;
  const ids: Readonly<Record<string, string | null | undefined>> = {
    stored,
    STORED: stored?.toUpperCase(),
    kept,
    gone,
  };
  return ids[item.target] ?? poolId(item.whichTarget);
}

function realizeTag(plan: IfMatchPlan, state: ModelState, memory: Memory): string | null {
  const current = `"${state?.tag ?? 0}"`;
  const stale = memory.tags.filter((tag) => tag !== current).at(-1) ?? '"none"';
  switch (plan) {
    case 'none':
      return null;
    case 'current':
      return current;
    case 'stale':
      return stale;
    case 'any':
      return '*';
    case 'list':
      return `${stale}, ${current}`;
    case 'staleList':
      return `${stale},"also-none"`;
    case 'weak':
      return `W/${current}`;
    case 'zero':
      return '"0"';
    case 'malformed':
      return current.slice(1);
    default:
      throw new Error(`There is no plan ${plan} for If-Match.`);
  }
}

/** A few ids that clients of all buckets choose for themselves. */
function poolId(which: number): string {
  return uuid(which % 3);
}
