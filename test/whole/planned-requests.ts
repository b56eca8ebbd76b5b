/**
 * Random requests as plans: "the second stored target, masked, with another access key". What a plan
 * means is settled when it is its turn (realized-requests.ts), so that it keeps a meaning when
 * fast-check leaves out what came before it.
 */
import fc from 'fast-check';
import { ACTORS, type Body } from './configuration-model.ts';

const OTHER_ACTORS = ACTORS.length - 1;

const pick = fc.nat({ max: 999 });

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
  secret: fc.constantFrom('mask', 'real', 'real', 'real'),
  secretNumber: fc.nat({ max: 5 }),
  region: fc.constantFrom('us-east-1', 'eu-1'),
  enabled: fc.boolean(),
});

export const targetFlaws: readonly Body[] = [
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

export const ruleFlaws: readonly Body[] = [
  { prefix: 'é'.repeat(513) },
  { prefix: 7 },
  { targetId: 'x' },
  { replicateDeletes: null },
  { synchronous: 1 },
  { enabled: undefined },
];

export type TargetPlan = typeof targetPlan extends fc.Arbitrary<infer T> ? T : never;
export type RulePlan = typeof rulePlan extends fc.Arbitrary<infer T> ? T : never;

const ifMatchPlan = fc.oneof(
  { weight: 12, arbitrary: fc.constant('none' as const) },
  { weight: 4, arbitrary: fc.constantFrom('current', 'any', 'list') },
  { weight: 5, arbitrary: fc.constantFrom('stale', 'staleList', 'weak', 'zero', 'malformed') },
);
export type IfMatchPlan = typeof ifMatchPlan extends fc.Arbitrary<infer T> ? T : never;

const list = <T>(item: fc.Arbitrary<T>) => ({
  items: fc.oneof(
    { weight: 12, arbitrary: fc.array(item, { minLength: 1, maxLength: 3, size: 'max' }) },
    fc.array(item, { maxLength: 5, size: 'max' }),
  ),
  source: fc.constantFrom('build', 'build', 'build', 'build', 'same', 'restore', 'restoreMasked'),
  which: pick,
  /** Index of a flaw for the first item; beyond the last one: none. */
  flaw: fc.nat({ max: 120 }),
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
    status: fc.constantFrom('Enabled', 'Enabled', 'Enabled', 'Suspended'),
  }),
} as const;

export const plannedRequest = fc.oneof(
  { weight: 22, arbitrary: plans.putTargets },
  { weight: 20, arbitrary: plans.putRules },
  { weight: 1, arbitrary: plans.get },
  { weight: 6, arbitrary: plans.createBucket },
  { weight: 1, arbitrary: plans.deleteBucket },
  { weight: 8, arbitrary: plans.setVersioning },
);

export type PlannedRequest = typeof plannedRequest extends fc.Arbitrary<infer T> ? T : never;
