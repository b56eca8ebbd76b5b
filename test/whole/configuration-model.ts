/**
 * What one bucket name must answer, request by request: the specification as a pure function,
 * written apart from src/ so that a misreading there is not repeated here.
 *
 * The server chooses ids and entity tags. The model leaves them open (`null`) and binds them when an
 * answer shows them: {@link expect} says what must be answered, {@link observe} compares and binds.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ClientAnswer } from '../support/keep-alive-client.ts';
import { MASK } from '../support/replication-bodies.ts';
import { findFlaw } from './body-rules.ts';
import { originOf } from './known-endpoints.ts';

export type Actor = 'alarik' | 'ann' | 'bob';
export const ACTORS: readonly Actor[] = ['alarik', 'ann', 'bob'];
export const ADMINISTRATOR: Actor = 'alarik';

export interface ModelTarget {
  /** Null: assigned by the server, not seen yet. */
  readonly id: string | null;
  readonly endpoint: string;
  readonly targetBucket: string;
  readonly accessKeyId: string;
  /** The real one. */
  readonly secret: string;
  readonly region: string;
  readonly enabled: boolean;
}

export interface ModelRule {
  readonly id: string | null;
  readonly targetId: string;
  readonly prefix: string;
  readonly replicateDeletes: boolean;
  readonly replicateExisting: boolean;
  readonly synchronous: boolean;
  readonly enabled: boolean;
}

export interface ModelBucket {
  readonly owner: Actor;
  readonly versioning: 'Disabled' | 'Enabled' | 'Suspended';
  /** What is between the quotes of the entity tag; null: changed, the new one not seen yet. */
  readonly tag: string | null;
  /** How many changes there were. */
  readonly changes: number;
  readonly targets: readonly ModelTarget[];
  readonly rules: readonly ModelRule[];
}

/** Null: there is no bucket of that name. */
export type ModelState = ModelBucket | null;

export type Body = Readonly<Record<string, unknown>>;

export type ModelRequest = { readonly actor: Actor } & (
  | { readonly kind: 'getTargets' | 'getRules' | 'getVersioning' | 'deleteBucket' }
  | {
      readonly kind: 'putTargets' | 'putRules';
      readonly list: readonly Body[];
      readonly ifMatch: string | null;
    }
  | { readonly kind: 'createBucket'; readonly versioned: boolean }
  | { readonly kind: 'setVersioning'; readonly status: 'Enabled' | 'Suspended' }
);

type PutRequest = Extract<ModelRequest, { list: unknown }>;

/** What must be answered, and what is then stored. `shows` names the list that a 200 carries. */
export interface Expected {
  readonly status: number;
  readonly code?: string;
  readonly shows?: 'targets' | 'rules' | 'versioning';
  readonly next: ModelState;
}

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const NIL = '00000000-0000-0000-0000-000000000000';
const MALFORMED = 'malformed';

export function expect(state: ModelState, request: ModelRequest): Expected {
  if (request.kind === 'createBucket') return expectCreation(state, request);
  if (state === null || state.owner !== request.actor) {
    return { status: 404, code: 'NoSuchBucket', next: state };
  }
  switch (request.kind) {
    case 'getTargets':
      return { status: 200, shows: 'targets', next: state };
    case 'getRules':
      return { status: 200, shows: 'rules', next: state };
    case 'getVersioning':
      return { status: 200, shows: 'versioning', next: state };
    case 'deleteBucket':
      return { status: 204, next: null };
    case 'setVersioning':
      if (request.status === 'Suspended' && state.rules.length > 0) {
        return { status: 409, code: 'InvalidBucketState', next: state };
      }
      return { status: 200, shows: 'versioning', next: { ...state, versioning: request.status } };
    case 'putTargets':
    case 'putRules':
      return expectPut(state, request);
  }
}

function expectCreation(
  state: ModelState,
  request: Extract<ModelRequest, { kind: 'createBucket' }>,
): Expected {
  if (state !== null) {
    const own = state.owner === request.actor;
    const code = own ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists';
    return { status: 409, code, next: state };
  }
  const versioning = request.versioned ? 'Enabled' : 'Disabled';
  const nothing = { tag: '0', changes: 0, targets: [], rules: [] };
  return { status: 201, next: { owner: request.actor, versioning, ...nothing } };
}

/** In the order of the checks: fields, precondition's syntax, policy, precondition, stored state. */
function expectPut(state: ModelBucket, request: PutRequest): Expected {
  const refuse = (status: number, code: string): Expected => ({ status, code, next: state });
  const { kind, list, ifMatch, actor } = request;
  if (findFlaw(kind, list) !== null) return refuse(400, 'InvalidRequest');
  const match = ifMatch === null ? true : matches(ifMatch, state.tag);
  if (match === MALFORMED) return refuse(400, 'InvalidPrecondition');
  if (kind === 'putTargets' && actor !== ADMINISTRATOR && list.some(isPrivate)) {
    return refuse(403, 'EndpointNotAllowed');
  }
  if (kind === 'putRules' && list.length > 0 && state.versioning !== 'Enabled') {
    return refuse(400, 'VersioningNotEnabled');
  }
  if (!match) return refuse(412, 'PreconditionFailed');
  const changed = kind === 'putTargets' ? replaceTargets(state, list) : replaceRules(state, list);
  if (changed === null) return refuse(400, 'InvalidRequest');
  const next = isSame(state, changed)
    ? state
    : { ...changed, tag: null, changes: state.changes + 1 };
  return { status: 200, shows: kind === 'putTargets' ? 'targets' : 'rules', next };
}

