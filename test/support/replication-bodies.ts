/** Valid bodies of the admin API, to be varied by tests, and the paths that they are sent to. */
import { randomBytes } from 'node:crypto';

export const NEW_ID = '00000000-0000-0000-0000-000000000000';
export const MASK = '••••••••';

export interface TargetFields {
  readonly id: string;
  readonly endpoint: string;
  readonly targetBucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly enabled: boolean;
}

export interface RuleFields {
  readonly id: string;
  readonly targetId: string;
  readonly prefix?: string | null;
  readonly replicateDeletes: boolean;
  readonly replicateExisting: boolean;
  readonly synchronous?: boolean;
  readonly enabled: boolean;
}

/** Addresses of documentation (RFC 5737) are public, and need no name server. */
export function targetBody(fields: Partial<TargetFields> = {}): TargetFields {
  return {
    id: NEW_ID,
    endpoint: 'https://192.0.2.10',
    targetBucket: 'backup-bucket',
    accessKeyId: 'AKIAEXAMPLE',
    secretAccessKey: 'a-secret-of-the-tests',
    region: 'us-east-1',
    enabled: true,
    ...fields,
  };
}

export function ruleBody(fields: Partial<RuleFields> & { readonly targetId: string }): RuleFields {
  return { id: NEW_ID, replicateDeletes: true, replicateExisting: false, enabled: true, ...fields };
}

export function targetsPath(bucketName: string): string {
  return `/api/v1/buckets/${bucketName}/replication/targets`;
}

export function rulesPath(bucketName: string): string {
  return `/api/v1/buckets/${bucketName}/replication/rules`;
}

/** `11111111-1111-4111-8111-00000000000n` for n below 16. */
export function uuid(n: number): string {
  return `11111111-1111-4111-8111-00000000000${n.toString(16)}`;
}

/** Text that occurs nowhere else, so that a search for it finds every leak and nothing more. */
export function uniqueSecret(): string {
  return `secret-${randomBytes(15).toString('hex')}`;
}
