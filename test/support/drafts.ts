/** What the API hands to a store, for tests that talk to a store directly. */
import type { RuleDraft } from '../../src/model/rule.ts';
import type { TargetDraft } from '../../src/model/target.ts';
import { uuid } from './replication-bodies.ts';

export const ANY = { kind: 'any' } as const;

export function targetDraft(n: number, fields: Partial<TargetDraft> = {}): TargetDraft {
  return {
    id: uuid(n),
    endpoint: `https://192.0.2.${n}`,
    targetBucket: 'backup-bucket',
    accessKeyId: 'AKIAEXAMPLE',
    newSecret: 'a-secret-of-the-tests',
    region: 'us-east-1',
    enabled: true,
    exemptKinds: [],
    ...fields,
  };
}

/** Rule n of target 1. */
export function ruleDraft(n: number, fields: Partial<RuleDraft> = {}): RuleDraft {
  return {
    id: uuid(n),
    targetId: uuid(1),
    prefix: '',
    replicateDeletes: false,
    replicateExisting: false,
    synchronous: false,
    enabled: true,
    ...fields,
  };
}
