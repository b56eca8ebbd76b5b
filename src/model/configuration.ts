/**
 * What one bucket's owner has set, and how a replacement changes it. Pure: the store runs these
 * functions inside its write transaction, on what that transaction reads.
 *
 * Invariant: every enabled rule names a target of the same configuration.
 */
import { timingSafeEqual } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ErrorDetail } from '../json-api/errors.ts';
import { parseEndpoint } from './endpoint.ts';
import { replicationError } from './errors.ts';
import { FIRST_REVISION } from './etag.ts';
import type {
  SealedSecret,
  StoredConfiguration,
  StoredTarget,
} from './generated/stored-configuration.ts';
import type { Rule, RuleDraft } from './rule.ts';
import type { Target, TargetDraft } from './target.ts';

const MASK_NOT_USABLE =
  'must be real: the mask stands for the stored secret only while id, accessKeyId and the endpoint’s scheme, host and port are unchanged';
const SECRET_SEALED =
  'must be real: the stored secret cannot be opened, as its key is not configured or its record was changed outside of the server';

/** A configuration without its secrets. */
export interface Configuration {
  /** Model/etag.ts says what it is made of; `0` means that nothing was ever set. */
  readonly revision: string;
  readonly targets: readonly Target[];
  readonly rules: readonly Rule[];
}

/** Seals secrets, bound to the bucket and to where the target sends them, and opens them again. */
export interface SecretBoxes {
  seal(bucketId: string, target: Target, secret: string): SealedSecret;
  /** Null where no key opens the box, or its target is not the one that it was sealed for. */
  open(bucketId: string, target: StoredTarget): string | null;
}

/** A configuration with other targets, and which of them have a secret that they did not have. */
export interface TargetsReplacement {
  readonly configuration: StoredConfiguration;
  readonly newSecrets: readonly string[];
}

export const EMPTY_CONFIGURATION: Configuration = {
  revision: FIRST_REVISION,
  targets: [],
  rules: [],
};

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
 * The configuration with `drafts` as its targets; every rule that lost its target is disabled. It is
 * `current` itself where nothing changes; otherwise its revision is the caller's to set.
 *
 * @throws ApiError InvalidRequest where a draft keeps a secret that is not there to keep
 */
export function withTargets(
  current: StoredConfiguration,
  drafts: readonly TargetDraft[],
  boxes: SecretBoxes,
): TargetsReplacement {
  const details: ErrorDetail[] = [];
  const newSecrets: string[] = [];
  const known = new Map(current.targets.map((target) => [target.id, target]));
  const targets = drafts.flatMap((draft, index) => {
    const { newSecret, ...target } = draft;
    const stored = known.get(draft.id);
    if (newSecret === null) {
      const kept = keepSecret(current.bucketId, stored, target, boxes);
      if ('box' in kept) return [{ ...target, secret: kept }];
      details.push({ path: `/targets/${index}/secretAccessKey`, message: kept.message });
      return [];
    }
    const isSame =
      stored !== undefined && isSecret(newSecret, boxes.open(current.bucketId, stored));
    if (!isSame) newSecrets.push(draft.id);
    const secret =
      isSame && isBoundAlike(stored, target)
        ? stored.secret
        : boxes.seal(current.bucketId, target, newSecret);
    return [{ ...target, secret }];
  });
  if (details.length > 0) throw invalidRequest(details);
  if (isDeepStrictEqual(targets, current.targets)) return { configuration: current, newSecrets };
  const ids = new Set(targets.map((target) => target.id));
  const rules = current.rules.map((rule) =>
    rule.enabled && !ids.has(rule.targetId) ? { ...rule, enabled: false } : rule,
  );
  return { configuration: { ...current, targets, rules }, newSecrets };
}

/**
 * The stored secret, where the draft still sends it to the same account of the same service: a
 * changed endpoint must not be able to draw a secret out of the store. It is sealed anew where what it
 * is bound to changed all the same, as the exempt kinds do with who saves.
 */
function keepSecret(
  bucketId: string,
  stored: StoredTarget | undefined,
  target: Target,
  boxes: SecretBoxes,
): SealedSecret | { readonly message: string } {
  if (stored === undefined || !isSentAlike(stored, target)) return { message: MASK_NOT_USABLE };
  if (isBoundAlike(stored, target)) return stored.secret;
  const secret = boxes.open(bucketId, stored);
  return secret === null ? { message: SECRET_SEALED } : boxes.seal(bucketId, target, secret);
}

/** Whether the secret goes to the same account of the same service. */
function isSentAlike(stored: Target, target: Target): boolean {
  const origin = parseEndpoint(target.endpoint)?.origin;
  return (
    stored.accessKeyId === target.accessKeyId &&
    origin !== undefined &&
    origin === parseEndpoint(stored.endpoint)?.origin
  );
}

/** Whether one box is right for both. */
function isBoundAlike(stored: Target, target: Target): boolean {
  return isSentAlike(stored, target) && isDeepStrictEqual(stored.exemptKinds, target.exemptKinds);
}

/** In a time that says nothing of where the two differ. */
function isSecret(given: string, stored: string | null): boolean {
  if (stored === null) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(stored)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * The configuration with `drafts` as its rules. It is `current` itself where nothing changes; otherwise
 * its revision is the caller's to set.
 *
 * @param newIncarnation gives a number that no other saved rule of the environment has
 * @throws ApiError InvalidRequest where a rule names a target that the bucket does not have, unless
 *   the rule is disabled and was stored with that target (so that a list can be read, edited and
 *   put back after a target was removed)
 */
export function withRules(
  current: StoredConfiguration,
  drafts: readonly RuleDraft[],
  newIncarnation: () => number,
): StoredConfiguration {
  const targetIds = new Set(current.targets.map((target) => target.id));
  const storedRules = new Map(current.rules.map((rule) => [rule.id, rule]));
  const details: ErrorDetail[] = [];
  drafts.forEach((draft, index) => {
    const stored = storedRules.get(draft.id);
    const keepsLostTarget = !draft.enabled && stored?.targetId === draft.targetId;
    if (!targetIds.has(draft.targetId) && !keepsLostTarget) {
      details.push({
        path: `/rules/${index}/targetId`,
        message: 'must be the id of a target of this bucket',
      });
    }
  });
  if (details.length > 0) throw invalidRequest(details);
  const rules = drafts.map((draft) => ({
    ...draft,
    incarnation: storedRules.get(draft.id)?.incarnation ?? newIncarnation(),
  }));
  return isDeepStrictEqual(rules, current.rules) ? current : { ...current, rules };
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
