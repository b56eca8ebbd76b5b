/** `GET` and `PUT /targets`: the bucket's whole list of targets. */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { Context } from 'koa';
import type { EndpointVerdict } from '../egress/endpoint-policy.ts';
import type { Principal } from '../host.ts';
import { requestId } from '../json-api/answers.ts';
import type { ErrorDetail } from '../json-api/errors.ts';
import { createValidator, readSchema } from '../json-api/validator.ts';
import { invalidRequest, type Configuration } from '../model/configuration.ts';
import { parseEndpoint, type Endpoint } from '../model/endpoint.ts';
import { replicationError } from '../model/errors.ts';
import { parseIfMatch } from '../model/etag.ts';
import type { TargetsChange } from '../model/ports.ts';
import type { PutTargets } from '../model/generated/put-targets.ts';
import { findRepeatedIds } from '../model/ids.ts';
import { answerTarget, draftTargets, findMasksOfNewTargets } from '../model/target.ts';
import type { TargetDraft } from '../model/target.ts';
import { auditTargets } from './audit.ts';
import { ifMatchHeader, rememberAnswers, sendConfiguration } from './configuration-answers.ts';
import { assertSame, requestState } from './request.ts';
import type { AdminApiDependencies, Resource } from './router.ts';
import {
  disabledEntries,
  exemptEntries,
  ignoredEntries,
  knownNames,
  setWarnings,
} from './warnings.ts';

/** Whom the server would talk to at an endpoint; names are resolved on the owner's share. */
export type JudgeEndpoint = (endpoint: Endpoint, ownerId: string) => Promise<EndpointVerdict>;

const DENIED =
  'An endpoint is, or resolves to, an address that the server’s operator denies to everybody.';

const schema = readSchema('put-targets');
const KNOWN = knownNames(schema, 'targets', 'TargetInput');

const validateBody = createValidator(schema, {
  formats: { endpoint: (text) => parseEndpoint(text) !== null },
});

const targetsText = rememberAnswers(({ targets }) => ({ targets: targets.map(answerTarget) }));

export function createTargetHandlers({
  host,
  store,
  outbox,
  clock,
  judgeEndpoint,
  newId,
}: AdminApiDependencies): Resource {
  return {
    async GET(ctx) {
      const configuration = await store.read(requestState(ctx).bucket);
      setWarnings(ctx, [], exemptEntries(configuration.targets));
      sendTargets(ctx, configuration);
    },

    async PUT(ctx) {
      const { principal, bucket } = requestState(ctx);
      const body = validBody(ctx.request.body);
      const ignored = ignoredEntries(body, KNOWN);
      const precondition = parseIfMatch(ifMatchHeader(ctx));
      const { drafts, unjudged } = await admit(
        draftTargets(body.targets, newId),
        principal,
        (endpoint) => judgeEndpoint(endpoint, bucket.ownerId),
      );
      const change = await host.withBucketLock(bucket.name, (found) =>
        store.replaceTargets(assertSame(found, bucket), drafts, precondition),
      );
      const renewed = renewedTargets(change);
      if (renewed.length > 0) await outbox.retryRefused(bucket, renewed, clock.nowMs());
      auditTargets(host.logger, { requestId: requestId(ctx), principal, bucket }, change);
      const exempt = exemptEntries(change.after.targets);
      setWarnings(ctx, ignored, [...disabledEntries(change), ...exempt, ...unjudged]);
      sendTargets(ctx, change.after);
    },
  };
}

/** Targets that stay and are reached or signed for in another way: what they refused may be taken now. */
function renewedTargets({ before, after, newSecrets }: TargetsChange): string[] {
  return after.targets.flatMap((target) => {
    const old = before.targets.find(({ id }) => id === target.id);
    const isRenewed = newSecrets.includes(target.id) || !isDeepStrictEqual(old, target);
    return old !== undefined && isRenewed ? [target.id] : [];
  });
}

/** @throws ApiError InvalidRequest */
function validBody(body: unknown): PutTargets {
  const details = validateBody(body);
  if (details.length > 0) throw invalidRequest(details);
  const valid = body as PutTargets;
  const unusable = [
    ...findRepeatedIds('targets', valid.targets),
    ...findMasksOfNewTargets(valid.targets),
  ];
  if (unusable.length > 0) throw invalidRequest(unusable);
  return valid;
}

interface Admitted {
  /** Each with the kinds of non-public address that an administrator vouches for. */
  readonly drafts: TargetDraft[];
  /** A warning for each endpoint whose name gave no address to judge. */
  readonly unjudged: string[];
}

/**
 * Judges every endpoint, all at once.
 *
 * @throws ApiError EndpointNotAllowed, the same for every kind of address and naming none
 */
async function admit(
  drafts: readonly TargetDraft[],
  principal: Principal,
  judgeEndpoint: (endpoint: Endpoint) => Promise<EndpointVerdict>,
): Promise<Admitted> {
  const verdicts = await Promise.all(drafts.map((draft) => judge(draft, judgeEndpoint)));
  const refusals = verdicts.flatMap((verdict, index) => refusal(verdict, principal, index));
  if (refusals.length > 0) {
    throw replicationError('EndpointNotAllowed', {
      ...(verdicts.some(({ verdict }) => verdict === 'denied') ? { reason: DENIED } : {}),
      details: refusals,
    });
  }
  return {
    drafts: drafts.map((draft, index) => {
      const verdict = verdicts[index];
      const exemptKinds = verdict?.verdict === 'nonPublic' ? [...verdict.kinds] : [];
      return { ...draft, exemptKinds };
    }),
    unjudged: verdicts.flatMap(({ verdict }, index) =>
      verdict === 'unresolved' ? [`unjudged=targets.${index}.endpoint`] : [],
    ),
  };
}

async function judge(
  draft: TargetDraft,
  judgeEndpoint: (endpoint: Endpoint) => Promise<EndpointVerdict>,
): Promise<EndpointVerdict> {
  const endpoint = parseEndpoint(draft.endpoint);
  assert(endpoint !== null, 'a validated endpoint parses');
  return judgeEndpoint(endpoint);
}

function refusal(verdict: EndpointVerdict, principal: Principal, index: number): ErrorDetail[] {
  const path = `/targets/${index}/endpoint`;
  switch (verdict.verdict) {
    case 'public':
    case 'unresolved':
      return [];
    case 'nonPublic':
      return principal.isAdmin ? [] : [{ path, message: 'must have public addresses only' }];
    case 'denied':
      return [{ path, message: 'must not be in a range that the server’s operator denies' }];
  }
}

function sendTargets(ctx: Context, configuration: Configuration): void {
  sendConfiguration(ctx, configuration.revision, targetsText(configuration));
}
