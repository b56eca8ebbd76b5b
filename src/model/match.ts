/**
 * Which rules an event is for: the pure part of enqueueing. A store runs these functions inside its
 * write transaction, on the configuration as that transaction reads it.
 */
import type { Configuration } from './configuration.ts';
import type { Rule } from './rule.ts';

/** A change of what is current for a key. */
export interface MatchedEvent {
  readonly key: string;
  readonly operation: 'put' | 'delete';
  /** Came from another server's replication: never replicated again. */
  readonly replica: boolean;
}

/** One row to queue: all matching rules of one target share it. */
export interface MatchedTarget {
  readonly targetId: string;
  /** Incarnations, ascending. */
  readonly ruleset: readonly number[];
}

/** A rule that will miss the event. */
export interface DroppedEvent {
  readonly incarnation: number;
  /** A resync cannot find what was deleted. */
  readonly deleteLost: boolean;
}

export interface Match {
  /** In the order in which the owner listed the rules. A disabled target is a pause and is queued for. */
  readonly enqueue: readonly MatchedTarget[];
  /** Rules that match but are disabled. */
  readonly dropped: readonly DroppedEvent[];
}

/** What a ruleset's rules are now, as seen from the lane of one target. */
export type RulesetState =
  /** An enabled rule of the target is among them. */
  | 'active'
  /** Some are left, all disabled: their rows wait. */
  | 'parked'
  /** None is left that names this target: their rows are invisible and will be swept. */
  | 'dead';

type Rules = Pick<Configuration, 'rules'>;

const NOTHING: Match = { enqueue: [], dropped: [] };

export function matchEvent({ rules }: Rules, event: MatchedEvent): Match {
  if (event.replica) return NOTHING;
  const matching = rules.filter((rule) => matches(rule, event));
  if (matching.length === 0) return NOTHING;
  const byTarget = new Map<string, number[]>();
  const dropped: DroppedEvent[] = [];
  for (const { enabled, targetId, incarnation } of matching) {
    if (enabled) byTarget.set(targetId, [...(byTarget.get(targetId) ?? []), incarnation]);
    else dropped.push({ incarnation, deleteLost: event.operation === 'delete' });
  }
  const enqueue = Array.from(byTarget, ([targetId, incarnations]) => ({
    targetId,
    ruleset: unionOf(incarnations, []),
  }));
  return { enqueue, dropped };
}

/** Whether a row would be queued for the event. */
export function isCovered({ rules }: Rules, event: MatchedEvent): boolean {
  return !event.replica && rules.some((rule) => rule.enabled && matches(rule, event));
}

/** Whether a write that queued such a row waits for its delivery: not where the target is paused. */
export function isSynchronous(
  { rules, targets }: Pick<Configuration, 'rules' | 'targets'>,
  { targetId, ruleset }: MatchedTarget,
): boolean {
  return (
    rules.some((rule) => rule.synchronous && rule.enabled && ruleset.includes(rule.incarnation)) &&
    targets.some(({ id, enabled }) => enabled && id === targetId)
  );
}

/** What the rules of a match lose where its row cannot be queued. */
export function droppedBy(
  match: MatchedTarget,
  operation: MatchedEvent['operation'],
): readonly DroppedEvent[] {
  return match.ruleset.map((incarnation) => ({ incarnation, deleteLost: operation === 'delete' }));
}

export function judgeRuleset(
  { rules }: Rules,
  targetId: string,
  ruleset: readonly number[],
): RulesetState {
  let state: RulesetState = 'dead';
  for (const rule of rules) {
    if (rule.targetId !== targetId || !ruleset.includes(rule.incarnation)) continue;
    if (rule.enabled) return 'active';
    state = 'parked';
  }
  return state;
}

/**
 * The rulesets of two rows that become one, ascending. Rules that are gone are left out, so that the
 * result stays short however often rows are merged and rules replaced.
 */
export function mergeRulesets(
  { rules }: Rules,
  a: readonly number[],
  b: readonly number[],
): readonly number[] {
  const all = unionOf(a, b);
  const left = all.filter((incarnation) => rules.some((rule) => rule.incarnation === incarnation));
  return left.length > 0 ? left : a;
}

function unionOf(a: readonly number[], b: readonly number[]): readonly number[] {
  return [...new Set([...a, ...b])].sort((left, right) => left - right);
}

/** Prefixes are compared by UTF-16 code unit, which for well-formed strings is the same as by byte. */
function matches(rule: Rule, { key, operation }: MatchedEvent): boolean {
  return key.startsWith(rule.prefix) && (operation === 'put' || rule.replicateDeletes);
}
