/** Rules: from a request body to what is kept, and from there to an answer, field by field. */
import type { RuleInput } from './generated/put-rules.ts';
import type { StoredRule } from './generated/stored-configuration.ts';
import { NEW_ID } from './ids.ts';

export type Rule = StoredRule;

/** A rule to be saved: its id is final, its incarnation not yet known. */
export type RuleDraft = Omit<StoredRule, 'incarnation'>;

/** A rule in an answer; the same fields as in a body, all present. */
export type RuleAnswer = RuleDraft;

/** @param newId makes a random UUID for each rule that asks for one */
export function draftRules(inputs: readonly RuleInput[], newId: () => string): RuleDraft[] {
  return inputs.map((input) => ({
    id: input.id === NEW_ID ? newId() : input.id.toLowerCase(),
    targetId: input.targetId.toLowerCase(),
    prefix: input.prefix ?? '',
    replicateDeletes: input.replicateDeletes,
    replicateExisting: input.replicateExisting,
    synchronous: input.synchronous ?? false,
    enabled: input.enabled,
  }));
}

export function answerRule(rule: Rule): RuleAnswer {
  return {
    id: rule.id,
    targetId: rule.targetId,
    prefix: rule.prefix,
    replicateDeletes: rule.replicateDeletes,
    replicateExisting: rule.replicateExisting,
    synchronous: rule.synchronous,
    enabled: rule.enabled,
  };
}
