/** `GET` and `PUT /rules`: the bucket's whole list of rules. */
import type { Context } from 'koa';
import { requestId } from '../json-api/answers.ts';
import { createValidator, readSchema } from '../json-api/validator.ts';
import { invalidRequest, type Configuration } from '../model/configuration.ts';
import { replicationError } from '../model/errors.ts';
import { parseIfMatch } from '../model/etag.ts';
import type { PutRules } from '../model/generated/put-rules.ts';
import { findRepeatedIds } from '../model/ids.ts';
import { answerRule, draftRules } from '../model/rule.ts';
import { auditRules } from './audit.ts';
import { ifMatchHeader, rememberAnswers, sendConfiguration } from './configuration-answers.ts';
import { assertSame, requestState } from './request.ts';
import type { AdminApiDependencies, Resource } from './router.ts';
import { droppedEntries, ignoredEntries, knownNames, setWarnings } from './warnings.ts';

const schema = readSchema('put-rules');
const KNOWN = knownNames(schema, 'rules', 'RuleInput');

const validateBody = createValidator(schema);

const rulesText = rememberAnswers(({ rules }) => ({ rules: rules.map(answerRule) }));

export function createRuleHandlers({ host, store, newId }: AdminApiDependencies): Resource {
  return {
    async GET(ctx) {
      sendRules(ctx, await store.read(requestState(ctx).bucket));
    },

    async PUT(ctx) {
      const { principal, bucket } = requestState(ctx);
      const body = validBody(ctx.request.body);
      const ignored = ignoredEntries(body, KNOWN);
      const precondition = parseIfMatch(ifMatchHeader(ctx));
      const drafts = draftRules(body.rules, newId);
      const change = await host.withBucketLock(bucket.name, async (found) => {
        const locked = assertSame(found, bucket);
        if (drafts.length > 0 && locked.versioning !== 'Enabled') {
          throw replicationError('VersioningNotEnabled');
        }
        return store.replaceRules(locked, drafts, precondition);
      });
      auditRules(host.logger, { requestId: requestId(ctx), principal, bucket }, change);
      setWarnings(ctx, ignored, droppedEntries(body.rules, change.before));
      sendRules(ctx, change.after);
    },
  };
}

/** @throws ApiError InvalidRequest */
function validBody(body: unknown): PutRules {
  const details = validateBody(body);
  if (details.length > 0) throw invalidRequest(details);
  const valid = body as PutRules;
  const repeated = findRepeatedIds('rules', valid.rules);
  if (repeated.length > 0) throw invalidRequest(repeated);
  return valid;
}

function sendRules(ctx: Context, configuration: Configuration): void {
  sendConfiguration(ctx, configuration.revision, rulesText(configuration));
}
