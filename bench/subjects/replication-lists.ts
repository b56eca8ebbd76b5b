/** The one target and the one rule that every replicating bucket of a bench has, as bodies of PUT. */
import { CREDENTIALS, REGION, TARGET_BUCKET } from './signed-requests.ts';

export const TARGET_ID = '11111111-1111-4111-8111-111111111111';
export const RULE_ID = '22222222-2222-4222-8222-222222222222';

/** A disabled target is a pause. */
export function targetList(endpoint: string, enabled: boolean): object {
  return {
    targets: [
      {
        id: TARGET_ID,
        endpoint,
        targetBucket: TARGET_BUCKET,
        ...CREDENTIALS,
        region: REGION,
        enabled,
      },
    ],
  };
}

/** A rule for everything. */
export function ruleList(): object {
  const rule = {
    id: RULE_ID,
    targetId: TARGET_ID,
    replicateDeletes: true,
    replicateExisting: false,
    enabled: true,
  };
  return { rules: [rule] };
}
