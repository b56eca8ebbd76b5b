/**
 * What one bucket's owner has set, and how a replacement changes it. Pure: the store runs these
 * functions inside its write transaction, on what that transaction reads.
 *
 * Invariant: every enabled rule names a target of the same configuration.
 */
import type { ErrorDetail } from '../json-api/errors.ts';
import { parseEndpoint } from './endpoint.ts';
import { replicationError } from './errors.ts';
import type {
  SealedSecret,
  StoredConfiguration,
  StoredTarget,
} from './generated/stored-configuration.ts';
import type { Rule, RuleDraft } from './rule.ts';
import type { Target, TargetDraft } from './target.ts';

/** A configuration without its secrets. Revision 0 means that nothing was ever set. */
export interface Configuration {
  readonly revision: number;
  readonly targets: readonly Target[];
  readonly rules: readonly Rule[];
}

/** Seals the secret of the target with that id. */
export type SealSecret = (targetId: string, secret: string) => SealedSecret;

export const EMPTY_CONFIGURATION: Configuration = { revision: 0, targets: [], rules: [] };

/** Leaves the secrets and the bucket's id behind. */
export function withoutSecrets(stored: StoredConfiguration): Configuration {
  return {
    revision: stored.revision,
    targets: stored.targets.map(withoutSecret),
    rules: stored.rules,
  };
}

function withoutSecret(target: StoredTarget): Target {
  const { secret, ...rest } = target;
  return rest;
}

/**
 * The write-path hint: whether the engine must see the bucket's writes. A disabled rule counts, as
 * what it misses is noted as a gap.
 */
export function mayReplicate(configuration: Pick<Configuration, 'rules'>): boolean {
  return configuration.rules.length > 0;
}

/**
 * The configuration with `drafts` as its targets; every rule that lost its target is disabled.
 *
 * @param revision of the result
 * @throws ApiError InvalidRequest where a draft keeps a secret that is not there to keep
 */
export function withTargets(
  current: StoredConfiguration,
  drafts: readonly TargetDraft[],
  revision: number,
  seal: SealSecret,
): StoredConfiguration {
  const details: ErrorDetail[] = [];
  const targets = drafts.map((draft, index) => {
    const { newSecret, ...target } = draft;
    const kept = newSecret === null ? keptSecret(current, draft) : undefined;
    if (newSecret === null && kept === undefined) details.push(maskNotUsable(index));
    return { ...target, secret: kept ?? seal(draft.id, newSecret ?? '') };
  });
  if (details.length > 0) throw invalidRequest(details);
  const ids = new Set(targets.map((target) => target.id));
  const rules = current.rules.map((rule) =>
    rule.enabled && !ids.has(rule.targetId) ? { ...rule, enabled: false } : rule,
  );
  return { ...current, revision, targets, rules };
}

/**
 * The stored secret, where the draft still sends it to the same account of the same service: a
 * changed endpoint must not be able to draw a secret out of the store.
 */
function keptSecret(current: StoredConfiguration, draft: TargetDraft): SealedSecret | undefined {
  const stored = current.targets.find((target) => target.id === draft.id);
  if (stored === undefined || stored.accessKeyId !== draft.accessKeyId) return undefined;
  const origin = parseEndpoint(draft.endpoint)?.origin;
  return origin !== undefined && origin === parseEndpoint(stored.endpoint)?.origin
    ? stored.secret
    : undefined;
}

function maskNotUsable(index: number): ErrorDetail {
  return {
    path: `/targets/${index}/secretAccessKey`,
    message:
      'must be real: the mask stands for the stored secret only while id, accessKeyId and the endpoint’s scheme, host and port are unchanged',
  };
}

/**
 * The configuration with `drafts` as its rules.
 *
 * @param revision of the result
 * @throws ApiError InvalidRequest where a rule names a target that the bucket does not have, unless
 *   the rule is disabled and was stored with that target (so that a list can be read, edited and
 *   put back after a target was removed)
 */
export function withRules(
  current: StoredConfiguration,
  drafts: readonly RuleDraft[],
  revision: number,
): StoredConfiguration {
  const targetIds = new Set(current.targets.map((target) => target.id));
  const storedRules = new Map(current.rules.map((rule) => [rule.id, rule]));
  const details: ErrorDetail[] = [];
  const rules = drafts.map((draft, index) => {
    const stored = storedRules.get(draft.id);
    const keepsLostTarget = !draft.enabled && stored?.targetId === draft.targetId;
    if (!targetIds.has(draft.targetId) && !keepsLostTarget) {
      details.push({
        path: `/rules/${index}/targetId`,
        message: 'must be the id of a target of this bucket',
      });
    }
    return { ...draft, incarnation: stored?.incarnation ?? newIncarnation(revision, index) };
  });
  if (details.length > 0) throw invalidRequest(details);
  return { ...current, revision, rules };
}

/** A number that no other saved rule of the environment has: a list holds at most 4. */
function newIncarnation(revision: number, index: number): number {
  return revision * 4 + index;
}

/** InvalidRequest whose sentence is the first detail, so that it helps also where only it is shown. */
export function invalidRequest(details: readonly ErrorDetail[]): Error {
  const [first] = details;
  if (first === undefined) return replicationError('InvalidRequest');
  const more = details.length > 1 ? ` (and ${details.length - 1} more; see "details")` : '';
  const field = first.path === '' ? 'The body' : first.path.slice(1).replaceAll('/', '.');
  return replicationError('InvalidRequest', {
    reason: `${field} ${first.message}${more}.`,
    details,
  });
}
