/** Turns the plan of a request into the request, by what is stored and what a client remembers. */
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
import {
  ruleFlaws,
  targetFlaws,
  type IfMatchPlan,
  type PlannedRequest,
  type RulePlan,
  type TargetPlan,
} from './planned-requests.ts';

/** What a client remembers of one bucket name, across all buckets that had it. */
export interface Memory {
  /** Lists that were saved, with their ids and real secrets. */
  readonly targetLists: (readonly ModelTarget[])[];
  readonly ruleLists: (readonly ModelRule[])[];
  /** Entity tags that were seen. */
  readonly tags: string[];
}

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
  }
}

/** A few ids that clients of all buckets choose for themselves. */
function poolId(which: number): string {
  return uuid(which % 3);
}

function oneOf<T>(items: readonly T[], index: number): T | undefined {
  return items[index % items.length];
}
