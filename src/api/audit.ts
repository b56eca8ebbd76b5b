/**
 * One log line for each change of a configuration: who, which bucket, what by id and endpoint host,
 * which kinds of address an administrator vouched for, and the bucket's revision. Never an access key
 * or a secret. A save that changes nothing has no line.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BucketRef, Logger, Principal } from '../host.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import type { ConfigurationChange, TargetsChange } from '../model/ports.ts';
import type { Rule } from '../model/rule.ts';
import type { Target } from '../model/target.ts';

/** Whose change it was, and where. */
export interface Actor {
  readonly requestId: string;
  readonly principal: Principal;
  readonly bucket: BucketRef;
}

export function auditTargets(logger: Logger, actor: Actor, change: TargetsChange): void {
  const { before, after } = change;
  if (after.revision === before.revision) return;
  const newSecrets = new Set(change.newSecrets);
  const describe = (target: Target): object => ({
    id: target.id,
    endpointHost: parseEndpoint(target.endpoint)?.hostname,
    enabled: target.enabled,
    secret: newSecrets.has(target.id) ? 'new' : 'kept',
    ...(target.exemptKinds.length === 0 ? {} : { exempt: target.exemptKinds }),
  });
  logger.info(
    {
      audit: 'targets-replaced',
      ...describeActor(actor, after.revision),
      ...difference(before.targets, after.targets, describe, ({ id }) => newSecrets.has(id)),
      rulesDisabled: after.rules
        .filter((rule, index) => !rule.enabled && before.rules[index]?.enabled === true)
        .map((rule) => rule.id),
    },
    'replication targets replaced',
  );
}

export function auditRules(
  logger: Logger,
  actor: Actor,
  { before, after }: ConfigurationChange,
): void {
  if (after.revision === before.revision) return;
  const describe = (rule: Rule): object => ({
    id: rule.id,
    targetId: rule.targetId,
    enabled: rule.enabled,
  });
  logger.info(
    {
      audit: 'rules-replaced',
      ...describeActor(actor, after.revision),
      ...difference(before.rules, after.rules, describe, () => false),
    },
    'replication rules replaced',
  );
}

function describeActor({ requestId, principal, bucket }: Actor, revision: string): object {
  return {
    requestId,
    userId: principal.userId,
    isAdmin: principal.isAdmin,
    bucket: bucket.name,
    bucketId: bucket.id,
    revision,
  };
}

/** @param changedUnseen whether an entry that looks as before was changed all the same */
function difference<T extends { readonly id: string }>(
  before: readonly T[],
  after: readonly T[],
  describe: (entry: T) => object,
  changedUnseen: (entry: T) => boolean,
): { added: object[]; changed: object[]; removed: object[] } {
  const old = new Map(before.map((entry) => [entry.id, entry]));
  const kept = new Set(after.map((entry) => entry.id));
  const stays = after.filter((entry) => old.has(entry.id));
  return {
    added: after.filter((entry) => !old.has(entry.id)).map(describe),
    changed: stays
      .filter((entry) => changedUnseen(entry) || !isDeepStrictEqual(old.get(entry.id), entry))
      .map(describe),
    removed: before.filter((entry) => !kept.has(entry.id)).map(({ id }) => ({ id })),
  };
}