/** Whether a save changed nothing. An id that the server is to assign is a change. */
function isSame(before: ModelBucket, after: ModelBucket): boolean {
  const isAssigned = [...after.targets, ...after.rules].every(({ id }) => id !== null);
  return (
    isAssigned &&
    isDeepStrictEqual(before.targets, after.targets) &&
    isDeepStrictEqual(before.rules, after.rules)
  );
}

function matches(header: string, tag: string | null): boolean | typeof MALFORMED {
  if (header.trim() === '*') return true;
  const members = header.split(',').map((member) => member.trim());
  if (!members.every((member) => /^(W\/)?"[^"]*"$/.test(member))) return MALFORMED;
  return tag !== null && members.includes(`"${tag}"`);
}

function isPrivate(target: Body): boolean {
  return originOf(String(target['endpoint']))?.isPublic === false;
}

/** Null where a mask stands for nothing. */
function replaceTargets(state: ModelBucket, list: readonly Body[]): ModelBucket | null {
  const targets = list.map((body): ModelTarget | null => {
    const { endpoint, targetBucket, accessKeyId, region, enabled } = body as unknown as ModelTarget;
    const id = assignedId(body['id']);
    const stored = state.targets.find((target) => target.id === id && id !== null);
    const isKept =
      stored?.accessKeyId === accessKeyId &&
      originOf(stored.endpoint)?.origin === originOf(endpoint)?.origin;
    const sent = String(body['secretAccessKey']);
    if (sent === MASK && !isKept) return null;
    const secret = sent === MASK ? stored!.secret : sent;
    return { id, endpoint, targetBucket, accessKeyId, secret, region, enabled };
  });
  if (targets.includes(null)) return null;
  const ids = new Set(targets.map((target) => target!.id));
  const rules = state.rules.map((rule) =>
    ids.has(rule.targetId) ? rule : { ...rule, enabled: false },
  );
  return { ...state, targets: targets as ModelTarget[], rules };
}

/** Null where a rule names a target that it may not name. */
function replaceRules(state: ModelBucket, list: readonly Body[]): ModelBucket | null {
  const ids = new Set(state.targets.map(({ id }) => id));
  const rules = list.map((body): ModelRule => {
    const { replicateDeletes, replicateExisting, enabled } = body as unknown as ModelRule;
    return {
      id: assignedId(body['id']),
      targetId: String(body['targetId']).toLowerCase(),
      prefix: (body['prefix'] as string | null | undefined) ?? '',
      replicateDeletes,
      replicateExisting,
      synchronous: body['synchronous'] === true,
      enabled,
    };
  });
  const isAllowed = (rule: ModelRule): boolean =>
    ids.has(rule.targetId) ||
    (!rule.enabled &&
      rule.id !== null &&
      state.rules.some(({ id, targetId }) => id === rule.id && targetId === rule.targetId));
  return rules.every(isAllowed) ? { ...state, rules } : null;
}

function assignedId(sent: unknown): string | null {
  return sent === NIL ? null : String(sent).toLowerCase();
}

/**
 * Compares an answer with what was expected.
 *
 * @returns the state with what the answer tells bound in it, or a sentence that says what differs
 */
export function observe(expected: Expected, answer: ClientAnswer): { state: ModelState } | string {
  const { status, code, shows, next } = expected;
  if (answer.status !== status) {
    return `expected ${status} ${code ?? ''}, got ${answer.status} ${answer.text}`;
  }
  if (code !== undefined) {
    const body = JSON.parse(answer.text) as Record<string, unknown>;
    const fits = body['error'] === true && body['code'] === code && body['reason'] !== '';
    return fits ? { state: next } : `expected code ${code}, got ${answer.text}`;
  }
  if (shows === undefined || next === null) return { state: next };
  if (shows === 'versioning') {
    const wanted = JSON.stringify({ status: next.versioning });
    return answer.text === wanted ? { state: next } : `expected ${wanted}, got ${answer.text}`;
  }
  return observeList(next, shows, answer);
}

function observeList(
  state: ModelBucket,
  shows: 'targets' | 'rules',
  answer: ClientAnswer,
): { state: ModelState } | string {
  const tag = /^"(.*)"$/.exec(answer.etag ?? '')?.[1] ?? '';
  const isNew = new RegExp(`^${state.changes}-[0-9a-f]{8}$`).test(tag);
  if (state.tag === null ? !isNew : tag !== state.tag) {
    return `expected ETag ${state.tag ?? `of change ${state.changes}`}, got ${answer.etag}`;
  }
  const shown = (JSON.parse(answer.text) as Record<string, { id: string }[]>)[shows] ?? [];
  const bound = { ...state, tag, [shows]: bindIds(state[shows], shown) };
  const wanted = JSON.stringify({
    [shows]: shows === 'targets' ? bound.targets.map(masked) : bound.rules,
  });
  return answer.text === wanted ? { state: bound } : `expected ${wanted}, got ${answer.text}`;
}

/** An id that the server assigned is a random UUID that the list has nowhere else. */
function bindIds(
  entries: readonly { readonly id: string | null }[],
  shown: readonly { readonly id: string }[],
): object[] {
  return entries.map((entry, index) => {
    const id = shown[index]?.id ?? '';
    const isNew = UUID_V4.test(id) && shown.filter((other) => other.id === id).length === 1;
    return entry.id === null && isNew ? { ...entry, id } : entry;
  });
}

function masked({ secret, ...target }: ModelTarget): object {
  const { id, endpoint, targetBucket, accessKeyId, region, enabled } = target;
  return { id, endpoint, targetBucket, accessKeyId, secretAccessKey: MASK, region, enabled };
}
